/** A step's answers: beginnings, conditions, complaints, and what is sent. */
import { describe, expect, test } from "vitest";
import type { Field, FieldShape, Step } from "../src/api";
import {
  answersOf,
  controlId,
  isAsked,
  itemShape,
  startValue,
  startValues,
  wrongInStep,
  wrongWith,
} from "../wizard/src/answers";
import { sayer } from "../wizard/src/copy";

const say = sayer("en");
const field = (over: Partial<Field> & { uuid: string }): Field => ({
  name: over.uuid,
  label: over.uuid,
  type: "text",
  ...over,
});
const step = (...fields: Field[]): Step => ({ id: "s", title: "S", state: "current", fields });
const wrong = (shape: Partial<FieldShape>, value: unknown) =>
  wrongWith({ name: "x", label: "X", type: "text", ...shape }, value, "p", say);

describe("where an answer begins", () => {
  test("the given value wins over the default", () => {
    expect(startValue({ name: "a", type: "text", default: "d" }, "v")).toBe("v");
    expect(startValue({ name: "a", type: "text", default: "d" }, null)).toBe("d");
  });

  test("numbers are edited as text, booleans as booleans", () => {
    expect(startValue({ name: "a", type: "integer" }, 3)).toBe("3");
    expect(startValue({ name: "a", type: "boolean" }, null)).toBe(false);
    expect(startValue({ name: "a", type: "boolean" }, "{{1.paid}}")).toBe("{{1.paid}}");
  });

  test("JSON is written out, collections and arrays reach their inner defaults", () => {
    expect(startValue({ name: "a", type: "json" }, { b: 1 })).toBe('{\n  "b": 1\n}');
    const headers: FieldShape = {
      name: "h",
      type: "array",
      spec: [
        { name: "n", type: "text" },
        { name: "on", type: "boolean", default: true },
      ],
    };
    expect(startValue(headers, [{ n: "X", kept: 1 }])).toEqual([{ n: "X", on: true, kept: 1 }]);
    expect(startValue({ name: "c", type: "collection", spec: [{ name: "n", type: "text" }] }, null)).toEqual({ n: "" });
  });

  test("an array without a description holds texts", () => {
    expect(itemShape({ name: "tags", type: "array" }).type).toBe("text");
  });

  test("words between the fields have no answer", () => {
    expect(startValues(step(field({ uuid: "a", type: "banner" }), field({ uuid: "b" })))).toEqual({ b: "" });
  });
});

describe("conditions", () => {
  const parent = field({ uuid: "p", type: "select" });
  const child = field({ uuid: "c", showWhen: { uuid: "p", equals: "custom" } });
  const grandchild = field({ uuid: "g", showWhen: { uuid: "c", equals: "yes" } });
  const all = [parent, child, grandchild];

  test("a field is asked only while the other has its value", () => {
    expect(isAsked(child, all, { p: "custom" })).toBe(true);
    expect(isAsked(child, all, { p: "other" })).toBe(false);
  });

  test("a field whose condition is itself not asked is not asked", () => {
    expect(isAsked(grandchild, all, { p: "other", c: "yes" })).toBe(false);
    expect(isAsked(grandchild, all, { p: "custom", c: "yes" })).toBe(true);
  });

  test("a circle of conditions ends", () => {
    const one = field({ uuid: "1", showWhen: { uuid: "2", equals: "x" } });
    const two = field({ uuid: "2", showWhen: { uuid: "1", equals: "x" } });
    expect(isAsked(one, [one, two], { 1: "x", 2: "x" })).toBe(true);
  });

  test("what is not asked is neither checked nor sent", () => {
    const asked = step(parent, field({ ...child, required: true }));
    expect(wrongInStep(asked, asked.fields, { p: "other", c: "" }, say)).toEqual({});
    expect(answersOf(asked, asked.fields, { p: "other", c: "left over" })).toEqual({ p: "other" });
  });
});

describe("complaints", () => {
  test("a required answer is missed, a required choice too, a switch never", () => {
    expect(wrong({ required: true }, "")).toEqual({ p: "Please fill in “X”." });
    expect(wrong({ required: true, type: "key" }, null)).toEqual({ p: "Please choose one for “X”." });
    expect(wrong({ required: true, type: "boolean" }, false)).toEqual({});
    expect(wrong({}, "")).toEqual({});
  });

  test.each([
    ["number", "12.5", true],
    ["number", "12,5", true],
    ["number", "twelve", false],
    ["integer", "1.5", false],
    ["uinteger", "-1", false],
    ["port", "70000", false],
    ["url", "shop.example", false],
    ["url", "javascript:alert(1)", false],
    ["url", "https://shop.example/x", true],
    ["email", "dana@acme", false],
    ["email", "dana@acme.example", true],
    ["uuid", "77", false],
    ["uuid", "6f0c1a2b-0000-4000-8000-000000000000", true],
    ["color", "blue", false],
    ["json", "{", false],
    ["json", '{"a":1}', true],
    ["hologram", "anything", true],
  ])("a %s answer %s is right: %s", (type, value, right) => {
    expect(Object.keys(wrong({ type }, value)).length === 0).toBe(right);
  });

  test("limits are kept: of numbers, of texts, of lists, of patterns", () => {
    expect(wrong({ type: "number", validate: { min: 1, max: 10 } }, "12")).toEqual({ p: "Please enter 10 or less." });
    expect(wrong({ validate: { min: 2 } }, "a")).toEqual({ p: "Please enter at least 2 characters." });
    expect(wrong({ type: "array", validate: { maxItems: 1 } }, ["a", "b"])).toEqual({
      p: "Please keep at most 1 entry.",
    });
    expect(wrong({ help: "Three digits", validate: { pattern: "^\\d{3}$" } }, "12")).toEqual({ p: "Three digits" });
    expect(wrong({ validate: { pattern: "(unclosed" } }, "12")).toEqual({});
  });

  test("a mapped answer is left to the server", () => {
    expect(wrong({ type: "url" }, "{{1.url}}")).toEqual({});
  });

  test("inside groups a complaint carries its path", () => {
    const headers: Partial<FieldShape> = {
      type: "array",
      spec: [{ name: "n", label: "Name", type: "text", required: true }],
    };
    expect(wrong(headers, [{ n: "a" }, { n: "" }])).toEqual({ "p.1.n": "Please fill in “Name”." });
    expect(controlId("p.1.n")).toBe("f-p_1_n");
  });

  test("an empty group is looked into, so that what it requires is asked", () => {
    expect(
      wrong({ type: "collection", spec: [{ name: "n", label: "N", type: "text", required: true }] }, null),
    ).toEqual({
      "p.n": "Please fill in “N”.",
    });
  });
});

describe("what is sent", () => {
  test("nothing is null, hooks are left out, hidden values go along", () => {
    const asked = step(
      field({ uuid: "a" }),
      field({ uuid: "h", type: "hook" }),
      field({ uuid: "q", type: "hidden", value: "quiet" }),
      field({ uuid: "l", type: "array", spec: [{ name: "n", type: "text" }] }),
    );
    expect(answersOf(asked, asked.fields, { ...startValues(asked), l: [{ n: "" }] })).toEqual({
      a: null,
      q: "quiet",
      l: [{ n: null }],
    });
  });
});
