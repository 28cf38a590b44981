/** Draws the whole list in each of its states: loading, failed, empty, searched in vain, and full of cards. */

import { type Branch, h } from "../../src/dom";
import { drawCard } from "./card";
import type { Catalogue } from "./catalogue";
import type { PortalFailure } from "./client";
import type { Say } from "./copy";
import type { Entry } from "./entry";
import { type IconName, icon } from "./icons";
import { button, drawDetails, type View } from "./view";

/** Fewer cards are found faster with the eyes. */
export const SEARCH_FROM = 7;
const SKELETONS = 3;

type Trouble = "error" | "error.signin" | "error.plan" | "error.offline";

function troubleOf({ kind }: PortalFailure): Trouble {
  if (kind === "signin" || kind === "plan") return `error.${kind}`;
  return kind === "offline" && !navigator.onLine ? "error.offline" : "error";
}

export function failureSentence(failure: PortalFailure, say: Say): string {
  const trouble = troubleOf(failure);
  return `${say(`${trouble}.title`)}. ${say(`${trouble}.text`)}`;
}

function drawMessage(glyph: IconName, title: string, text: string, ...more: (Branch | null)[]): Branch {
  return h(
    "div",
    { class: "message", key: glyph },
    h("span", { class: "tile" }, icon(glyph)),
    h("p", { class: "name" }, title),
    h("p", { class: "faint" }, text),
    ...more,
  );
}

function drawLoading(): Branch {
  const bone = (kind: string) => h("div", { class: `bone ${kind}` });
  const card = h("div", { class: "card" }, bone("tile"), bone("line"), bone("line short"), bone("block"));
  return h("div", { class: "grid", key: "loading", "aria-hidden": "true" }, ...Array<Branch>(SKELETONS).fill(card));
}

function drawFailure(failure: PortalFailure, { say, acts }: View): Branch {
  const trouble = troubleOf(failure);
  return drawMessage(
    "cloud",
    say(`${trouble}.title`),
    say(`${trouble}.text`),
    button("primary", acts.reload, { "data-focus": "retry" }, say("action.retry")),
    drawDetails(failure, say),
  );
}

function drawSearch({ say, acts }: View): Branch {
  const label = say("list.search");
  return h(
    "div",
    { class: "search", key: "search-field" },
    icon("search"),
    h("input", {
      type: "search",
      part: "field",
      "aria-label": label,
      placeholder: label,
      oninput: (event) => acts.search((event.target as HTMLInputElement).value),
    }),
  );
}

export function found(entries: Entry[], query: string): Entry[] {
  const wanted = query.trim().toLocaleLowerCase();
  return entries.filter(({ name, apps }) => [name, ...apps].join("\n").toLocaleLowerCase().includes(wanted));
}

export function drawList({ phase, failure, entries }: Catalogue, view: View): Branch[] {
  const { say, acts, query } = view;
  if (failure) return [drawFailure(failure, view)];
  if (phase === "loading") return [drawLoading()];
  if (entries.length === 0) return [drawMessage("plug", say("list.empty.title"), say("list.empty.text"))];
  const shown = found(entries, query);
  const cards =
    shown.length > 0
      ? h("ul", { class: "grid", key: "cards", role: "list" }, ...shown.map((entry) => drawCard(entry, view)))
      : drawMessage(
          "search",
          say("list.none.title"),
          say("list.none.text", { query: query.trim() }),
          button("quiet", () => acts.search(""), {}, say("list.none.clear")),
        );
  return entries.length >= SEARCH_FROM ? [drawSearch(view), cards] : [cards];
}
