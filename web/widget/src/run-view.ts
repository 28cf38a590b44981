/** Draws a card's recent runs: a sentence each, and unfolded the modules that worked, by their names. Never their data. */

import type { LogDetail, LogRow, RunError } from "../../src/api";
import { type Branch, h } from "../../src/dom";
import { momentText, whenText } from "../../src/moments";
import { errorCause, errorMessage, type ModuleStory, storiesOf } from "../../src/steps";
import { PortalFailure } from "./client";
import type { Entry } from "./entry";
import { icon } from "./icons";
import { runSentence } from "./runs";
import { drawDetails, type View } from "./view";

const SHOWN_RUNS = 5;
const RUN_ICONS = ["setting-up", "active", "attention", "error"] as const;

function drawModule({ moduleId, name, app, times, error }: ModuleStory, { say }: View): Branch {
  return h(
    "li",
    { key: moduleId, "data-failed": error !== null },
    h("span", {}, name),
    h("span", { class: "faint" }, times > 1 ? ` ${app} · ${say("run.step.times", { n: times })}` : ` ${app}`),
  );
}

/** Why a run ended early: the module's name and the cause in words; the server's own sentence is folded away. */
function drawCause(error: RunError, stories: ModuleStory[], { say }: View): Branch {
  const at = stories.find(({ moduleId }) => moduleId === error.moduleId) ?? stories.find((one) => one.error);
  const cause = errorCause(error);
  const words = cause ?? errorMessage(error);
  return h(
    "div",
    { class: "run-cause", key: "cause" },
    h("p", {}, at ? say("run.cause", { name: at.name, cause: words }) : words),
    cause !== null &&
      !!error.message &&
      h("details", {}, h("summary", {}, say("error.details")), h("p", {}, error.message)),
  );
}

function drawKnown(detail: LogDetail, view: View): Branch[] {
  const { say } = view;
  const stories = storiesOf(detail.steps);
  const parts: Branch[] = [];
  if (detail.error) parts.push(drawCause(detail.error, stories, view));
  if (stories.length === 0) return [...parts, ...(detail.error ? [] : [h("p", { key: "none" }, say("run.nothing"))])];
  return [
    ...parts,
    h("p", { class: "faint", key: "sum" }, say("run.steps", { n: stories.length })),
    h("ol", { class: "modules", key: "modules" }, ...stories.map((story) => drawModule(story, view))),
  ];
}

function drawDetail(detail: LogDetail | PortalFailure | undefined, view: View): Branch {
  const inside =
    detail === undefined
      ? [h("p", { class: "faint", role: "status" }, view.say("run.loading"))]
      : detail instanceof PortalFailure
        ? [h("p", { role: "alert" }, view.say("failed.run-detail")), drawDetails(detail, view.say) as Branch]
        : drawKnown(detail, view);
  return h("div", { class: "run-detail", key: "detail" }, ...inside);
}

function drawRun(entry: Entry, row: LogRow, view: View): Branch {
  const { locale, say, acts } = view;
  const open = entry.openRun === row.id;
  const now = whenText(row.timestamp, Date.now(), locale, say("time.now"));
  return h(
    "li",
    { key: row.id, part: "row", "data-status": row.status },
    icon(RUN_ICONS[row.status]),
    h(
      "div",
      { class: "run" },
      h(
        "button",
        {
          type: "button",
          class: "run-line",
          "aria-expanded": String(open),
          title: say("run.more"),
          onclick: () => void acts.toggleRun(entry, row.id),
        },
        h("span", {}, runSentence(row, view)),
        h("time", { class: "faint", datetime: row.timestamp, title: momentText(row.timestamp, locale) }, now),
      ),
      open && drawDetail(entry.details.get(row.id), view),
    ),
  );
}

export function drawRunList(entry: Entry, rows: LogRow[], view: View): Branch {
  return h("ul", { class: "runs" }, ...rows.slice(0, SHOWN_RUNS).map((row) => drawRun(entry, row, view)));
}
