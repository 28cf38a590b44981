/** The demo's sentences. */
import { expect, test } from "vitest";
import { executionSentence, moduleName } from "../demo/src/executions";

const row = { id: "x", scenarioId: 1, scenarioName: "S", timestamp: "", duration: 318, operations: 2 };

test("every outcome is a sentence", () => {
  expect(([0, 1, 2, 3] as const).map((status) => executionSentence({ ...row, status }))).toEqual([
    "Working on the order…",
    "Handled the order: 2 operations in 318 ms.",
    "Handled the order with a warning: 2 operations in 318 ms.",
    "Did not finish; it stopped after 2 operations.",
  ]);
});

test("a module is named as a person would", () => {
  expect(moduleName("gateway:CustomWebHook")).toBe("Webhook received");
  expect(moduleName("datastore:AddRecord")).toBe("Add record");
  expect(moduleName("router")).toBe("Router");
});
