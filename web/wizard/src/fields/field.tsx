/** Chooses the control for a field by its type. A type that is not known here is asked as text. */

import type { ReactNode } from "react";
import type { Field } from "../../../src/api";
import { isComponent } from "../answers";
import { ChoiceField, RadioField, SeveralField, TimezoneField } from "./choice";
import { ComponentField } from "./component";
import { FileField } from "./file";
import type { FieldProps } from "./form";
import { ArrayField, CollectionField } from "./group";
import { HookField } from "./hook";
import { MappableField } from "./mapping";
import { BooleanField, ColorField, JsonField, MomentField, SecretField, TextField } from "./text";
import { TextBlock } from "./text-block";

const CONTROLS: Record<string, (props: FieldProps) => ReactNode> = {
  boolean: BooleanField,
  date: MomentField,
  time: MomentField,
  timestamp: MomentField,
  timezone: TimezoneField,
  array: ArrayField,
  collection: CollectionField,
  json: JsonField,
  color: ColorField,
  radio: RadioField,
  file: FileField,
  password: SecretField,
  banner: TextBlock,
  markdown: TextBlock,
  html: TextBlock,
  separator: TextBlock,
};

function PlainField(props: FieldProps): ReactNode {
  const { field } = props;
  if (field.options?.length && field.type !== "radio") {
    return field.multiple ? <SeveralField {...props} /> : <ChoiceField {...props} />;
  }
  const Control = CONTROLS[field.type] ?? TextField;
  return <Control {...props} />;
}

export function FieldView(props: FieldProps): ReactNode {
  const { field } = props;
  if (field.type === "hidden") return null;
  if (isComponent(field)) {
    if (field.type === "hook") return <HookField {...props} field={field} />;
    if (field.component) return <ComponentField {...props} field={field} component={field.component} />;
  }
  const asked = field as Partial<Field>;
  if (asked.allowMapping && asked.items && asked.items.length > 0) {
    return <MappableField {...props} items={asked.items} plain={PlainField} />;
  }
  return <PlainField {...props} />;
}
