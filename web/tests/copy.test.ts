/** The widget's phrases: replaced by key, by language, never missing. */
import { expect, test } from "vitest";
import { ENGLISH, voice } from "../widget/src/copy";
import { ENGLISH as WIZARD } from "../wizard/src/copy";

test("a phrase is replaced by its key, the others stay English", () => {
  const { say } = voice("en", { "card.connect": "Hook up" });
  expect([say("card.connect"), say("card.run")]).toEqual(["Hook up", "Run now"]);
});

test("a language's region falls back to the language", () => {
  const { say, locale } = voice("de-AT", { de: { "card.connect": "Verbinden" } });
  expect(say("card.connect")).toBe("Verbinden");
  expect(locale).toBe("de-AT");
});

test("dates follow the words: a language without phrases is spoken in English", () => {
  expect(voice("fr", { de: { "card.connect": "Verbinden" } }).locale).toBe("en");
});

test("a tag that is no language does not break the widget", () => {
  expect(voice("en_US!!", {}).locale).toBe("en");
});

test("no phrase names a status code or is left blank by mistake", () => {
  for (const [key, phrase] of [...Object.entries(ENGLISH), ...Object.entries(WIZARD)]) {
    expect(phrase, key).not.toMatch(/\b(40\d|50\d|HTTP \d)/);
    if (key !== "setup.cancelled") expect(phrase.trim(), key).not.toBe("");
  }
});
