/** What a run did, told by the names of its modules. */
import { expect, test } from "vitest";
import type { RunStep } from "../src/api";
import { errorCause, errorMessage, storiesOf } from "../src/steps";

const step = (moduleId: number, over: Partial<RunStep> = {}): RunStep => ({
  moduleId,
  module: "util:FunctionAggregator2",
  name: "Add up",
  app: "Tools",
  operation: 1,
  input: null,
  outputs: [],
  error: null,
  ...over,
});

test("a module is one story, however often it worked, in the order of first appearance", () => {
  const failed = step(2, { error: { name: "DataError", message: "no" } });
  const stories = storiesOf([step(2), step(1, { name: "New order" }), failed]);
  expect(stories.map(({ name, times, error }) => [name, times, error?.message])).toEqual([
    ["Add up", 2, "no"],
    ["New order", 1, undefined],
  ]);
});

test("without a name the kind of a module is said in words", () => {
  const { name: _name, app: _app, ...bare } = step(1, { module: "datastore:AddRecord" });
  expect(storiesOf([bare])[0]).toMatchObject({ name: "Add record", app: "datastore" });
});

test("an error is a cause in words first, and never an empty line", () => {
  expect(errorCause({ name: "ConnectionError", message: "ECONNREFUSED" })).toBe("The other side could not be reached.");
  expect(errorCause({ name: "RuntimeError" })).toBeNull();
  expect(errorMessage({ name: "ConnectionError", message: "" })).toBe("The other side could not be reached.");
  expect(errorMessage({ name: "Odd" })).toBe("Odd");
});
