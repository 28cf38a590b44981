/** Every answer of a flow, step by step, as the check and the last page show it. */

import { Button } from "@mantine/core";
import type { ReactNode } from "react";
import type { FlowState, Step, SummaryRow } from "../../src/api";
import { useSay } from "./copy";
import { CopyAddress } from "./fields/hook";
import { Glyph } from "./glyph";
import { Phrase } from "./phrase";

interface Group {
  step: Step;
  rows: SummaryRow[];
}

export function groupsOf({ steps, summary }: FlowState): Group[] {
  return steps
    .map((step) => ({ step, rows: summary.filter(({ stepId }) => stepId === step.id) }))
    .filter(({ rows }) => rows.length > 0);
}

function addressOf(step: Step, row: SummaryRow): string | null {
  return step.fields.find(({ component }) => component?.hookUrl && component.hookUrl === row.value) ? row.value : null;
}

export function hasAddress(state: FlowState): boolean {
  return groupsOf(state).some(({ step, rows }) => rows.some((row) => addressOf(step, row) !== null));
}

function Value({ row, address }: { row: SummaryRow; address: string | null }): ReactNode {
  const say = useSay();
  if (address) return <CopyAddress address={address} label={row.label} />;
  if (row.parts) {
    return (
      <span className="row-value">
        <Phrase parts={row.parts} />
      </span>
    );
  }
  if (row.value === "") return row.ok ? <span className="muted">{say("check.none")}</span> : null;
  return <span className="row-value">{row.value}</span>;
}

function Row({ row, address }: { row: SummaryRow; address: string | null }): ReactNode {
  const say = useSay();
  return (
    <div className="row" data-ok={row.ok}>
      <dt>{row.label}</dt>
      <dd>
        <Value row={row} address={address} />
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

/** `open` goes to a step to change it; null where nothing can be changed any more. */
export function AnswerList({ state, open }: { state: FlowState; open: ((stepId: string) => void) | null }): ReactNode {
  const say = useSay();
  return groupsOf(state).map(({ step, rows }) => (
    <section className="group" key={step.id} aria-labelledby={`answers-${step.id}`}>
      <div className="group-head">
        <h2 id={`answers-${step.id}`}>{step.title}</h2>
        {open && step.fields.some(({ type }) => type !== "hook") && (
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
  ));
}
