/** Draws the demo's executions: a plain sentence each, and behind a click every module with its input and output. */

import type { DemoExecution, DemoExecutionDetail, RunStatus, RunStep } from "../../src/api";
import { type Branch, h } from "../../src/dom";
import { durationText, momentText, whenText } from "../../src/moments";
import { errorCause, errorMessage, type ModuleStory, storiesOf } from "../../src/steps";

export interface ExecutionsView {
  executions: DemoExecution[] | null;
  details: Map<string, DemoExecutionDetail | Error>;
  open: string | null;
  /** Those the customer just caused. */
  expected: ReadonlySet<string>;
  now: number;
  toggle(id: string): void;
}

const SHOWN = 8;
const LOCALE = "en";
const MARKS: Record<RunStatus, string> = {
  0: "M12 3a9 9 0 1 0 9 9",
  1: "M5 12.5l4.5 4.5L19 7.5",
  2: "M12 6v7M12 17v.01",
  3: "M7 7l10 10M17 7L7 17",
};

function mark(status: RunStatus): Branch {
  return h(
    "span",
    { class: "mark", "data-status": status, "aria-hidden": "true" },
    h("svg", { viewBox: "0 0 24 24", class: "icon" }, h("path", { d: MARKS[status] })),
  );
}

function operations(amount: number): string {
  return amount === 1 ? "1 operation" : `${amount} operations`;
}

export function executionSentence({ status, operations: amount, duration }: DemoExecution): string {
  const took = durationText(duration, LOCALE);
  switch (status) {
    case 0:
      return "Working on the order…";
    case 1:
      return `Handled the order: ${operations(amount)} in ${took}.`;
    case 2:
      return `Handled the order with a warning: ${operations(amount)} in ${took}.`;
    case 3:
      return `Did not finish; it stopped after ${operations(amount)}.`;
  }
}

function drawData(title: string, data: unknown): Branch | null {
  if (data === null || data === undefined) return null;
  return h(
    "details",
    { key: title },
    h("summary", {}, title),
    h("pre", { tabindex: "0", role: "region", "aria-label": title }, JSON.stringify(data, null, 2)),
  );
}

/** One operation's data; only where a module worked several times are they numbered. */
function drawStep(step: RunStep, at: number, many: boolean): (Branch | null)[] {
  const { input, outputs } = step;
  const number = many ? ` ${at + 1}` : "";
  const several = outputs.length > 1;
  return [
    drawData(`Input${number}`, input),
    outputs.length > 0
      ? drawData(
          several ? `Output${number} (${outputs.length} bundles)` : `Output${number}`,
          several ? outputs : outputs[0],
        )
      : null,
  ];
}

function drawStory({ moduleId, name, app, times, error, steps }: ModuleStory): Branch {
  const cause = error && errorCause(error);
  return h(
    "li",
    { key: moduleId },
    h(
      "p",
      { class: "step-name" },
      h("strong", {}, name),
      h("span", { class: "faint" }, times > 1 ? ` ${app} · ${times} times` : ` ${app}`),
    ),
    error && h("p", { class: "step-error" }, cause ? `${cause} ` : "", errorMessage(error)),
    ...steps.flatMap((step, at) => drawStep(step, at, steps.length > 1)),
  );
}

/** The whole run in one line. */
export function runSummary({ status, steps, error }: DemoExecutionDetail): string {
  const stories = storiesOf(steps);
  const way = stories.map(({ name }) => name).join(" → ");
  if (status !== 3) return way;
  const at = stories.find(({ moduleId }) => moduleId === error?.moduleId) ?? stories.find((one) => one.error);
  return at ? `${way}. It stopped at “${at.name}”.` : way;
}

function drawDetail(detail: DemoExecutionDetail | Error | undefined): Branch {
  if (!detail) return h("p", { class: "faint", key: "loading", role: "status" }, "Loading what each module did…");
  if (detail instanceof Error) return h("p", { class: "step-error", key: "error", role: "alert" }, detail.message);
  if (detail.steps.length === 0) {
    const why = detail.error && errorMessage(detail.error);
    return h("p", { class: why ? "step-error" : "faint", key: "none" }, why ?? "Nothing has been recorded yet.");
  }
  return h(
    "div",
    { key: "steps" },
    h("p", { class: "run-summary" }, runSummary(detail)),
    h("ol", { class: "steps" }, ...storiesOf(detail.steps).map(drawStory)),
  );
}

function drawExecution(row: DemoExecution, view: ExecutionsView): Branch {
  const open = view.open === row.id;
  return h(
    "li",
    { key: row.id, class: "run", "data-new": view.expected.has(row.id) },
    h(
      "button",
      {
        type: "button",
        class: "run-line",
        "aria-expanded": String(open),
        onclick: () => view.toggle(row.id),
      },
      mark(row.status),
      h(
        "span",
        { class: "run-words" },
        h("strong", {}, row.scenarioName),
        h("span", {}, executionSentence(row)),
        h(
          "time",
          { class: "faint", datetime: row.timestamp, title: momentText(row.timestamp, LOCALE) },
          whenText(row.timestamp, view.now, LOCALE, "just now"),
        ),
      ),
      h(
        "svg",
        { viewBox: "0 0 24 24", class: "icon chevron", "aria-hidden": "true" },
        h("path", { d: "M8 10l4 4 4-4" }),
      ),
    ),
    open && h("div", { class: "run-detail" }, drawDetail(view.details.get(row.id))),
  );
}

export function drawExecutions(view: ExecutionsView): Branch[] {
  const { executions } = view;
  if (!executions) return [h("p", { class: "faint" }, "Loading…")];
  if (executions.length === 0) {
    return [h("p", { class: "empty" }, "Nothing yet. Connect an integration, then send the sample order.")];
  }
  return [
    h("ul", { class: "run-list", role: "list" }, ...executions.slice(0, SHOWN).map((row) => drawExecution(row, view))),
  ];
}
