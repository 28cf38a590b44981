// @vitest-environment happy-dom
/** Drawing changes what differs and keeps the rest, focus included. */
import { beforeEach, expect, test, vi } from "vitest";
import { h, paint } from "../src/dom";

let box: HTMLElement;
beforeEach(() => {
  box = document.createElement("div");
  document.body.replaceChildren(box);
});
const list = (...keys: string[]) => [h("ul", {}, ...keys.map((key) => h("li", { key, id: key }, key)))];

test("text is text, whatever it looks like", () => {
  paint(box, [h("p", {}, "<img src=x onerror=alert(1)>")]);
  expect(box.querySelector("img")).toBeNull();
  expect(box.textContent).toBe("<img src=x onerror=alert(1)>");
});

test("an element stays itself while its words and attributes change", () => {
  paint(box, [h("button", { "aria-checked": "false" }, "Off")]);
  const before = box.querySelector("button");
  before?.focus();
  paint(box, [h("button", { "aria-checked": "true", disabled: null }, "On")]);
  expect(box.querySelector("button")).toBe(before);
  expect(document.activeElement).toBe(before);
  expect([before?.textContent, before?.getAttribute("aria-checked")]).toEqual(["On", "true"]);
});

test("keyed entries keep their nodes when others come and go", () => {
  paint(box, list("a", "b", "c"));
  const b = box.querySelector("#b");
  paint(box, list("b", "c", "d"));
  expect(box.querySelector("#b")).toBe(b);
  expect([...box.querySelectorAll("li")].map(({ id }) => id)).toEqual(["b", "c", "d"]);
  paint(box, list("x", "b"));
  expect(box.querySelector("#b")).toBe(b);
  expect([...box.querySelectorAll("li")].map(({ id }) => id)).toEqual(["x", "b"]);
});

test("a listener is replaced, not added, and goes when it is no longer drawn", () => {
  const [one, two] = [vi.fn(), vi.fn()];
  paint(box, [h("button", { onclick: one }, "x")]);
  paint(box, [h("button", { onclick: two }, "x")]);
  box.querySelector("button")?.click();
  paint(box, [h("button", {}, "x")]);
  box.querySelector("button")?.click();
  expect([one.mock.calls.length, two.mock.calls.length]).toEqual([0, 1]);
});

test("children that are nothing are not drawn", () => {
  paint(box, [h("p", {}, false, null, undefined, "", 0, "x")]);
  expect(box.textContent).toBe("0x");
});
