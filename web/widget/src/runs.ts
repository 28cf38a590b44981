/** Says what a run did, in a sentence. Pure; the card prints it. */

import type { LogRow } from "../../src/api";
import { durationText } from "../../src/moments";
import type { Voice } from "./copy";
import type { Note } from "./entry";

function figures({ operations, duration }: LogRow, { say, locale }: Voice): { operations: string; duration: string } {
  return { operations: say("run.operations", { n: operations }), duration: durationText(duration, locale) };
}

export function runSentence(row: LogRow, voice: Voice): string {
  const trigger = voice.say(row.type === "manual" ? "run.by-hand" : "run.by-itself");
  return voice.say(`run.said.${row.status}`, { trigger, ...figures(row, voice) });
}

export function runResult(row: LogRow, voice: Voice): Note {
  const values = figures(row, voice);
  if (row.status === 3) return { tone: "bad", text: voice.say("run.failed") };
  if (row.status === 2) return { tone: "warn", text: voice.say("run.warned", values) };
  return { tone: "good", text: voice.say("run.done", values) };
}
