/** Fields inside fields: a collection is a framed group, an array a list of entries that can be added and removed. */

import { ActionIcon, Button, Fieldset } from "@mantine/core";
import { type ReactNode, useRef, useState } from "react";
import type { Values } from "../../../src/api";
import { controlId, itemShape, labelOf, specList, startValue } from "../answers";
import { useSay } from "../copy";
import { Glyph } from "../glyph";
import { FieldView } from "./field";
import { type FieldProps, useControl, useForm } from "./form";

function GroupError({ path }: { path: string }): ReactNode {
  const { errors } = useForm();
  return errors[path] ? (
    <p className="group-error" id={`${controlId(path)}-error`}>
      {errors[path]}
    </p>
  ) : null;
}

function Parts({ field, path, value, change }: FieldProps): ReactNode {
  const known = (typeof value === "object" && value !== null ? value : {}) as Values;
  return specList(field).map((part) => (
    <FieldView
      key={part.name}
      field={part}
      path={`${path}.${part.name}`}
      value={known[part.name]}
      change={(next) => change({ ...known, [part.name]: next })}
    />
  ));
}

export function CollectionField(props: FieldProps): ReactNode {
  const control = useControl(props);
  return (
    <Fieldset id={control.id} legend={control.label} className="collection">
      {control.description && <p className="muted small">{control.description}</p>}
      <GroupError path={props.path} />
      <Parts {...props} />
    </Fieldset>
  );
}

/** Entries have no id of their own; each gets one while the page is open, so that removing one moves no focus. */
function useEntryIds(amount: number): { ids: number[]; added(): void; removed(at: number): void } {
  const next = useRef(amount);
  const [ids, setIds] = useState(() => Array.from({ length: amount }, (_, at) => at));
  return {
    ids,
    added: () => {
      const id = next.current;
      next.current += 1;
      setIds((known) => [...known, id]);
    },
    removed: (at) => setIds((known) => known.filter((_, index) => index !== at)),
  };
}

export function ArrayField(props: FieldProps): ReactNode {
  const say = useSay();
  const { path, field } = props;
  const { id, label, description, set } = useControl(props);
  const items = Array.isArray(props.value) ? (props.value as unknown[]) : [];
  const entries = useEntryIds(items.length);
  const [said, setSaid] = useState("");
  const box = useRef<HTMLFieldSetElement>(null);
  const shape = itemShape(field);
  const entryLabel = Array.isArray(field.spec) ? label : labelOf(shape);
  const full = typeof field.validate?.maxItems === "number" && items.length >= field.validate.maxItems;

  const focusIn = (selector: string) => setTimeout(() => box.current?.querySelector<HTMLElement>(selector)?.focus());
  const add = () => {
    set([...items, startValue(shape, null)]);
    entries.added();
    setSaid(say("field.added", { label: entryLabel, n: items.length + 1 }));
    focusIn(`.entry:nth-of-type(${items.length + 1}) :is(input,select,textarea)`);
  };
  const remove = (at: number) => {
    set(items.filter((_, index) => index !== at));
    entries.removed(at);
    setSaid(say("field.removed", { label: entryLabel, n: at + 1 }));
    focusIn(".add");
  };

  return (
    <Fieldset
      ref={box}
      id={id}
      className="array"
      legend={<span className={field.required ? "required" : ""}>{label}</span>}
    >
      {description && <p className="muted small">{description}</p>}
      <GroupError path={path} />
      {items.length === 0 && <p className="muted small">{say("field.entries.none")}</p>}
      {items.map((item, at) => (
        <div className="entry" key={entries.ids[at] ?? at} data-plain={shape.type !== "collection"}>
          <div className="entry-fields">
            {shape.type === "collection" ? (
              <fieldset className="entry-group">
                <legend className="aside">{say("field.entry", { label: entryLabel, n: at + 1 })}</legend>
                <Parts
                  field={shape}
                  path={`${path}.${at}`}
                  value={item}
                  change={(next) => set(items.map((old, index) => (index === at ? next : old)))}
                />
              </fieldset>
            ) : (
              <FieldView
                field={{ ...shape, label: say("field.entry", { label: entryLabel, n: at + 1 }) }}
                path={`${path}.${at}`}
                value={item}
                change={(next) => set(items.map((old, index) => (index === at ? next : old)))}
              />
            )}
          </div>
          <ActionIcon
            className="entry-remove"
            variant="subtle"
            color="gray"
            size="lg"
            aria-label={say("field.remove", { label: entryLabel, n: at + 1 })}
            onClick={() => remove(at)}
          >
            <Glyph name="remove" />
          </ActionIcon>
        </div>
      ))}
      <Button
        className="add"
        variant="default"
        size="sm"
        leftSection={<Glyph name="plus" size={16} />}
        onClick={add}
        disabled={full}
      >
        {Array.isArray(field.spec) ? say("field.add.entry") : say("field.add", { label: entryLabel })}
        {Array.isArray(field.spec) && <span className="aside">: {label}</span>}
      </Button>
      <p className="aside" role="status">
        {said}
      </p>
    </Fieldset>
  );
}
