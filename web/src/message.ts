/**
 * Turns a phrase of a copy deck into a sentence: `{name}` and `{n, plural, =0 {none} one {# run} other {# runs}}`.
 * Widget and wizard share it; a full ICU library would weigh more than the widget itself. The one limit: inside a
 * plural's branch stand words and `#`, no other names.
 */

export type MessageValues = Record<string, string | number>;

const PLURAL = /\{(\w+), plural,((?:[^{}]*\{[^{}]*\})+)\s*\}/g;
const BRANCH = /(\S+)\s*\{([^{}]*)\}/g;
const NAME = /\{(\w+)\}/g;

export function format(phrase: string, values: MessageValues = {}, locale = "en"): string {
  const spell = (value: string | number) => (typeof value === "number" ? value.toLocaleString(locale) : value);
  return phrase
    .replace(PLURAL, (_, name: string, cases: string) => {
      const amount = Number(values[name]);
      const branches = new Map([...cases.matchAll(BRANCH)].map(([, rule = "", words = ""]) => [rule, words]));
      const rule = new Intl.PluralRules(locale).select(amount);
      const words = branches.get(`=${amount}`) ?? branches.get(rule) ?? branches.get("other") ?? "";
      return words.replaceAll("#", spell(amount));
    })
    .replace(NAME, (whole, name: string) => spell(values[name] ?? whole));
}
