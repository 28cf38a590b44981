/**
 * A connection or key: one the customer already has, or a new one from a short form. The new one is created when the
 * step is saved, so there is one button to press, and nothing exists before it.
 */

import { Radio, Stack } from "@mantine/core";
import { type ReactNode, useEffect, useState } from "react";
import type { ComponentChoice, CreatedComponent, Field, Values } from "../../../src/api";
import { type Errors, startValue, wrongWith } from "../answers";
import { useSay } from "../copy";
import { Consent } from "./consent";
import { FieldView } from "./field";
import { type FieldProps, useControl, useForm } from "./form";

const NEW = "new";

interface ComponentProps extends FieldProps {
  field: Field;
  component: ComponentChoice;
}

function createPath(uuid: string, name: string): string {
  return `${uuid}.create.${name}`;
}

function useCreation(
  field: Field,
  component: ComponentChoice,
  open: boolean,
  created: (made: CreatedComponent) => void,
) {
  const say = useSay();
  const { creations } = useForm();
  const [name, setName] = useState(component.label);
  const [values, setValues] = useState<Values>(() =>
    Object.fromEntries(component.createFields.map((part) => [part.name, startValue(part, null)])),
  );
  // After every drawing: what the step creates is always what is on the page.
  useEffect(() => {
    if (!open) {
      creations.delete(field.uuid);
      return;
    }
    creations.set(field.uuid, {
      name: name.trim() || component.label,
      values,
      created,
      check: () =>
        Object.assign(
          {},
          ...component.createFields.map((part) =>
            wrongWith(part, values[part.name], createPath(field.uuid, part.name), say),
          ),
        ) as Errors,
      refused: (fields) =>
        Object.fromEntries(Object.entries(fields).map(([part, text]) => [createPath(field.uuid, part), text])),
    });
  });
  useEffect(() => () => void creations.delete(field.uuid), [creations, field.uuid]);
  return { name, setName, values, setValues };
}

export function ComponentField(props: ComponentProps): ReactNode {
  const say = useSay();
  const { field, component, value } = props;
  const { vendor } = useForm();
  const { set, id, ...control } = useControl(props);
  const [made, setMade] = useState<CreatedComponent[]>([]);
  const offered = component.existing.filter((one) => component.canReuse || one.id === value);
  const existing = [...offered, ...made.filter((one) => !offered.some((known) => known.id === one.id))];
  const [wantsNew, setWantsNew] = useState(existing.length === 0 && component.canCreate);
  const providers = component.providers ?? [];
  const keep = (component: CreatedComponent) => {
    setMade((known) => [...known.filter(({ id }) => id !== component.id), component]);
    setWantsNew(false);
  };
  const creation = useCreation(field, component, wantsNew && providers.length === 0, keep);
  const connected = (component: CreatedComponent) => {
    keep(component);
    set(component.id);
  };
  const lost = offered.find(
    ({ id, needsConsent }) => id === value && needsConsent && !made.some((one) => one.id === id),
  );

  const choose = (choice: string) => {
    setWantsNew(choice === NEW);
    set(choice === NEW ? null : Number(choice));
  };

  const consents = (
    <div className="create-form">
      <Consent
        uuid={field.uuid}
        offers={providers.map(({ id, name }) => ({
          label: say("consent.connect", { provider: name }),
          wish: { applicationId: id, name: component.label },
        }))}
        connected={connected}
      />
    </div>
  );
  const blank = (
    <div className="create-form">
      {existing.length === 0 && <p className="muted small">{say("component.new.only")}</p>}
      {component.createFields.map((part) => (
        <FieldView
          key={part.name}
          field={part}
          path={createPath(field.uuid, part.name)}
          value={creation.values[part.name]}
          change={(next) => creation.setValues((known) => ({ ...known, [part.name]: next }))}
        />
      ))}
      <FieldView
        field={{ name: "name", label: say("component.name"), help: say("component.name.help"), type: "text" }}
        path={createPath(field.uuid, "component-name")}
        value={creation.name}
        change={(next) => creation.setName(String(next ?? ""))}
      />
    </div>
  );
  const form = wantsNew && (providers.length > 0 ? consents : blank);

  if (existing.length === 0) {
    return (
      <fieldset id={id} className="component-box">
        <legend>{control.label}</legend>
        {control.description && <p className="muted small">{control.description}</p>}
        {control.error && <p className="group-error">{control.error}</p>}
        {component.canCreate ? form : <p>{say("component.none", { vendor })}</p>}
      </fieldset>
    );
  }
  return (
    <div className="component-box">
      <Radio.Group
        {...control}
        labelProps={{ className: control.required ? "required" : "" }}
        id={id}
        name={id}
        value={wantsNew ? NEW : typeof value === "number" ? String(value) : null}
        onChange={choose}
      >
        <Stack gap={0} className="cards">
          {existing.map((one) => (
            <Radio key={one.id} value={String(one.id)} label={one.label} className="card-option" />
          ))}
          {component.canCreate && <Radio value={NEW} label={say("component.new")} className="card-option" />}
        </Stack>
      </Radio.Group>
      {lost && (
        <div className="create-form">
          <p className="group-error">{say("consent.needed", { label: lost.label })}</p>
          <Consent
            uuid={field.uuid}
            offers={[{ label: say("consent.again"), wish: { connectionId: lost.id } }]}
            connected={connected}
          />
        </div>
      )}
      {form}
    </div>
  );
}
