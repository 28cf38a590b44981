/** Draws the demo's executions: a plain sentence each, and behind a click every module with its input and output. */

import type { DemoExecution, DemoExecutionDetail, DemoStep, RunStatus } from "../../src/api";
import { type Branch, h } from "../../src/dom";
import { durationText, momentText, whenText } from "../../src/moments";

export interface Result {
  tone: "info" | "good" | "bad";
  text: string;
}

export interface ExecutionsView {
  executions: DemoExecution[] | null;
  details: Map<string, DemoExecutionDetail | Error>;
  open: string | null;
  /** The one the customer just caused. */
  expected: string | null;
  now: number;
  toggle(id: string): void;
}

const SHOWN = 8;
const LOCALE = "en";
const MODULES: Record<string, string> = {
  "gateway:CustomWebHook": "Webhook received",
  "http:ActionSendData": "Request sent",
};
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

function errorText(error: unknown): string {
  const message = (error as { message?: unknown } | null)?.message;
  return typeof message === "string" ? message : JSON.stringify(error);
}

/** "http:ActionSendData" as a person would say it. */
export function moduleName(module: string): string {
  const [app = "", action = app] = module.split(":");
  const words = (MODULES[module] ?? action.replaceAll(/([a-z])([A-Z])/g, "$1 $2")).toLocaleLowerCase();
  return words.charAt(0).toLocaleUpperCase() + words.slice(1);
}

function drawStep(step: DemoStep, at: number): Branch {
  const many = step.outputs.length > 1;
  return h(
    "li",
    { key: at },
    h(
      "p",
      { class: "step-name" },
      h("strong", {}, moduleName(step.module)),
      h("span", { class: "faint" }, ` ${step.module} · module ${step.moduleId}`),
    ),
    step.error ? h("p", { class: "step-error" }, errorText(step.error)) : null,
    drawData("Input", step.input),
    step.outputs.length > 0 &&
      drawData(many ? `Output (${step.outputs.length} bundles)` : "Output", many ? step.outputs : step.outputs[0]),
  );
}

function drawDetail(detail: DemoExecutionDetail | Error | undefined): Branch {
  if (!detail) return h("p", { class: "faint", key: "loading", role: "status" }, "Loading what each module did…");
  if (detail instanceof Error) return h("p", { class: "step-error", key: "error", role: "alert" }, detail.message);
  if (detail.steps.length === 0) return h("p", { class: "faint", key: "none" }, "Nothing has been recorded yet.");
  return h("ol", { class: "steps", key: "steps" }, ...detail.steps.map(drawStep));
}

function drawExecution(row: DemoExecution, view: ExecutionsView): Branch {
  const open = view.open === row.id;
  return h(
    "li",
    { key: row.id, class: "run", "data-new": row.id === view.expected },
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

export function drawResult(result: Result | null): Branch[] {
  return result ? [h("p", { class: "result", "data-tone": result.tone }, result.text)] : [];
}
