/** Which page is shown, from the server's state and the step the customer went back to. */
import { expect, test } from "vitest";
import type { Field, FlowState, Step } from "../src/api";
import { madeAddress, pageCount, pageOf, stepBefore } from "../wizard/src/pages";

const hook = (hookUrl: string | null) =>
  ({ uuid: "h", name: "h", type: "hook", component: { kind: "hook", hookUrl } }) as unknown as Field;
const step = (id: string, state: Step["state"], fields: Field[] = [hook(null)]): Step => ({
  id,
  title: id,
  state,
  fields,
});

function stateOf(over: Partial<FlowState>): FlowState {
  return {
    phase: "step",
    currentStep: "b",
    steps: [step("a", "done"), step("b", "current"), step("c", "todo")],
    options: { autoActivate: false, autoFinalize: false, redirectUri: null },
    ...over,
  } as FlowState;
}

test("each phase has its page", () => {
  expect(pageOf(stateOf({ phase: "intro" }), null).kind).toBe("intro");
  expect(pageOf(stateOf({}), null)).toMatchObject({ kind: "step", index: 1 });
  expect(pageOf(stateOf({ phase: "check", currentStep: null }), null).kind).toBe("check");
  expect(pageOf(stateOf({ phase: "done" }), { stepId: "a", addressReady: false }).kind).toBe("done");
});

test("a step the customer opened is shown instead, one that is gone is not", () => {
  expect(pageOf(stateOf({}), { stepId: "a", addressReady: false })).toMatchObject({ kind: "step", index: 0 });
  expect(pageOf(stateOf({ phase: "check" }), { stepId: "x", addressReady: false }).kind).toBe("check");
});

test("without a current step the first open one is shown", () => {
  expect(pageOf(stateOf({ currentStep: null }), null)).toMatchObject({ kind: "step", index: 1 });
});

test("going back skips steps that ask nothing", () => {
  const state = stateOf({ steps: [step("a", "done"), step("b", "done", []), step("c", "current")], currentStep: "c" });
  expect(stepBefore(state, pageOf(state, null))?.id).toBe("a");
  expect(stepBefore(state, pageOf(state, { stepId: "a", addressReady: false }))).toBeNull();
});

test("an address is shown when saving made it, not when it was there before", () => {
  const before = stateOf({});
  const after = stateOf({
    steps: [step("a", "done", [hook("https://b.example/hook/x")]), step("b", "current"), step("c", "todo")],
  });
  expect(madeAddress(before, after, "a")).toBe(true);
  expect(madeAddress(after, after, "a")).toBe(false);
  expect(madeAddress(before, after, "b")).toBe(false);
});

test("the check is a page to walk unless the flow ends without one", () => {
  expect(pageCount(stateOf({}))).toBe(4);
  expect(pageCount(stateOf({ options: { autoActivate: false, autoFinalize: true, redirectUri: null } }))).toBe(3);
});
