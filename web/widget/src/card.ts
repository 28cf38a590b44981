/** Draws one integration as a card: its state, what can be done with it, and how its last runs went. */

import { type Branch, h } from "../../src/dom";
import { whenText } from "../../src/moments";
import { attentionCause, type CardState, cardState, type Entry, lastRunAt } from "./entry";
import { icon } from "./icons";
import { drawRunList } from "./run-view";
import { drawSetup } from "./setup-view";
import { button, drawDetails, note, type View } from "./view";

/** The portal API gives an app's technical name alone. */
const APP_NAMES: Record<string, string> = {
  http: "HTTP",
  json: "JSON",
  csv: "CSV",
  xml: "XML",
  rss: "RSS",
  gateway: "Webhooks",
  util: "Tools",
  builtin: "Flow control",
  regexp: "Text parser",
  datastore: "Data store",
  "scenario-service": "Scenarios",
};

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
    cause === "disconnected" && button("quiet", () => acts.settings(entry), {}, say("card.again")),
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

function drawControls(entry: Entry, { say, acts, opensWindow }: View): Branch {
  const { key, name, active } = entry;
  const busy = entry.busy ? "true" : null;
  const settingsLabel = say("card.settings.label", { name });
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
      () => acts.settings(entry),
      {
        "aria-label": opensWindow ? `${settingsLabel} (${say("card.new-window")})` : settingsLabel,
        title: settingsLabel,
        "aria-disabled": entry.setup ? "true" : busy,
        "data-focus": `${key}-settings`,
      },
      icon("settings"),
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
  const { say, acts } = view;
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
  return drawRunList(entry, rows, view);
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
    ...(entry.setup && !entry.setup.changes
      ? [drawSetup(entry, entry.setup, view)]
      : made
        ? [
            drawAttention(entry, view),
            entry.setup && drawSetup(entry, entry.setup, view),
            drawControls(entry, view),
            drawRuns(entry, view),
          ]
        : [drawConnect(entry, view)]),
  );
}
