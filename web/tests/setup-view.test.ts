/** What a card says of a set-up, and what it offers. */
import { expect, test } from "vitest";
import type { Branch } from "../src/dom";
import { PortalFailure } from "../widget/src/client";
import { voice } from "../widget/src/copy";
import type { Entry } from "../widget/src/entry";
import type { Setup } from "../widget/src/setup";
import { drawSetup, setupWords } from "../widget/src/setup-view";
import type { View } from "../widget/src/view";

const entry = { key: "t1", name: "Orders" } as Entry;
const setupOf = (over: Partial<Setup>) => ({ phase: "waiting", where: () => "window", ...over }) as unknown as Setup;

/** The acts behind the buttons, in their order. */
function offered(setup: Setup): string[] {
  const called: string[] = [];
  const acts = new Proxy({}, { get: (_, name) => () => called.push(String(name)) });
  const view = { say: voice("en").say, acts } as unknown as View;
  const press = (branch: Branch | string): void => {
    if (typeof branch === "string") return;
    if (branch.tag === "button") (branch.attributes.onclick as unknown as () => void)();
    branch.children.forEach(press);
  };
  press(drawSetup(entry, setup, view));
  return called;
}

test("a set-up in a frame is not called a window", () => {
  expect(setupWords(setupOf({}))).toBe("setup.waiting");
  expect(setupWords(setupOf({ where: () => "frame" }))).toBe("setup.waiting.frame");
});

test("a change that was saved is no set-up that was made", () => {
  expect(setupWords(setupOf({ phase: "done" }))).toBe("setup.done");
  expect(setupWords(setupOf({ phase: "done", changes: true }))).toBe("setup.changed");
});

test("trying again over an integration that exists never makes another one", () => {
  expect(offered(setupOf({ phase: "failed" }))).toEqual(["connect", "dismiss"]);
  for (const phase of ["failed", "expired"] as const) {
    expect(offered(setupOf({ phase, changes: true }))).toEqual(["settings", "dismiss"]);
  }
});

test("where there are no answers the card says so and offers nothing that cannot help", () => {
  const failure = new PortalFailure(409, "no_answers", "This integration was not set up in the wizard.");
  const setup = setupOf({ phase: "failed", changes: true, failure });
  expect(setupWords(setup)).toBe("setup.no-answers");
  expect(offered(setup)).toEqual(["dismiss"]);
});
