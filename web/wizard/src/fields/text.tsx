/** The controls that hold one line or one word: text, numbers, moments, colours, switches, secrets, JSON. */

import { Checkbox, PasswordInput, Textarea, TextInput } from "@mantine/core";
import type { ReactNode } from "react";
import { useSay } from "../copy";
import { type FieldProps, useControl } from "./form";

const KEYBOARDS: Record<string, "decimal" | "numeric" | "url" | "email"> = {
  number: "decimal",
  integer: "numeric",
  uinteger: "numeric",
  port: "numeric",
  url: "url",
  email: "email",
};
const EXAMPLES: Record<string, string> = { url: "https://" };
const NARROW = new Set(["number", "integer", "uinteger", "port", "date", "time", "timestamp", "color"]);

function textOf(value: unknown): string {
  if (value === null || value === undefined) return "";
  return typeof value === "object" ? JSON.stringify(value) : String(value);
}

export function TextField(props: FieldProps): ReactNode {
  const { field } = props;
  const { set, ...control } = useControl(props);
  const text = textOf(props.value);
  if (field.multiline) {
    return <Textarea {...control} value={text} autosize minRows={3} onChange={(event) => set(event.target.value)} />;
  }
  return (
    <TextInput
      {...control}
      className={NARROW.has(field.type) ? "narrow" : ""}
      value={text}
      inputMode={KEYBOARDS[field.type] ?? "text"}
      placeholder={EXAMPLES[field.type] ?? ""}
      autoComplete={field.type === "email" ? "email" : "off"}
      spellCheck={field.type === "text"}
      onChange={(event) => set(event.target.value)}
    />
  );
}

export function SecretField(props: FieldProps): ReactNode {
  const say = useSay();
  const { set, ...control } = useControl(props);
  return (
    <PasswordInput
      {...control}
      value={textOf(props.value)}
      autoComplete="off"
      spellCheck={false}
      visibilityToggleButtonProps={{ "aria-label": say("secret.show"), tabIndex: 0 }}
      onChange={(event) => set(event.target.value)}
    />
  );
}

export function BooleanField(props: FieldProps): ReactNode {
  const { set, required: _required, ...control } = useControl(props);
  return <Checkbox {...control} checked={props.value === true} onChange={(event) => set(event.target.checked)} />;
}

const MOMENTS: Record<string, string> = { date: "date", time: "time", timestamp: "datetime-local" };

/** A stored moment may carry seconds and a zone, which the browser's own controls refuse. */
function momentOf(type: string, value: unknown): string {
  const text = textOf(value);
  if (type === "date") return text.slice(0, 10);
  return type === "timestamp" ? text.slice(0, 16) : text;
}

export function MomentField(props: FieldProps): ReactNode {
  const { set, ...control } = useControl(props);
  return (
    <TextInput
      {...control}
      className="narrow"
      type={MOMENTS[props.field.type] ?? "text"}
      value={momentOf(props.field.type, props.value)}
      onChange={(event) => set(event.target.value)}
    />
  );
}

const COLOR = /^#[0-9a-f]{6}$/i;

export function ColorField(props: FieldProps): ReactNode {
  const say = useSay();
  const { set, ...control } = useControl(props);
  const text = textOf(props.value);
  return (
    <TextInput
      {...control}
      className="narrow"
      value={text}
      placeholder="#3457d5"
      spellCheck={false}
      onChange={(event) => set(event.target.value)}
      leftSection={
        <input
          type="color"
          className="swatch"
          aria-label={say("field.picker", { label: control.label })}
          value={COLOR.test(text) ? text : "#3457d5"}
          onChange={(event) => set(event.target.value)}
        />
      }
    />
  );
}

export function JsonField(props: FieldProps): ReactNode {
  const { set, ...control } = useControl(props);
  return (
    <Textarea
      {...control}
      value={textOf(props.value)}
      autosize
      minRows={4}
      maxRows={16}
      spellCheck={false}
      classNames={{ input: "mono" }}
      onChange={(event) => set(event.target.value)}
    />
  );
}
