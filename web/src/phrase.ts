/**
 * Texts that hold expressions, as the parts a person reads. Pure; the wizard's fields use it while somebody types, and
 * the server sends the same parts for answers that were saved.
 */

import type { MappingItem, PhrasePart } from "./api";

/** An expression ends at the first braces outside of quotes, as in the server's language. */
const EXPRESSION = /\{\{(?:"(?:\\.|[^"\\])*"|[^"])*?\}\}/g;

/** Words of the language that stand for something of their own, as the server says them. */
const KEYWORDS: Record<string, string> = {
  now: "Time of the run",
  timestamp: "Time of the run",
  executionId: "Id of the run",
  random: "A random number",
  uuid: "A new unique id",
};

/** Items are known by their expression; anything else is a calculation the customer typed. */
export function partsOf(text: string, items: MappingItem[]): PhrasePart[] {
  const parts: PhrasePart[] = [];
  let at = 0;
  for (const match of text.matchAll(EXPRESSION)) {
    if (match.index > at) parts.push({ text: text.slice(at, match.index) });
    parts.push(partOf(match[0], items));
    at = match.index + match[0].length;
  }
  if (at < text.length) parts.push({ text: text.slice(at) });
  return parts;
}

function partOf(expression: string, items: MappingItem[]): PhrasePart {
  const wanted = expression.replaceAll(/\s+/g, "");
  const item = items.find((one) => one.expression.replaceAll(/\s+/g, "") === wanted);
  if (item) return { expression, items: [{ label: item.label, from: item.from ?? null }], calculated: false };
  const keyword = KEYWORDS[wanted.slice(2, -2)];
  if (keyword) return { expression, items: [{ label: keyword, from: null }], calculated: false };
  const used = items.filter((one) => reads(expression, one.expression.slice(2, -2)));
  // Of "Customer" and "Customer › Name" only the one that is really read.
  const nearest = used.filter(
    (one) => !used.some((other) => other !== one && other.expression.startsWith(`${one.expression.slice(0, -2)}.`)),
  );
  return {
    expression,
    items: nearest.map(({ label, from }) => ({ label, from: from ?? null })),
    calculated: true,
  };
}

/** Whether `path` stands in the expression as a whole: `1.id` is no part of `11.id` or `1.idle`. */
function reads(expression: string, path: string): boolean {
  for (let at = expression.indexOf(path); at >= 0; at = expression.indexOf(path, at + 1)) {
    const before = expression[at - 1] ?? "";
    const after = expression[at + path.length] ?? "";
    if (!/[\w.`]/.test(before) && !/[\w`]/.test(after)) return true;
  }
  return false;
}

export function isExpression(part: PhrasePart): part is Extract<PhrasePart, { expression: string }> {
  return "expression" in part;
}
