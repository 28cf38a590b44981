/**
 * Text with items in it, as nodes of an editable element: text nodes, and for each expression a chip that nobody edits.
 * Nothing here knows React; the editor calls it, and reads back the template's text that the server understands.
 *
 * A caret can only stand in text. Beside a chip without text there is therefore a space of no width, which is taken out
 * again whenever the text is read.
 */

import type { PhrasePart } from "../../../src/api";
import { isExpression } from "../../../src/phrase";
import type { ChipWords } from "../phrase";

const NO_WIDTH = "\u200b";
const NO_WIDTHS = /\u200b/g;

export type Describe = (part: Extract<PhrasePart, { expression: string }>) => ChipWords;

function chipOf(expression: string, { name, from, full }: ChipWords): HTMLElement {
  const chip = document.createElement("span");
  chip.className = "chip";
  chip.contentEditable = "false";
  chip.dataset.expression = expression;
  chip.title = full;
  chip.append(name);
  if (from) {
    const source = document.createElement("span");
    source.className = "aside";
    source.textContent = `, ${from}`;
    chip.append(source);
  }
  return chip;
}

export function isChip(node: Node | null | undefined): node is HTMLElement {
  return node instanceof HTMLElement && node.dataset.expression !== undefined;
}

export function nodesOf(parts: PhrasePart[], describe: Describe): Node[] {
  return parts.map((part) =>
    isExpression(part) ? chipOf(part.expression, describe(part)) : document.createTextNode(part.text),
  );
}

/** The template's text that stands in an element. */
export function textIn(root: Node): string {
  let text = "";
  for (const node of root.childNodes) {
    if (isChip(node)) text += node.dataset.expression ?? "";
    else if (node instanceof HTMLBRElement) text += "\n";
    else if (node.nodeType === Node.TEXT_NODE) text += (node.nodeValue ?? "").replaceAll(NO_WIDTHS, "");
    else text += textIn(node);
  }
  return text;
}

/** Gives every chip text on both sides, for the caret. */
export function pad(root: Node): void {
  for (const chip of [...root.childNodes].filter(isChip)) {
    if (chip.previousSibling?.nodeType !== Node.TEXT_NODE) chip.before(NO_WIDTH);
    else if (chip.previousSibling.nodeValue === "") chip.previousSibling.nodeValue = NO_WIDTH;
    if (chip.nextSibling?.nodeType !== Node.TEXT_NODE) chip.after(NO_WIDTH);
    else if (chip.nextSibling.nodeValue === "") chip.nextSibling.nodeValue = NO_WIDTH;
  }
}

function isBlank(text: string): boolean {
  return text.replaceAll(NO_WIDTHS, "") === "";
}

/** The chip right before or after a caret, where no text that can be seen is between. */
export function chipBeside(root: Node, container: Node, offset: number, side: "before" | "after"): HTMLElement | null {
  const step = (node: Node | null) => (side === "before" ? node?.previousSibling : node?.nextSibling) ?? null;
  let next: Node | null;
  if (container.nodeType === Node.TEXT_NODE) {
    const text = container.nodeValue ?? "";
    if (!isBlank(side === "before" ? text.slice(0, offset) : text.slice(offset))) return null;
    next = step(container);
  } else {
    if (container !== root) return null;
    next = root.childNodes[side === "before" ? offset - 1 : offset] ?? null;
  }
  while (next && next.nodeType === Node.TEXT_NODE && isBlank(next.nodeValue ?? "")) next = step(next);
  return isChip(next) ? next : null;
}

/** Where a caret stands right beside a chip. */
export function placeBeside(chip: HTMLElement, side: "before" | "after"): Range {
  const range = document.createRange();
  const text = side === "before" ? chip.previousSibling : chip.nextSibling;
  if (text?.nodeType === Node.TEXT_NODE) {
    const length = text.nodeValue?.length ?? 0;
    range.setStart(text, side === "before" ? length : text.nodeValue?.startsWith(NO_WIDTH) ? 1 : 0);
  } else if (side === "before") range.setStartBefore(chip);
  else range.setStartAfter(chip);
  range.collapse(true);
  return range;
}
