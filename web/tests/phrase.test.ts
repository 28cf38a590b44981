/** Expressions in a text, as the items that a person chose. */
import { expect, test } from "vitest";
import { partsOf } from "../src/phrase";
import { sayer } from "../wizard/src/copy";
import { chipWords } from "../wizard/src/phrase";

const items = [
  { label: "Customer", expression: "{{1.customer}}", from: "New order" },
  { label: "Customer › Name", expression: "{{1.customer.name}}", from: "New order" },
  { label: "Total", expression: "{{1.total}}", from: "New order" },
  { label: "Totals", expression: "{{11.total}}", from: "Add up" },
];
const chip = (expression: string, items: { label: string; from: string | null }[], calculated = false) => ({
  expression,
  items,
  calculated,
});

test("text stays text and items get their names", () => {
  expect(partsOf("For {{1.customer.name}}: {{ 1.total }}!", items)).toEqual([
    { text: "For " },
    chip("{{1.customer.name}}", [{ label: "Customer › Name", from: "New order" }]),
    { text: ": " },
    chip("{{ 1.total }}", [{ label: "Total", from: "New order" }]),
    { text: "!" },
  ]);
  expect(partsOf("plain {{", items)).toEqual([{ text: "plain {{" }]);
  expect(partsOf("", items)).toEqual([]);
});

test("a calculation names what it reads: the nearest item, and no other that only looks alike", () => {
  expect(partsOf("{{upper(1.customer.name)}}", items)).toEqual([
    chip("{{upper(1.customer.name)}}", [{ label: "Customer › Name", from: "New order" }], true),
  ]);
  expect(partsOf("{{11.total * 2}}", items)[0]).toMatchObject({ items: [{ label: "Totals" }] });
  expect(partsOf("{{now}}", items)[0]).toMatchObject({ items: [{ label: "Time of the run" }], calculated: false });
  expect(partsOf("{{formatDate(now)}}", items)[0]).toMatchObject({ items: [], calculated: true });
});

test("braces inside quotes end no expression", () => {
  expect(partsOf('a {{replace(1.total; "}}"; "{{")}} b', items)).toHaveLength(3);
});

test("a chip says the item, where it comes from, or that it is calculated", () => {
  const say = sayer("en");
  expect(chipWords(chip("x", [{ label: "Total", from: "New order" }]), say)).toEqual({
    name: "Total",
    from: "New order",
    full: "Total, from New order",
  });
  expect(chipWords(chip("x", [{ label: "Total", from: "New order" }], true), say).name).toBe("calculated from Total");
  expect(chipWords(chip("x", [], true), say).name).toBe("calculated");
});
