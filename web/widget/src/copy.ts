/**
 * Every phrase the widget says. Integrators replace any of them through `el.translations`; the rule for a new
 * one: what happened, what it means for the customer's data, one thing to do. No codes outside "Details".
 */

import { format, type MessageValues } from "../../src/message";

export const ENGLISH = {
  "list.label": "Integrations",
  "list.loading": "Loading integrations…",
  "list.loaded": "{n, plural, one {# integration} other {# integrations}} loaded.",
  "list.search": "Search integrations",
  "list.found": "{n, plural, =0 {No integration matches} one {# integration matches} other {# integrations match}}.",
  "list.none.title": "No match",
  "list.none.text": "No integration is called “{query}”.",
  "list.none.clear": "Clear the search",
  "list.empty.title": "Nothing to connect yet",
  "list.empty.text": "Integrations appear here as soon as they are published.",

  "error.title": "The integrations could not be loaded",
  "error.text": "Nothing was changed. Most often this is over in a moment.",
  "error.signin.title": "Please sign in again",
  "error.signin.text": "Your session has ended. Your integrations keep running.",
  "error.plan.title": "Not included",
  "error.plan.text": "Your plan or role does not include integrations. An administrator can change that.",
  "error.offline.title": "You are offline",
  "error.offline.text": "Your integrations keep running. The list loads when you are connected again.",
  "error.details": "Details",
  "error.reference": "Reference {id}",

  "state.available": "Available",
  "state.setting-up": "Setting up",
  "state.active": "Active",
  "state.paused": "Paused",
  "state.attention": "Needs attention",

  "card.instantly": "Runs instantly",
  "card.interval":
    "{n, plural, =1 {Runs every minute} =60 {Runs every hour} =1440 {Runs every day} other {Runs every # minutes}}",
  "card.scheduled": "Runs on a schedule",
  "card.connect": "Connect",
  "card.connect.label": "Connect {name}",
  "card.new-window": "opens a window",
  "card.on": "On",
  "card.off": "Off",
  "card.switch.label": "{name} is on",
  "card.run": "Run now",
  "card.run.label": "Run now: {name}",
  "card.settings": "Settings",
  "card.settings.label": "Settings of {name}",
  "card.remove.label": "Remove {name}",
  "card.runs": "Recent runs",
  "card.runs.label": "Recent runs of {name}",
  "card.again": "Set it up again",

  "attention.disconnected": "A connection no longer works, so nothing runs. What has been sent stays where it is.",
  "attention.failed": "The last run, {when}, did not finish. Later runs are not affected.",

  "setup.opening": "Opening the set-up…",
  "setup.waiting": "Continue in the window that opened. This card follows by itself.",
  "setup.waiting.frame": "Continue in the set-up on this page. This card follows by itself.",
  "setup.silent":
    "The set-up does not appear here. This page or your browser may not allow it inside another page. Nothing is lost.",
  "setup.silent.window": "Open it in a window",
  "setup.long": "Still waiting for the set-up. You can leave this page; every saved step is kept.",
  "setup.closed": "Closed? Every step you saved is kept.",
  "setup.blocked": "Your browser blocked the window.",
  "setup.blocked.link": "Open the set-up here instead",
  "setup.blocked.after": "We bring you back to this page.",
  "setup.redirecting": "Taking you to the set-up…",
  "setup.unfinished": "A set-up you started was not finished.",
  "setup.not-yet": "Not finished yet: some steps are still open.",
  "setup.offline": "No connection at the moment. We keep trying.",
  "setup.failed": "The set-up could not be opened. Nothing was changed.",
  "setup.expired": "This set-up has expired. Nothing was changed.",
  "setup.act.again": "Try again",
  "setup.act.restart": "Start again",
  "setup.act.finished": "I finished",
  "setup.act.cancel": "Cancel",
  "setup.act.ok": "OK",
  "setup.done": "{name} is set up.",
  "setup.no-answers": "{name} was not set up here, so there are no answers to show or to change.",
  "setup.changed": "Your changes to {name} are saved.",
  "setup.cancelled": "",
  "setup.frame": "Set up {name}",
  "setup.close": "Close",
  "setup.dirty": "Answers on this step are not saved yet.",
  "setup.keep": "Keep going",
  "setup.discard": "Close anyway",

  "done.activated": "{name} is on.",
  "done.paused": "{name} is paused. Nothing runs until you switch it on.",
  "done.removed": "{name} was removed.",
  "failed.activate": "{name} could not be switched on. It is still off.",
  "failed.deactivate": "{name} could not be paused. It is still on.",
  "failed.run": "The run could not be started. Nothing was sent.",
  "failed.remove": "{name} could not be removed. It is unchanged.",
  "failed.runs": "The recent runs could not be loaded.",
  "action.retry": "Try again",

  "run.starting": "Starting…",
  "run.started": "Started. The result appears under “Recent runs”.",
  "run.done": "Finished: {operations} in {duration}.",
  "run.warned": "Finished with a warning after {operations}.",
  "run.failed": "Did not finish. Nothing else was affected.",
  "run.operations": "{n, plural, one {# operation} other {# operations}}",
  "run.by-hand": "Started by hand",
  "run.by-itself": "Ran by itself",
  "run.said.0": "{trigger} and is still running.",
  "run.said.1": "{trigger} and finished: {operations} in {duration}.",
  "run.said.2": "{trigger} and finished with a warning: {operations} in {duration}.",
  "run.said.3": "{trigger} and did not finish; it stopped after {operations}.",
  "run.more": "What happened",
  "run.steps": "{n, plural, one {# module} other {# modules}}, in this order:",
  "run.step.times": "{n} times",
  "run.step.failed": "It stopped here.",
  "run.nothing": "Nothing has been recorded yet.",
  "run.loading": "Loading what happened…",
  "failed.run-detail": "What happened could not be loaded.",
  "run.cause": "It stopped at “{name}”. {cause}",
  "runs.loading": "Loading recent runs…",
  "runs.empty": "No runs yet.",
  "time.now": "just now",

  "remove.title": "Remove “{name}”?",
  "remove.text":
    "It stops running and its settings are deleted. What it has sent stays where it is. You can connect it again at any time.",
  "remove.confirm": "Remove",
  "remove.cancel": "Keep it",
} as const;

export type PhraseKey = keyof typeof ENGLISH;
export type Phrases = Partial<Record<PhraseKey, string>>;
/** Either phrases alone, or phrases by language. */
export type Translations = Phrases | Record<string, Phrases>;
export type Say = (key: PhraseKey, values?: MessageValues) => string;

export interface Voice {
  say: Say;
  /** For dates and numbers: the language the phrases are really in. */
  locale: string;
}

function byLanguage(translations: Translations): translations is Record<string, Phrases> {
  return Object.values(translations).some((value) => typeof value === "object");
}

function phrasesFor(translations: Translations, lang: string): Phrases | undefined {
  if (!byLanguage(translations)) return translations;
  return translations[lang] ?? translations[lang.split("-")[0] ?? lang];
}

/** A bad translation or tag must not take the widget down: English stands in for what is missing. */
export function voice(lang: string, translations: Translations = {}): Voice {
  const phrases = phrasesFor(translations, lang);
  const translated = phrases !== undefined && Object.keys(phrases).length > 0;
  const locale = supported(translated || lang.startsWith("en") ? lang : "en");
  return { locale, say: (key, values) => format(phrases?.[key] ?? ENGLISH[key], values, locale) };
}

function supported(lang: string): string {
  try {
    return Intl.DateTimeFormat.supportedLocalesOf(lang)[0] ?? "en";
  } catch {
    return "en";
  }
}
