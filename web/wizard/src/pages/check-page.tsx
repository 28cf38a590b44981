/** The last look: every answer with what the server found out about it, and the button that makes the scenario. */

import { Button } from "@mantine/core";
import type { ReactNode } from "react";
import type { FlowState, Step, SummaryRow } from "../../../src/api";
import type { FlowFailure } from "../client";
import { useSay } from "../copy";
import { CopyAddress } from "../fields/hook";
import { Glyph } from "../glyph";
import { Heading } from "../heading";
import { FailureNotice } from "../notice";
import { pageCount } from "../pages";

interface CheckProps {
  state: FlowState;
  open(stepId: string): void;
  finish(): void;
  back: (() => void) | null;
  busy: boolean;
  failure: FlowFailure | null;
}

function addressOf(step: Step, row: SummaryRow): string | null {
  return step.fields.find(({ component }) => component?.hookUrl && component.hookUrl === row.value) ? row.value : null;
}

function Row({ row, address }: { row: SummaryRow; address: string | null }): ReactNode {
  const say = useSay();
  return (
    <div className="row" data-ok={row.ok}>
      <dt>{row.label}</dt>
      <dd>
        {address ? <CopyAddress address={address} label={row.label} /> : <span className="row-value">{row.value}</span>}
        {!row.ok && (
          <p className="row-trouble">
            <Glyph name="warn" size={16} />
            {row.message ?? say("check.bad")}
          </p>
        )}
      </dd>
    </div>
  );
}

export function CheckPage({ state, open, finish, back, busy, failure }: CheckProps): ReactNode {
  const say = useSay();
  const { scenario, integrator, summary } = state;
  const trouble = summary.filter(({ ok }) => !ok).length;
  const groups = state.steps
    .map((step) => ({ step, rows: summary.filter(({ stepId }) => stepId === step.id) }))
    .filter(({ rows }) => rows.length > 0);
  return (
    <>
      <Heading eyebrow={say("app.step", { index: pageCount(state), of: pageCount(state) })}>
        {say("check.title")}
      </Heading>
      <p className="lead">{say("check.text")}</p>
      {failure && <FailureNotice failure={failure} text={say("check.failed")} />}
      {trouble > 0 && (
        <div className="notice" data-tone="warn">
          <Glyph name="warn" />
          <p>{say("check.trouble", { n: trouble })}</p>
        </div>
      )}
      {groups.map(({ step, rows }) => (
        <section className="group" key={step.id} aria-labelledby={`check-${step.id}`}>
          <div className="group-head">
            <h2 id={`check-${step.id}`}>{step.title}</h2>
            {step.fields.length > 0 && (
              <Button
                className="change"
                variant="subtle"
                size="compact-sm"
                aria-label={say("check.change.label", { step: step.title })}
                onClick={() => open(step.id)}
              >
                {say("check.change")}
              </Button>
            )}
          </div>
          <dl>
            {rows.map((row, at) => (
              // biome-ignore lint/suspicious/noArrayIndexKey: rows have no id and keep their order
              <Row key={at} row={row} address={addressOf(step, row)} />
            ))}
          </dl>
        </section>
      ))}
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
