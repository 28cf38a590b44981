/** What the widget's drawings share: their context, the customer's acts, buttons, and a failure's folded-away details. */

import { type Attribute, type Branch, h } from "../../src/dom";
import type { Catalogue } from "./catalogue";
import type { PortalFailure } from "./client";
import type { Say } from "./copy";
import type { Entry } from "./entry";

export interface Acts extends Pick<Catalogue, "switchTo" | "run" | "toggleRuns" | "loadRuns" | "toggleRun"> {
  reload(): void;
  search(query: string): void;
  connect(entry: Entry): void;
  /** Opens the wizard over what is set up: answers, addresses, changes. */
  settings(entry: Entry): void;
  askRemove(entry: Entry): void;
  reopen(entry: Entry): void;
  check(entry: Entry): void;
  dismiss(entry: Entry): void;
}

export interface View {
  say: Say;
  locale: string;
  acts: Acts;
  level: number;
  /** Connecting opens a window, which the button says beforehand. */
  opensWindow: boolean;
  query: string;
}

export function button(
  kind: "primary" | "quiet" | "quiet square" | "danger",
  act: () => void,
  attributes: Record<string, Attribute>,
  ...children: (Branch | string)[]
): Branch {
  return h("button", { type: "button", part: "button", class: kind, onclick: act, ...attributes }, ...children);
}

export function note(tone: string, ...children: (Branch | string | null | false)[]): Branch {
  return h("div", { class: "note", "data-tone": tone }, ...children);
}

/** What went wrong is said above in words; the server's own are here, with the reference support will ask for. */
export function drawDetails(failure: PortalFailure | null | undefined, say: Say): Branch | null {
  if (!failure) return null;
  const { message, code, requestId } = failure;
  return h(
    "details",
    {},
    h("summary", {}, say("error.details")),
    h("p", {}, message || code),
    requestId ? h("p", {}, say("error.reference", { id: requestId })) : null,
  );
}
