/** An answer in words: text, and items of earlier modules as chips that name the item and where it comes from. */

import type { ReactNode } from "react";
import type { PhrasePart } from "../../src/api";
import { isExpression } from "../../src/phrase";
import type { Say } from "./copy";
import { useSay } from "./copy";

type Expression = Extract<PhrasePart, { expression: string }>;

export interface ChipWords {
  /** What the chip shows. */
  name: string;
  /** Where it comes from; null when several places or none. */
  from: string | null;
  /** All of it, for a title and for readers. */
  full: string;
}

export function chipWords({ items, calculated }: Expression, say: Say): ChipWords {
  const full = (item: Expression["items"][number]) =>
    item.from ? say("map.item", { item: item.label, module: item.from }) : item.label;
  const [first] = items;
  if (!calculated && first && items.length === 1) return { name: first.label, from: first.from, full: full(first) };
  if (items.length === 0) {
    const name = say("map.calculated.alone");
    return { name, from: null, full: name };
  }
  return {
    name: say("map.calculated", { items: items.map(({ label }) => label).join(", ") }),
    from: null,
    full: say("map.calculated", { items: items.map(full).join("; ") }),
  };
}

/** The module is written out once: in a row of items of the same one it would be noise. */
function Chip({ part, withSource }: { part: Expression; withSource: boolean }): ReactNode {
  const { name, from, full } = chipWords(part, useSay());
  return (
    <span className="chip" title={full}>
      {name}
      {from && <span className={withSource ? "chip-from" : "aside"}>, {from}</span>}
    </span>
  );
}

export function Phrase({ parts }: { parts: PhrasePart[] }): ReactNode {
  const say = useSay();
  let said: string | null = null;
  return parts.map((part, at) => {
    const key = `${at}`;
    if (!isExpression(part)) return <span key={key}>{part.text}</span>;
    const { from } = chipWords(part, say);
    const withSource = from !== null && from !== said;
    said = from ?? said;
    return <Chip key={key} part={part} withSource={withSource} />;
  });
}
