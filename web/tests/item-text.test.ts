// @vitest-environment happy-dom
/** Editable text with chips in it: what is written comes back, and the caret finds its way around chips. */
import { expect, test } from "vitest";
import { partsOf } from "../src/phrase";
import { chipBeside, isChip, nodesOf, pad, placeBeside, textIn } from "../wizard/src/fields/item-text";

const items = [{ label: "Total", expression: "{{1.total}}", from: "New order" }];

function editable(text: string): HTMLElement {
  const root = document.createElement("div");
  root.append(...nodesOf(partsOf(text, items), () => ({ name: "Total", from: "New order", full: "" })));
  pad(root);
  return root;
}

test("every template's text comes back as it was", () => {
  for (const text of ["", "plain", "{{1.total}}", "a {{1.total}}{{1.total}} b", "line\nline {{now}}"]) {
    expect(textIn(editable(text))).toBe(text);
  }
});

test("a chip shows words, and there is text on both sides for the caret", () => {
  const root = editable("{{1.total}}");
  const chip = [...root.childNodes].find(isChip);
  expect(chip?.textContent).toBe("Total, New order");
  expect(chip?.contentEditable).toBe("false");
  expect([chip?.previousSibling?.nodeValue, chip?.nextSibling?.nodeValue]).toEqual(["\u200b", "\u200b"]);
});

test("beside a chip is where nothing that can be seen is between", () => {
  const root = editable("a{{1.total}}");
  const [text, chip, after] = [...root.childNodes] as [Text, HTMLElement, Text];
  expect(chipBeside(root, text, 1, "after")).toBe(chip);
  expect(chipBeside(root, text, 0, "after")).toBeNull();
  expect(chipBeside(root, after, 1, "before")).toBe(chip);
  expect(chipBeside(root, root, 1, "after")).toBe(chip);
  expect(chipBeside(root, text, 1, "before")).toBeNull();
  const place = placeBeside(chip, "after");
  expect([place.startContainer, place.startOffset]).toEqual([after, 1]);
});

test("line breaks that a browser makes of Enter are read as such", () => {
  const root = editable("a");
  root.append(document.createElement("br"), "b");
  expect(textIn(root)).toBe("a\nb");
});
