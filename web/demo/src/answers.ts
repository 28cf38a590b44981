/** Draws what the integrations answered to a sample order: one box each, in words where the answer has words. */

import type { SentOrder } from "../../src/api";
import { type Branch, h } from "../../src/dom";

export type Sending = { state: "sending" } | { state: "refused"; text: string } | { state: "sent"; sent: SentOrder[] };

const LABELS: Record<string, string> = { id: "Id" };
const SHOWN_MEMBERS = 12;

/** "orderTotal" as a person would write it. */
function labelOf(name: string): string {
  const words = name
    .replaceAll(/[_-]+/g, " ")
    .replaceAll(/([a-z])([A-Z])/g, "$1 $2")
    .toLocaleLowerCase();
  return LABELS[name] ?? words.charAt(0).toLocaleUpperCase() + words.slice(1);
}

function isPlain(value: unknown): value is string | number | boolean {
  return ["string", "number", "boolean"].includes(typeof value);
}

/** The default of the server when a scenario answers nothing of its own. */
function isAcknowledgement(response: unknown): boolean {
  return response === "" || response === null || response === "Accepted";
}

function drawObject(response: Record<string, unknown>): Branch {
  const members = Object.entries(response)
    .filter(([name, value]) => name !== "message" && isPlain(value))
    .slice(0, SHOWN_MEMBERS);
  return h(
    "dl",
    { class: "facts" },
    ...members.flatMap(([name, value]) => [h("dt", {}, labelOf(name)), h("dd", {}, String(value))]),
  );
}

function drawResponse(response: unknown): (Branch | null)[] {
  if (isAcknowledgement(response)) return [h("p", {}, "It took the order and works on it.")];
  if (isPlain(response)) return [h("p", { class: "said" }, String(response))];
  if (typeof response !== "object" || response === null || Array.isArray(response)) {
    return [h("pre", { tabindex: "0", role: "region", "aria-label": "Answer" }, JSON.stringify(response, null, 2))];
  }
  const answer = response as Record<string, unknown>;
  return [isPlain(answer.message) ? h("p", { class: "said" }, String(answer.message)) : null, drawObject(answer)];
}

function drawSent(one: SentOrder): Branch {
  const failed = one.status >= 400;
  return h(
    "div",
    { class: "result answer", key: one.scenarioId, "data-tone": failed ? "bad" : "good" },
    h("p", {}, h("strong", {}, one.scenarioName), failed ? " did not accept the order." : " answered:"),
    ...drawResponse(failed && isAcknowledgement(one.response) ? `Status ${one.status}` : one.response),
  );
}

export function drawSending(sending: Sending | null): Branch[] {
  switch (sending?.state) {
    case undefined:
      return [];
    case "sending":
      return [h("p", { class: "result", key: "sending" }, "Sending the order…")];
    case "refused":
      return [h("p", { class: "result", key: "refused", "data-tone": "bad" }, sending.text)];
    case "sent":
      return sending.sent.map(drawSent);
  }
}
