/** Draws the part of a card that shows a set-up in progress: one sentence, and what the customer can do about it. */

import { type Branch, h } from "../../src/dom";
import type { Entry } from "./entry";
import type { Setup, SetupPhase } from "./setup";
import { button, drawDetails, type View } from "./view";

type Act = [name: "reopen" | "check" | "connect" | "dismiss", phrase: "again" | "restart" | "finished" | "cancel"];

const FINISHED: Act = ["check", "finished"];

/** What is offered before "Cancel"; the first is the one we would do. */
const OFFERS: Partial<Record<SetupPhase, Act[]>> = {
  long: [FINISHED],
  closed: [["reopen", "again"], FINISHED],
  blocked: [FINISHED],
  unfinished: [["connect", "restart"], FINISHED],
  failed: [["connect", "again"]],
  expired: [["connect", "restart"]],
};
const MOVING = new Set<SetupPhase>(["opening", "waiting", "long", "redirecting"]);

/** The link replaces the window a browser refused; it is a link so that no script needs to open it. */
function drawBlocked({ publicUrl }: Setup, { say }: View): Branch {
  return h(
    "p",
    {},
    h("a", { href: publicUrl, part: "link" }, say("setup.blocked.link")),
    ` – ${say("setup.blocked.after")}`,
  );
}

export function drawSetup(entry: Entry, setup: Setup, view: View): Branch {
  const { say, acts } = view;
  const { phase } = setup;
  const words = setup.offline ? "offline" : setup.notYet ? "not-yet" : phase;
  const offers: Act[] = phase === "done" ? [] : [...(OFFERS[phase] ?? []), ["dismiss", "cancel"]];
  return h(
    "div",
    { class: "note", key: "setup", "data-tone": phase === "failed" || phase === "expired" ? "bad" : "info" },
    h(
      "div",
      { class: "setup-line" },
      MOVING.has(phase) && h("span", { class: "spinner", "aria-hidden": "true" }),
      h("p", { "data-focus": `${entry.key}-setup`, tabindex: "-1" }, say(`setup.${words}`, { name: entry.name })),
    ),
    phase === "blocked" && drawBlocked(setup, view),
    drawDetails(setup.failure, say),
    h(
      "div",
      { class: "actions" },
      ...offers.map(([name, phrase], at) =>
        button(
          at === 0 && name !== "dismiss" ? "primary" : "quiet",
          () => acts[name](entry),
          { key: name },
          say(`setup.act.${phrase}`),
        ),
      ),
    ),
  );
}
