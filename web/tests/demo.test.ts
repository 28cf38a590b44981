/** The demo's sentences. */
import { expect, test } from "vitest";
import { executionSentence, runSummary } from "../demo/src/executions";
import type { RunStep } from "../src/api";

const row = { id: "x", scenarioId: 1, scenarioName: "S", timestamp: "", duration: 318, operations: 2 };

test("every outcome is a sentence", () => {
  expect(([0, 1, 2, 3] as const).map((status) => executionSentence({ ...row, status }))).toEqual([
    "Working on the order…",
    "Handled the order: 2 operations in 318\u00a0ms.",
    "Handled the order with a warning: 2 operations in 318\u00a0ms.",
    "Did not finish; it stopped after 2 operations.",
  ]);
});

test("a run is summed up in one line by what its modules are called", () => {
  const step = (moduleId: number, name: string, error: RunStep["error"] = null): RunStep => ({
    moduleId,
    module: "util:SetVariables",
    name,
    app: "Tools",
    operation: 1,
    input: null,
    outputs: [],
    error,
  });
  const steps = [step(1, "New order"), step(2, "Each item"), step(2, "Each item"), step(3, "Add up")];
  expect(runSummary({ id: "x", status: 1, steps })).toBe("New order → Each item → Add up");
  const failed = [step(1, "New order"), step(2, "Tell the shop", { name: "ConnectionError", message: "no route" })];
  expect(runSummary({ id: "x", status: 3, steps: failed })).toBe(
    "New order → Tell the shop. It stopped at “Tell the shop”.",
  );
});
