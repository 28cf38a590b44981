/**
 * A step's answers, without any page: what is shown, with what value it begins, what is wrong with it, and what is
 * sent. The server has the last word; what is checked here is checked so that the customer hears it at once.
 */

import type { Field, FieldShape, Step, Values } from "../../src/api";
import type { Say } from "./copy";

/** Errors by path: the field's uuid, then names and indices, joined with dots. */
export type Errors = Record<string, string>;

const STATIC = new Set(["banner", "markdown", "html", "separator"]);
const COMPONENTS = new Set(["connection", "key", "hook"]);
const NUMBERS = new Set(["number", "integer", "uinteger", "port"]);
const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/i;
const MAIL = /^[^\s@]+@[^\s@.]+(\.[^\s@.]+)+$/;
const COLOR = /^#([0-9a-f]{3}|[0-9a-f]{6}|[0-9a-f]{8})$/i;
/** A pattern of a template runs in the customer's browser only on short answers; the server checks all of them. */
const PATTERN_LIMIT = 200;

export function isStatic(field: FieldShape): boolean {
  return STATIC.has(field.type);
}

export function isComponent(field: FieldShape): field is Field {
  return COMPONENTS.has(field.type);
}

export function isNumber(field: FieldShape): boolean {
  return NUMBERS.has(field.type);
}

export function labelOf(field: FieldShape): string {
  return field.label || field.name;
}

export function isMapped(value: unknown): boolean {
  return typeof value === "string" && value.includes("{{");
}

export function isEmpty(value: unknown): boolean {
  return value === undefined || value === null || value === "" || (Array.isArray(value) && value.length === 0);
}

export function specList(field: FieldShape): FieldShape[] {
  if (Array.isArray(field.spec)) return field.spec;
  return field.spec ? [field.spec] : [];
}

/** An array of one unnamed thing holds plain values; an array described by a list holds collections. */
export function itemShape(field: FieldShape): FieldShape {
  if (field.spec && !Array.isArray(field.spec)) return field.spec;
  if (Array.isArray(field.spec))
    return { name: field.name, label: field.label ?? null, type: "collection", spec: field.spec };
  return { name: field.name, label: field.label ?? null, type: "text" };
}

/** Values are compared as JSON, because an option's value may be anything. */
export function same(one: unknown, other: unknown): boolean {
  return one === other || JSON.stringify(one ?? null) === JSON.stringify(other ?? null);
}

function startCollection(field: FieldShape, given: unknown): Values {
  const known = typeof given === "object" && given !== null && !Array.isArray(given) ? (given as Values) : {};
  const inner = specList(field)
    .filter((part) => !isStatic(part))
    .map((part) => [part.name, startValue(part, known[part.name])] as const);
  return { ...known, ...Object.fromEntries(inner) };
}

/** The value a field begins with, in the form its control edits. */
export function startValue(field: FieldShape, given: unknown): unknown {
  const value = given ?? field.default ?? null;
  switch (field.type) {
    case "boolean":
      return isMapped(value) ? value : value === true || value === "true";
    case "array": {
      const list = Array.isArray(value) ? value : [];
      return list.map((item) => startValue(itemShape(field), item));
    }
    case "collection":
      return startCollection(field, value);
    case "json":
      return value === null || typeof value === "string" ? (value ?? "") : JSON.stringify(value, null, 2);
    case "connection":
    case "key":
    case "hook":
    case "file":
      return value;
    default:
      if (field.options?.length) return field.multiple && !Array.isArray(value) ? [] : (value ?? "");
      return value === null ? "" : typeof value === "object" ? JSON.stringify(value) : String(value);
  }
}

export function startValues(step: Step): Values {
  return Object.fromEntries(
    step.fields
      .filter((field) => !isStatic(field))
      .map((field) => [field.uuid, field.type === "hidden" ? (field.value ?? null) : startValue(field, field.value)]),
  );
}

/** What other steps already answered, for conditions that look across steps. */
export function knownValues(steps: Step[]): Values {
  return Object.assign({}, ...steps.map(startValues)) as Values;
}

/** A field is asked when its condition holds and the field it depends on is itself asked. */
export function isAsked(field: Field, fields: Field[], values: Values, trail: string[] = []): boolean {
  const condition = field.showWhen;
  if (!condition || trail.includes(field.uuid)) return true;
  if (!same(values[condition.uuid], condition.equals)) return false;
  const parent = fields.find(({ uuid }) => uuid === condition.uuid);
  return !parent || isAsked(parent, fields, values, [...trail, field.uuid]);
}

function tidy(field: FieldShape, value: unknown): unknown {
  if (field.type === "array" && Array.isArray(value)) return value.map((item) => tidy(itemShape(field), item));
  if (field.type === "collection" && typeof value === "object" && value !== null) {
    const parts = new Map(specList(field).map((part) => [part.name, part]));
    return Object.fromEntries(
      Object.entries(value).map(([name, item]) => {
        const part = parts.get(name);
        return [name, part ? tidy(part, item) : item];
      }),
    );
  }
  return value === "" || value === undefined ? null : value;
}

/** What is sent: every asked field that can be answered. A hook needs no answer. */
export function answersOf(step: Step, allFields: Field[], values: Values): Values {
  return Object.fromEntries(
    step.fields
      .filter((field) => !isStatic(field) && field.type !== "hook" && isAsked(field, allFields, values))
      .map((field) => [field.uuid, tidy(field, values[field.uuid])]),
  );
}

function wrongNumber(field: FieldShape, text: string, say: Say): string | null {
  const number = Number(text.replace(",", "."));
  if (text.trim() === "" || !Number.isFinite(number)) return say("error.number");
  if (field.type !== "number" && !Number.isInteger(number)) return say("error.integer");
  if (field.type === "uinteger" && number < 0) return say("error.positive");
  if (field.type === "port" && (number < 1 || number > 65535)) return say("error.port");
  const { min, max } = field.validate ?? {};
  if (min !== undefined && min !== null && number < min) return say("error.min", { min });
  if (max !== undefined && max !== null && number > max) return say("error.max", { max });
  return null;
}

function isWebAddress(text: string): boolean {
  try {
    return /^https?:$/.test(new URL(text).protocol);
  } catch {
    return false;
  }
}

function wrongJson(text: string, say: Say): string | null {
  try {
    JSON.parse(text);
    return null;
  } catch (cause) {
    return say("error.json", { reason: cause instanceof Error ? cause.message : "" });
  }
}

function breaksPattern(text: string, pattern: string): boolean {
  if (text.length > PATTERN_LIMIT) return false;
  try {
    return !new RegExp(pattern, "u").test(text);
  } catch {
    // Written for the server's engine; it will say.
    return false;
  }
}

function wrongText(field: FieldShape, text: string, say: Say): string | null {
  const { min, max, pattern } = field.validate ?? {};
  if (typeof min === "number" && text.length < min) return say("error.min-length", { min });
  if (typeof max === "number" && text.length > max) return say("error.max-length", { max });
  if (field.type === "url" && !isWebAddress(text)) return say("error.url");
  if (field.type === "email" && !MAIL.test(text)) return say("error.email");
  if (field.type === "uuid" && !UUID.test(text)) return say("error.uuid");
  if (field.type === "color" && !COLOR.test(text)) return say("error.color");
  if (field.type === "json") return wrongJson(text, say);
  if (pattern && breaksPattern(text, pattern)) return field.help || say("error.pattern");
  return null;
}

function missing(field: FieldShape, say: Say): string {
  const chosen = !!field.options?.length || isComponent(field);
  return say(chosen ? "error.choose" : "error.required", { label: labelOf(field) });
}

function wrongItems(field: FieldShape, items: unknown[], path: string, say: Say): Errors {
  const { minItems, maxItems } = field.validate ?? {};
  const errors: Errors = {};
  if (typeof minItems === "number" && items.length < minItems) errors[path] = say("error.min-items", { min: minItems });
  if (typeof maxItems === "number" && items.length > maxItems) errors[path] = say("error.max-items", { max: maxItems });
  const shape = itemShape(field);
  return Object.assign(errors, ...items.map((item, at) => wrongWith(shape, item, `${path}.${at}`, say))) as Errors;
}

/** Everything that is wrong with one answer, by path. */
export function wrongWith(field: FieldShape, value: unknown, path: string, say: Say): Errors {
  if (isStatic(field) || field.type === "hook" || field.type === "hidden") return {};
  if (field.type === "collection") {
    const inner = (typeof value === "object" && value !== null ? value : {}) as Values;
    return Object.assign(
      {},
      ...specList(field).map((part) => wrongWith(part, inner[part.name], `${path}.${part.name}`, say)),
    ) as Errors;
  }
  if (isEmpty(value)) return field.required && field.type !== "boolean" ? { [path]: missing(field, say) } : {};
  if (isMapped(value)) return {};
  if (Array.isArray(value)) return field.type === "array" ? wrongItems(field, value, path, say) : {};
  if (typeof value !== "string" || field.options?.length) return {};
  const wrong = isNumber(field) ? wrongNumber(field, value, say) : wrongText(field, value, say);
  return wrong ? { [path]: wrong } : {};
}

export function wrongInStep(step: Step, allFields: Field[], values: Values, say: Say): Errors {
  return Object.assign(
    {},
    ...step.fields
      .filter((field) => isAsked(field, allFields, values))
      .map((field) => wrongWith(field, values[field.uuid], field.uuid, say)),
  ) as Errors;
}

/** The id of the control at a path, for labels, links of the error summary and tests. */
export function controlId(path: string): string {
  return `f-${path.replace(/[^\w-]/g, "_")}`;
}
