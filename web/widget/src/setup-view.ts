/** Draws the part of a card that shows a set-up in progress: one sentence, and what the customer can do about it. */

import { type Branch, h } from "../../src/dom";
import type { PhraseKey } from "./copy";
import type { Entry } from "./entry";
import type { Setup, SetupPhase } from "./setup";
import { button, drawDetails, type View } from "./view";

type Act = [
  name: "reopen" | "check" | "connect" | "settings" | "dismiss",
  phrase: "again" | "restart" | "finished" | "cancel" | "ok",
];

/** The same for a look at the answers of an integration that exists: no other one must come of it. */
const CHANGE_OFFERS: Partial<Record<SetupPhase, Act[]>> = {
  failed: [["settings", "again"]],
  expired: [["settings", "restart"]],
};

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

/** What a set-up says of itself. */
export function setupWords(setup: Setup): PhraseKey {
  if (setup.offline) return "setup.offline";
  if (setup.notYet) return "setup.not-yet";
  if (setup.phase === "waiting" && setup.where() === "frame") return "setup.waiting.frame";
  if (setup.failure?.code === "no_answers") return "setup.no-answers";
  return setup.phase === "done" && setup.changes ? "setup.changed" : `setup.${setup.phase}`;
}

/** The link replaces the window a browser refused; it is a link so that no script needs to open it. */
function drawBlocked({ publicUrl }: Setup, { say }: View): Branch {
  return h(
    "p",
    {},
    h("a", { href: publicUrl, part: "link" }, say("setup.blocked.link")),
    ` – ${say("setup.blocked.after")}`,
  );
}

function offersOf({ phase, changes, failure }: Setup): Act[] {
  if (phase === "done") return [];
  if (failure?.code === "no_answers") return [["dismiss", "ok"]];
  const special = changes ? CHANGE_OFFERS[phase] : undefined;
  return [...(special ?? OFFERS[phase] ?? []), ["dismiss", "cancel"]];
}

export function drawSetup(entry: Entry, setup: Setup, view: View): Branch {
  const { say, acts } = view;
  const { phase } = setup;
  const offers = offersOf(setup);
  return h(
    "div",
    { class: "note", key: "setup", "data-tone": phase === "failed" || phase === "expired" ? "bad" : "info" },
    h(
      "div",
      { class: "setup-line" },
      MOVING.has(phase) && h("span", { class: "spinner", "aria-hidden": "true" }),
      h("p", { "data-focus": `${entry.key}-setup`, tabindex: "-1" }, say(setupWords(setup), { name: entry.name })),
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
