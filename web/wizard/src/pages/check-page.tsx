/**
 * The last look: every answer with what the server found out about it, and the button that makes the scenario. Over a
 * scenario that exists it is the first page: what was answered, and the button that saves what was changed.
 */

import { Button } from "@mantine/core";
import type { ReactNode } from "react";
import type { FlowState } from "../../../src/api";
import { AnswerList, groupsOf } from "../answer-list";
import type { FlowFailure } from "../client";
import { useSay } from "../copy";
import { Glyph } from "../glyph";
import { Heading } from "../heading";
import { canClose, closeSelf, webAddress } from "../hints";
import { FailureNotice } from "../notice";
import { pageCount } from "../pages";
import { useUnsaved } from "../unsaved";

interface CheckProps {
  state: FlowState;
  open(stepId: string): void;
  finish(): void;
  back: (() => void) | null;
  busy: boolean;
  failure: FlowFailure | null;
}

function Trouble({ state }: { state: FlowState }): ReactNode {
  const say = useSay();
  const trouble = state.summary.filter(({ ok }) => !ok).length;
  return (
    trouble > 0 && (
      <div className="notice" data-tone="warn">
        <Glyph name="warn" />
        <p>{say("check.trouble", { n: trouble })}</p>
      </div>
    )
  );
}

/** Nothing was changed: the page was opened to look. Where it cannot close itself it goes back, or simply stays. */
function Leave({ state }: { state: FlowState }): ReactNode {
  const say = useSay();
  const target = webAddress(state.options.redirectUri);
  if (!canClose() && !target) return null;
  const leave = () => (canClose() ? closeSelf(state.flow.id) : location.assign(target as string));
  return (
    <Button variant="default" size="md" onClick={leave}>
      {say("change.close")}
    </Button>
  );
}

function ChangePage({ state, open, finish, busy, failure }: CheckProps): ReactNode {
  const say = useSay();
  const { scenario, integrator } = state;
  const isChanged = state.changes?.isChanged === true;
  const isEmpty = groupsOf(state).length === 0;
  useUnsaved(state.flow.id, isChanged && !busy);
  return (
    <>
      <Heading>{say("change.title")}</Heading>
      <p className="lead">{say(isEmpty ? "change.empty" : "change.text")}</p>
      {failure && <FailureNotice failure={failure} text={say("check.failed")} />}
      <Trouble state={state} />
      <AnswerList state={state} open={open} />
      <p className="muted" role="status">
        {isChanged
          ? say("change.unsaved")
          : say(scenario.isActive ? "change.on" : "change.off", { vendor: integrator.name })}
      </p>
      <div className="foot">
        {isChanged ? (
          <Button size="md" onClick={finish} loading={busy}>
            {say("change.save")}
          </Button>
        ) : (
          <Leave state={state} />
        )}
      </div>
    </>
  );
}

function FinishPage({ state, open, finish, back, busy, failure }: CheckProps): ReactNode {
  const say = useSay();
  const { scenario, integrator } = state;
  const isEmpty = groupsOf(state).length === 0;
  const eyebrow = isEmpty ? null : say("app.step", { index: pageCount(state), of: pageCount(state) });
  return (
    <>
      <Heading eyebrow={eyebrow}>{say(isEmpty ? "check.empty.title" : "check.title")}</Heading>
      <p className="lead">{say(isEmpty ? "check.empty.text" : "check.text", { vendor: integrator.name })}</p>
      {failure && <FailureNotice failure={failure} text={say("check.failed")} />}
      <Trouble state={state} />
      <AnswerList state={state} open={open} />
      <p className="muted">{say(scenario.enable ? "check.on" : "check.off", { vendor: integrator.name })}</p>
      <div className="foot">
        {back && (
          <Button variant="default" size="md" onClick={back} disabled={busy} leftSection={<Glyph name="back" />}>
            {say("step.back")}
          </Button>
        )}
        <Button size="md" onClick={finish} loading={busy}>
          {say(scenario.enable ? "check.finish.on" : "check.finish.off")}
        </Button>
      </div>
    </>
  );
}

export function CheckPage(props: CheckProps): ReactNode {
  return props.state.changes ? <ChangePage {...props} /> : <FinishPage {...props} />;
}
