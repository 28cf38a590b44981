/** Phrases become sentences. */
import { expect, test } from "vitest";
import { format } from "../src/message";

test("a name is replaced by its value", () => {
  expect(format("Connect {name}", { name: "Shop" })).toBe("Connect Shop");
});

test("a name without a value stays visible, so that a mistake is seen", () => {
  expect(format("Connect {name}", {})).toBe("Connect {name}");
});

test("a plural follows the language's rule and writes the number its way", () => {
  const phrase = "{n, plural, =0 {no runs} one {# run} other {# runs}} today";
  expect(format(phrase, { n: 0 })).toBe("no runs today");
  expect(format(phrase, { n: 1 })).toBe("1 run today");
  expect(format(phrase, { n: 1200 }, "en")).toBe("1,200 runs today");
  expect(format("{n, plural, one {# krok} few {# kroky} other {# kroků}}", { n: 3 }, "cs")).toBe("3 kroky");
});

test("a value that looks like a phrase is not read as one", () => {
  expect(format("{a} and {b}", { a: "{b}", b: "two" })).toBe("{b} and two");
});
