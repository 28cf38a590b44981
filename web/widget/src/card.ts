/** Draws one integration as a card: its state, what can be done with it, and how its last runs went. */

import { type Branch, h } from "../../src/dom";
import { momentText, whenText } from "../../src/moments";
import { attentionCause, type CardState, cardState, type Entry, lastRunAt } from "./entry";
import { icon } from "./icons";
import { runSentence } from "./runs";
import { drawSetup } from "./setup-view";
import { button, drawDetails, note, type View } from "./view";

const SHOWN_RUNS = 5;
const RUN_ICONS = ["setting-up", "active", "attention", "error"] as const;
/** The portal API gives an app's technical name alone. */
const APP_NAMES: Record<string, string> = { http: "HTTP", json: "JSON", gateway: "Webhooks", util: "Tools" };

function appName(name: string): string {
  return APP_NAMES[name] ?? name.charAt(0).toUpperCase() + name.slice(1).replaceAll(/[-_]/g, " ");
}

function when(timestamp: string, { locale, say }: View): string {
  return whenText(timestamp, Date.now(), locale, say("time.now"));
}

function schedule({ timing: { type, interval } }: Entry, { say }: View): string {
  if (type === "immediately") return say("card.instantly");
  return type === "indefinitely" && interval
    ? say("card.interval", { n: Math.max(1, Math.round(interval / 60)) })
    : say("card.scheduled");
}

function drawHead(entry: Entry, state: CardState, view: View): Branch[] {
  const apps = entry.apps.map(appName);
  return [
    h(
      "div",
      { class: "head" },
      h("span", { class: "tile", "aria-hidden": "true" }, (apps[0] ?? entry.name).slice(0, 2)),
      h(
        "div",
        {},
        h("div", { class: "name", role: "heading", "aria-level": view.level, id: `${entry.key}-name` }, entry.name),
        h("div", { class: "faint" }, apps.join(" · ")),
      ),
    ),
    h(
      "div",
      { class: "state" },
      h("span", { class: "badge", "data-state": state, part: "badge" }, icon(state), view.say(`state.${state}`)),
      h("span", { class: "faint" }, schedule(entry, view)),
    ),
  ];
}

function drawAttention(entry: Entry, view: View): Branch | null {
  const cause = attentionCause(entry);
  if (!cause) return null;
  const { say, acts } = view;
  return note(
    "warn",
    h("p", {}, say(`attention.${cause}`, { when: when(lastRunAt(entry), view) })),
    cause === "disconnected" && button("quiet", () => acts.connect(entry), {}, say("card.again")),
  );
}

function drawConnect(entry: Entry, { say, acts, opensWindow }: View): Branch {
  const label = say("card.connect.label", { name: entry.name });
  return h(
    "div",
    { class: "actions", key: "connect" },
    button(
      "primary",
      () => acts.connect(entry),
      {
        "data-focus": `${entry.key}-connect`,
        "aria-label": opensWindow ? `${label} (${say("card.new-window")})` : label,
      },
      say("card.connect"),
    ),
  );
}

function drawControls(entry: Entry, { say, acts }: View): Branch {
  const { key, name, active } = entry;
  const busy = entry.busy ? "true" : null;
  const removeLabel = say("card.remove.label", { name });
  return h(
    "div",
    { class: "actions", key: "controls" },
    h(
      "button",
      {
        type: "button",
        role: "switch",
        part: "switch",
        class: "switch",
        "aria-checked": String(active),
        "aria-label": say("card.switch.label", { name }),
        "aria-disabled": busy,
        "data-focus": `${key}-switch`,
        onclick: () => acts.switchTo(entry, !active),
      },
      h("span", { class: "knob" }),
    ),
    h("span", { class: "switch-word", "aria-hidden": "true" }, say(active ? "card.on" : "card.off")),
    active &&
      button(
        "quiet",
        () => acts.run(entry),
        { "aria-label": say("card.run.label", { name }), "aria-disabled": busy },
        icon("play"),
        say("card.run"),
      ),
    button(
      "quiet square",
      () => acts.askRemove(entry),
      { "aria-label": removeLabel, title: removeLabel, "aria-disabled": busy },
      icon("remove"),
    ),
  );
}

function drawRows(entry: Entry, view: View): Branch {
  const { say, acts, locale } = view;
  const { rows, rowsFailure } = entry;
  if (rowsFailure) {
    return note(
      "bad",
      h("p", {}, say("failed.runs")),
      button("quiet", () => acts.loadRuns(entry), {}, say("action.retry")),
      drawDetails(rowsFailure, say),
    );
  }
  if (!rows?.length) return h("p", { class: "faint" }, say(rows ? "runs.empty" : "runs.loading"));
  return h(
    "ul",
    { class: "runs" },
    ...rows
      .slice(0, SHOWN_RUNS)
      .map((row) =>
        h(
          "li",
          { key: row.id, part: "row", "data-status": row.status },
          icon(RUN_ICONS[row.status]),
          h("span", {}, runSentence(row, view)),
          h(
            "time",
            { class: "faint", datetime: row.timestamp, title: momentText(row.timestamp, locale) },
            when(row.timestamp, view),
          ),
        ),
      ),
  );
}

function drawRuns(entry: Entry, view: View): Branch {
  const { say, acts } = view;
  return h(
    "div",
    { class: "runs-box", key: "runs" },
    h(
      "button",
      {
        type: "button",
        class: "disclosure",
        "aria-expanded": String(entry.open === true),
        "aria-label": say("card.runs.label", { name: entry.name }),
        onclick: () => acts.toggleRuns(entry),
      },
      icon("chevron"),
      say("card.runs"),
    ),
    entry.open && h("div", { class: "runs-body" }, drawRows(entry, view)),
  );
}

export function drawCard(entry: Entry, view: View): Branch {
  const state = cardState(entry);
  const made = entry.scenario !== undefined;
  return h(
    "li",
    { class: "card", key: entry.key, part: "card", "data-state": state, "aria-labelledby": `${entry.key}-name` },
    ...drawHead(entry, state, view),
    entry.note && note(entry.note.tone, h("p", {}, entry.note.text), drawDetails(entry.note.failure, view.say)),
    ...(entry.setup
      ? [drawSetup(entry, entry.setup, view)]
      : made
        ? [drawAttention(entry, view), drawControls(entry, view), drawRuns(entry, view)]
        : [drawConnect(entry, view)]),
  );
}
