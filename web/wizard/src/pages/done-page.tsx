/**
 * The end: back to the integrator's page where one was named; a window without anything to take along closes itself.
 * Everything else stays until it was read: the answers, an address to copy, and the way to change them once more.
 */

import { Anchor, Button } from "@mantine/core";
import { type ReactNode, useEffect } from "react";
import type { FlowState } from "../../../src/api";
import { AnswerList, hasAddress } from "../answer-list";
import type { FlowFailure } from "../client";
import { type Say, useSay } from "../copy";
import { Glyph } from "../glyph";
import { Heading } from "../heading";
import { canClose, closeSelf, webAddress } from "../hints";
import { FailureNotice } from "../notice";

/** Long enough to read one line. */
const CLOSE_AFTER = 2600;
const LEAVE_AFTER = 1400;

interface DoneProps {
  state: FlowState;
  reopen(): void;
  busy: boolean;
  failure: FlowFailure | null;
}

/** Whether the page goes by itself; then there is no time for anything but one line. */
export function isFleeting(state: FlowState): boolean {
  return webAddress(state.options.redirectUri) !== null || (canClose() && !hasAddress(state));
}

function outcome({ scenario, integrator, changes }: FlowState, say: Say): string {
  const values = { name: scenario.name, vendor: integrator.name };
  if (changes) return say(scenario.isActive ? "change.done" : "change.done.off", values);
  return say((scenario.isActive ?? scenario.enable) ? "done.on" : "done.off", values);
}

export function DonePage({ state, reopen, busy, failure }: DoneProps): ReactNode {
  const say = useSay();
  const { integrator } = state;
  const flow = state.flow.id;
  const target = webAddress(state.options.redirectUri);
  const closes = !target && isFleeting(state);

  useEffect(() => {
    if (!target && !closes) return;
    const timer = setTimeout(() => (target ? leaveFor(target) : closeSelf(flow)), target ? LEAVE_AFTER : CLOSE_AFTER);
    return () => clearTimeout(timer);
  }, [target, closes, flow]);

  return (
    <>
      <div className="centred">
        <span className="big-mark" data-tone="good" aria-hidden="true">
          <Glyph name="check" size={30} />
        </span>
        <Heading>{say(state.changes ? "change.done.title" : "done.title")}</Heading>
        <p className="lead">{outcome(state, say)}</p>
        {target && (
          <p className="muted">
            {say("done.back", { vendor: integrator.name })} <Anchor href={target}>{say("done.back.link")}</Anchor>
          </p>
        )}
        {closes && (
          <p className="muted">
            {say("done.close")} {say("done.closing")}
          </p>
        )}
      </div>
      {!target && !closes && <Lasting state={state} reopen={reopen} busy={busy} failure={failure} />}
    </>
  );
}

function Lasting({ state, reopen, busy, failure }: DoneProps): ReactNode {
  const say = useSay();
  const hasAnswers = state.summary.length > 0;
  return (
    <>
      {failure && <FailureNotice failure={failure} text={say("done.change.failed")} />}
      <AnswerList state={state} open={null} />
      <p className="muted centred-text">
        {hasAnswers && say("done.later", { vendor: state.integrator.name })} {!canClose() && say("done.close")}
      </p>
      <div className="foot">
        {hasAnswers && (
          <Button variant="default" size="md" onClick={reopen} loading={busy}>
            {say("done.change")}
          </Button>
        )}
        {canClose() && (
          <Button size="md" onClick={() => closeSelf(state.flow.id)}>
            {say("done.close.act")}
          </Button>
        )}
      </div>
    </>
  );
}

/** The next page is somebody else's: it must not hold a handle on the window that opened us. */
function leaveFor(target: string): void {
  if (window.opener) window.opener = null;
  location.replace(target);
}
