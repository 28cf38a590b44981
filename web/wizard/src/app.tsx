/**
 * The wizard: asks the server where the flow stands, shows that page, sends what the customer does and shows the
 * answer. All progress is the server's; a reload or another device continues at the same place.
 */

import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { type ReactNode, useEffect, useState } from "react";
import type { FlowState, Values } from "../../src/api";
import type { FlowClient, FlowFailure } from "./client";
import { useSay } from "./copy";
import { sendHint } from "./hints";
import { madeAddress, type Page, pageCount, pageOf, stepBefore, type Visit } from "./pages";
import { CheckPage } from "./pages/check-page";
import { DonePage } from "./pages/done-page";
import { IntroPage } from "./pages/intro-page";
import { ExpiredPage, LoadingPage, ProblemPage } from "./pages/problem-page";
import { StepPage } from "./pages/step-page";
import { dropSecret } from "./secret";
import { Shell } from "./shell";

interface AppProps {
  flowId: string;
  client: FlowClient;
}

export function App({ flowId, client }: AppProps): ReactNode {
  const flow = useQuery<FlowState, FlowFailure>({
    queryKey: ["flow", flowId],
    queryFn: () => client.state(),
    retry: (count, failure) => failure.retryable && count < 2,
    retryDelay: 800,
  });
  if (flow.data) return <Walk flowId={flowId} client={client} state={flow.data} />;
  if (flow.error?.expired) return <ExpiredPage vendor={null} />;
  if (flow.error) return <ProblemPage failure={flow.error} retry={() => void flow.refetch()} busy={flow.isFetching} />;
  return <LoadingPage />;
}

function Walk({ flowId, client, state }: AppProps & { state: FlowState }): ReactNode {
  const queries = useQueryClient();
  const [visit, setVisit] = useState<Visit | null>(null);
  const page = pageOf(state, visit);
  const before = stepBefore(state, page);
  useHints(state, page);

  const know = (next: FlowState) => queries.setQueryData(["flow", flowId], next);
  const start = useMutation<FlowState, FlowFailure>({ mutationFn: () => client.start(), onSuccess: know });
  const finish = useMutation<FlowState, FlowFailure>({
    mutationFn: () => client.finalize(),
    onSuccess: (next) => {
      setVisit(null);
      know(next);
    },
  });
  const save = useMutation<FlowState, FlowFailure, { stepId: string; values: Values }>({
    mutationFn: ({ stepId, values }) => client.saveStep(stepId, values),
    onSuccess: (next, { stepId }) => {
      setVisit(madeAddress(state, next, stepId) ? { stepId, addressReady: true } : null);
      know(next);
    },
  });

  const failure = [start, save, finish].find(({ error }) => error?.expired)?.error;
  if (failure) return <ExpiredPage vendor={state.integrator.name} />;

  const open = (stepId: string) => {
    save.reset();
    setVisit({ stepId, addressReady: false });
  };
  return (
    <Shell state={state} page={page} open={open}>
      {page.kind === "intro" && (
        <IntroPage state={state} start={() => start.mutate()} busy={start.isPending} failure={start.error} />
      )}
      {page.kind === "step" && (
        <StepPage
          key={page.key}
          page={page}
          state={state}
          client={client}
          busy={save.isPending}
          failure={save.error}
          save={(values) => save.mutate({ stepId: page.step.id, values })}
          next={() => setVisit(null)}
          back={before && !page.addressReady ? () => open(before.id) : null}
        />
      )}
      {page.kind === "check" && (
        <CheckPage
          state={state}
          open={open}
          finish={() => finish.mutate()}
          back={before ? () => open(before.id) : null}
          busy={finish.isPending}
          failure={finish.error}
        />
      )}
      {page.kind === "done" && <DonePage state={state} />}
    </Shell>
  );
}

/** Tells the opener where the customer is, and names the page in the browser's own list of windows. */
function useHints(state: FlowState, page: Page): void {
  const say = useSay();
  const flow = state.flow.id;
  const index = page.kind === "step" ? page.index : -1;
  const step = page.kind === "step" ? page.step.id : "";
  const title =
    page.kind === "step"
      ? say("app.step.said", { index: index + 1, of: pageCount(state), title: page.step.title })
      : page.kind === "intro"
        ? say("intro.eyebrow")
        : say(page.kind === "check" ? "check.title" : "done.title");

  useEffect(() => {
    document.title = say("app.title", { page: title, template: state.template.name });
    document.documentElement.lang = "en";
  }, [title, state.template.name, say]);

  useEffect(() => {
    if (page.kind === "done") {
      sendHint({ type: "make-bridge:done", flow });
      dropSecret(flow);
    } else if (step) {
      sendHint({ type: "make-bridge:step", flow, step, index, of: state.steps.length });
    }
  }, [page.kind, flow, step, index, state.steps.length]);
}
