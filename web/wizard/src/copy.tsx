/** Every phrase the wizard says, and how a component gets at it. Cause, effect on the customer's data, one action. */

import { createContext, type ReactNode, useContext, useMemo } from "react";
import { format, type MessageValues } from "../../src/message";

export const ENGLISH = {
  "app.loading": "Loading…",
  "app.title": "{page} – {template}",
  "app.progress": "Progress",
  "app.step": "Step {index} of {of}",
  "app.step.said": "Step {index} of {of}: {title}",
  "app.done": "done",
  "app.saved": "Every step is saved. You can close this window and go on later.",

  "intro.eyebrow": "Set up an integration",
  "intro.apps": "Works with",
  "intro.steps": "What we will ask",
  "intro.nothing": "Nothing. It is ready to be switched on.",
  "intro.time": "{n, plural, one {# short step} other {# short steps}}, each is saved as you go.",
  "intro.start": "Get started",

  "step.continue": "Save and continue",
  "step.next": "Continue",
  "step.done": "Done",
  "step.back": "Back",
  "step.failed": "This step could not be saved. Your answers are still here.",
  "step.nothing": "There is nothing to fill in here.",

  "errors.title": "{n, plural, one {One answer needs another look} other {# answers need another look}}",
  "error.required": "Please fill in “{label}”.",
  "error.choose": "Please choose one for “{label}”.",
  "error.number": "Please enter a number, for example 12.5.",
  "error.integer": "Please enter a whole number.",
  "error.positive": "Please enter a whole number that is not negative.",
  "error.port": "A port is a number between 1 and 65535.",
  "error.min": "Please enter {min} or more.",
  "error.max": "Please enter {max} or less.",
  "error.min-length": "Please enter at least {min, plural, one {# character} other {# characters}}.",
  "error.max-length": "Please enter at most {max, plural, one {# character} other {# characters}}.",
  "error.min-items": "Please add at least {min, plural, one {# entry} other {# entries}}.",
  "error.max-items": "Please keep at most {max, plural, one {# entry} other {# entries}}.",
  "error.pattern": "This does not have the form that is asked for.",
  "error.url": "This is not a complete address. It begins with https://",
  "error.email": "This is not a complete e-mail address.",
  "error.uuid": "This is not a complete id. It has 36 characters, like 6f0c1a2b-….",
  "error.json": "This is not valid JSON: {reason}",
  "error.color": "A colour is written like #3457d5.",
  "error.file": "This file is larger than {size}. Choose a smaller one.",

  "field.choose": "Choose…",
  "field.none": "No choice",
  "field.add": "Add {label}",
  "field.add.entry": "Add an entry",
  "field.remove": "Remove {label} {n}",
  "field.entry": "{label} {n}",
  "field.entries.none": "No entries yet.",
  "field.added": "{label} {n} added.",
  "field.removed": "{label} {n} removed.",
  "field.search.none": "Nothing found",
  "field.picker": "Colour picker for {label}",

  "map.insert": "Insert item",
  "map.items": "Items",
  "map.search": "Search items",
  "map.item": "{item}, from {module}",
  "map.calculated": "calculated from {items}",
  "map.calculated.alone": "calculated",
  "map.hint": "Items are filled in at every run.",
  "map.use": "Use an item instead",
  "map.plain": "Choose a fixed value instead",

  "component.new": "Create a new one",
  "component.new.only": "Fill in once; it is kept encrypted and used only for this.",
  "component.name": "Name",
  "component.name.help": "So that you recognise it later.",
  "component.none": "There is none yet that you may use. Ask {vendor} to add one.",
  "consent.connect": "Connect {provider}",
  "consent.again": "Connect again",
  "consent.needed": "{label} has to be connected again",
  "consent.text": "A window opens in which you agree. You come back here by yourself.",
  "consent.waiting": "Waiting until you have agreed in the other window.",
  "consent.blocked": "Your browser kept the window from opening. Allow windows of this page and try again.",
  "consent.failed": "That did not work. Try again.",
  "secret.show": "Show what is typed",

  "hook.later": "The address is made when you continue, and shown then.",
  "hook.secret": "Treat it like a password: whoever knows it can send data.",
  "hook.copy": "Copy",
  "hook.copied": "Copied",
  "hook.copy.label": "Copy {label}",
  "hook.ready.title": "Your address is ready",
  "hook.ready.text": "Copy it to where it is needed. You find it again on the next pages.",

  "check.title": "Check and finish",
  "check.text": "This is what you chose. You can change it now, and later in {vendor}.",
  "check.empty.title": "Ready to finish",
  "check.empty.text": "There is nothing to fill in.",
  "check.none": "No answer",
  "check.change": "Change",
  "check.change.label": "Change {step}",
  "check.trouble":
    "{n, plural, one {One answer may not work yet} other {# answers may not work yet}}. You can change it, or finish anyway.",
  "check.bad": "needs a look",
  "check.on": "It is switched on as soon as you finish.",
  "check.off": "It stays off until you switch it on in {vendor}.",
  "check.finish.on": "Finish and switch on",
  "check.finish.off": "Finish",
  "change.title": "Settings",
  "change.text": "These are your answers. Change what you like, then save.",
  "change.empty": "Nothing was asked when this was set up, so there is nothing to change here.",
  "change.unsaved": "Your changes take effect when you save them. Until then it runs with the answers of before.",
  "change.on": "It is switched on.",
  "change.off": "It is switched off. You can switch it on in {vendor}.",
  "change.save": "Save changes",
  "change.close": "Close",
  "change.done.title": "Saved",
  "change.done": "{name} runs with your new answers from now on.",
  "change.done.off": "{name} will run with your new answers when it is switched on.",
  "check.failed": "It could not be finished. Your answers are saved.",

  "done.title": "All set",
  "done.on": "{name} is on.",
  "done.off": "{name} is set up. Switch it on in {vendor} when you are ready.",
  "done.close": "You can close this window.",
  "done.close.act": "Close",
  "done.later": "You find your answers again in {vendor}, and can change them there.",
  "done.answers": "Your answers",
  "done.change": "Change the answers",
  "done.change.failed": "The answers could not be opened. What you set up is not affected.",
  "done.closing": "This window closes by itself.",
  "done.back": "Taking you back to {vendor}…",
  "done.back.link": "Go on now",

  "hand.eyebrow": "{vendor} asks you to connect",
  "hand.loading": "Request for credentials",
  "hand.kept": "What you fill in is kept encrypted. Nobody can read it by this link again, and neither can you.",
  "hand.until": "This link works until {date}.",
  "hand.for": "For {app}",
  "hand.more": "{label}: more rights",
  "hand.more.text": "You are connected already. {vendor} asks for more than you agreed to then.",
  "hand.scopes": "{n, plural, one {It asks for one right} other {It asks for # rights}}",
  "hand.none": "{vendor} has not set up {label} yet, so it cannot be connected at this moment. Tell them, or decline.",
  "hand.submit": "Hand over",
  "hand.submit.label": "Hand over {label}",
  "hand.decline": "Decline",
  "hand.decline.label": "Decline {label}",
  "hand.reason": "Why you decline",
  "hand.reason.help": "You need not say. {vendor} sees it.",
  "hand.keep": "Do not decline",
  "hand.done": "Handed over",
  "hand.done.said": "{label}: handed over.",
  "hand.declined": "Declined",
  "hand.declined.said": "{label}: declined.",
  "hand.failed": "That could not be sent. What you filled in is still here.",
  "hand.end.title": "All set",
  "hand.end": "Thank you. {vendor} can use what you handed over.",
  "hand.end.none": "You declined. {vendor} sees that, and what you wrote.",
  "hand.ended.title": "This link has ended",
  "hand.ended.text": "Nothing more can be handed over by it. Ask whoever sent you the link for a new one.",
  "hand.load.title": "The request could not be loaded",

  "problem.expired.title": "This link has expired",
  "problem.expired.text":
    "Nothing you saved is lost. Ask {vendor} for a new one, or start the set-up again from there.",
  "problem.vendor": "the page that brought you here",
  "problem.load.title": "The set-up could not be loaded",
  "problem.load.text": "Nothing was changed. Most often this is over in a moment.",
  "problem.retry": "Try again",
  "problem.details": "Details",
  "problem.reference": "Reference {id}",
} as const;

export type PhraseKey = keyof typeof ENGLISH;
export type Say = (key: PhraseKey, values?: MessageValues) => string;

export function sayer(locale: string): Say {
  return (key, values) => format(ENGLISH[key], values, locale);
}

const SayContext = createContext<Say>(sayer("en"));

/** The phrases are English for now, so numbers are too, whatever the flow's language. */
export function Spoken({ children }: { children: ReactNode }): ReactNode {
  const say = useMemo(() => sayer("en"), []);
  return <SayContext.Provider value={say}>{children}</SayContext.Provider>;
}

export function useSay(): Say {
  return useContext(SayContext);
}
