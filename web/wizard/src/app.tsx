/**
 * The wizard: asks the server where the flow stands, shows that page, sends what the customer does and shows the
 * answer. All progress is the server's; a reload or another device continues at the same place.
 */

import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { type ReactNode, useEffect, useMemo, useState } from "react";
import type { FlowState, ReopenAnswer, Values } from "../../src/api";
import { FlowClient, type FlowFailure } from "./client";
import { useSay } from "./copy";
import { sendHint } from "./hints";
import { madeAddress, type Page, pageCount, pageOf, stepBefore, titleKey, type Visit } from "./pages";
import { CheckPage } from "./pages/check-page";
import { DonePage, isFleeting } from "./pages/done-page";
import { IntroPage } from "./pages/intro-page";
import { ExpiredPage, LoadingPage, ProblemPage } from "./pages/problem-page";
import { StepPage } from "./pages/step-page";
import { dropSecret, followTo } from "./secret";
import { Shell } from "./shell";

interface AppProps {
  flowId: string;
  client: FlowClient;
  /** Goes on with another flow in this place: its address is known only to this page. */
  goOn(publicUrl: string): void;
}

/** One flow after the other in one page: a set-up, and the changes that follow it. */
export function App({ flowId, secret }: { flowId: string; secret: string }): ReactNode {
  const [flow, setFlow] = useState({ flowId, secret });
  const client = useMemo(() => new FlowClient(flow.flowId, flow.secret), [flow]);
  // Not by navigating: the page that opened the wizard is known by what brought the customer here.
  const goOn = (publicUrl: string) => {
    const next = followTo(publicUrl);
    if (next) setFlow(next);
  };
  useEffect(() => sendHint({ type: "make-bridge:ready", flow: flow.flowId }), [flow.flowId]);
  return <Flow key={flow.flowId} flowId={flow.flowId} client={client} goOn={goOn} />;
}

function Flow({ flowId, client, goOn }: AppProps): ReactNode {
  const flow = useQuery<FlowState, FlowFailure>({
    queryKey: ["flow", flowId],
    queryFn: () => client.state(),
    retry: (count, failure) => failure.retryable && count < 2,
    retryDelay: 800,
  });
  if (flow.data) return <Walk flowId={flowId} client={client} goOn={goOn} state={flow.data} />;
  if (flow.error?.expired) return <ExpiredPage vendor={null} />;
  if (flow.error) return <ProblemPage failure={flow.error} retry={() => void flow.refetch()} busy={flow.isFetching} />;
  return <LoadingPage />;
}

function Walk({ flowId, client, goOn, state }: AppProps & { state: FlowState }): ReactNode {
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
  const reopen = useMutation<ReopenAnswer, FlowFailure>({
    mutationFn: () => client.reopen(),
    onSuccess: ({ publicUrl }) => goOn(publicUrl),
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
          back={page.addressReady ? null : state.changes ? () => setVisit(null) : before && (() => open(before.id))}
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
      {page.kind === "done" && (
        <DonePage state={state} reopen={() => reopen.mutate()} busy={reopen.isPending} failure={reopen.error} />
      )}
    </Shell>
  );
}

/** Tells the opener where the customer is, and names the page in the browser's own list of windows. */
function useHints(state: FlowState, page: Page): void {
  const say = useSay();
  const flow = state.flow.id;
  const fleeting = page.kind === "done" && isFleeting(state);
  const index = page.kind === "step" ? page.index : -1;
  const step = page.kind === "step" ? page.step.id : "";
  const title =
    page.kind === "step"
      ? state.changes
        ? page.step.title
        : say("app.step.said", { index: index + 1, of: pageCount(state), title: page.step.title })
      : page.kind === "intro"
        ? say("intro.eyebrow")
        : say(titleKey(state, page.kind));

  useEffect(() => {
    document.title = say("app.title", { page: title, template: state.template.name });
    document.documentElement.lang = "en";
  }, [title, state.template.name, say]);

  useEffect(() => {
    if (page.kind === "done") {
      sendHint({ type: "make-bridge:done", flow });
      if (fleeting) dropSecret(flow);
    } else if (step) {
      sendHint({ type: "make-bridge:step", flow, step, index, of: state.steps.length });
    }
  }, [page.kind, flow, step, index, state.steps.length, fleeting]);
}
