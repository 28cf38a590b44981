/**
 * One step: its fields, filled from the server's values. Pressing the button checks the answers, creates what has to
 * be created, and saves; what is wrong is said beside the field and once more on top, with links.
 */

import { Button } from "@mantine/core";
import { type FormEvent, type ReactNode, useEffect, useMemo, useRef, useState } from "react";
import type { Field, FlowState, Values } from "../../../src/api";
import { answersOf, type Errors, isAsked, knownValues, labelOf, startValues, wrongInStep } from "../answers";
import { type FlowClient, FlowFailure } from "../client";
import { useSay } from "../copy";
import { FieldView } from "../fields/field";
import { type Creation, type FormPorts, FormProvider } from "../fields/form";
import { Glyph } from "../glyph";
import { Heading } from "../heading";
import { ErrorSummary, FailureNotice } from "../notice";
import { type Page, pageCount } from "../pages";
import { useUnsaved } from "../unsaved";

interface StepProps {
  page: Extract<Page, { kind: "step" }>;
  state: FlowState;
  client: FlowClient;
  busy: boolean;
  failure: FlowFailure | null;
  save(values: Values): void;
  next(): void;
  back: (() => void) | null;
}

/** Errors the server sent with the step itself, for example after a connection stopped working meanwhile. */
function sentErrors(fields: Field[]): Errors {
  return Object.fromEntries(fields.filter(({ error }) => error).map(({ uuid, error }) => [uuid, error ?? ""]));
}

export function StepPage({ page, state, client, busy, failure, save, next, back }: StepProps): ReactNode {
  const say = useSay();
  const { step } = page;
  const allFields = useMemo(() => state.steps.flatMap(({ fields }) => fields), [state.steps]);
  const [values, setValues] = useState<Values>(() => ({ ...knownValues(state.steps), ...startValues(step) }));
  const [errors, setErrors] = useState<Errors>(() => sentErrors(step.fields));
  const [attempt, setAttempt] = useState(0);
  const [dirty, setDirty] = useState(false);
  const [creating, setCreating] = useState(false);
  const [trouble, setTrouble] = useState<FlowFailure | null>(null);
  const creations = useRef(new Map<string, Creation>());
  useUnsaved(state.flow.id, (dirty || state.changes?.isChanged === true) && !busy);

  useEffect(() => {
    if (failure?.status !== 422) return;
    setErrors(failure.fields);
    setAttempt((count) => count + 1);
  }, [failure]);

  const ports: FormPorts = {
    errors,
    vendor: state.integrator.name,
    change: (uuid, value) => setValues((known) => ({ ...known, [uuid]: value })),
    touch: (path) => {
      setDirty(true);
      setErrors((known) => without(known, path));
    },
    creations: creations.current,
    consent: (uuid, wish) => client.authorize(step.id, uuid, wish),
    connected: async (uuid, connectionId) => {
      const now = await client.state();
      const field = now.steps.flatMap(({ fields }) => fields).find((one) => one.uuid === uuid);
      const found = field?.component?.existing.find(({ id }) => id === connectionId);
      return found && !found.needsConsent ? { id: found.id, label: found.label } : null;
    },
  };

  const refuse = (found: Errors) => {
    setErrors(found);
    setAttempt((count) => count + 1);
  };

  /** Connections and keys that were filled in but do not exist yet are created before the step is saved. */
  const createPending = async (current: Values): Promise<Values | null> => {
    let made = current;
    for (const [uuid, creation] of creations.current) {
      const wrong = creation.check();
      if (Object.keys(wrong).length > 0) {
        refuse({ ...wrongInStep(step, allFields, withPending(made, creations.current), say), ...wrong });
        return null;
      }
      try {
        const component = await client.createComponent(step.id, uuid, creation.name, creation.values);
        creation.created(component);
        creations.current.delete(uuid);
        made = { ...made, [uuid]: component.id };
        setValues((known) => ({ ...known, [uuid]: component.id }));
      } catch (cause) {
        const problem = cause instanceof FlowFailure ? cause : new FlowFailure(0, { detail: String(cause) });
        if (problem.status === 422 && Object.keys(problem.fields).length > 0) refuse(creation.refused(problem.fields));
        else setTrouble(problem);
        return null;
      }
    }
    return made;
  };

  const submit = async (event: FormEvent) => {
    event.preventDefault();
    if (busy || creating) return;
    if (page.addressReady) {
      next();
      return;
    }
    setTrouble(null);
    const wrong = wrongInStep(step, allFields, withPending(values, creations.current), say);
    const pending = [...creations.current.values()].map((creation) => creation.check());
    const all = Object.assign({}, wrong, ...pending) as Errors;
    if (Object.keys(all).length > 0) {
      refuse(all);
      return;
    }
    setErrors({});
    setCreating(true);
    const ready = await createPending(values);
    setCreating(false);
    if (ready) save(answersOf(step, allFields, ready));
  };

  const asked = step.fields.filter((field) => isAsked(field, allFields, values));
  const labels = Object.fromEntries(step.fields.map((field) => [field.uuid, labelOf(field)]));
  const other = failure && failure.status !== 422 ? failure : trouble;
  return (
    <FormProvider value={ports}>
      <Heading
        eyebrow={state.changes ? say("change.title") : say("app.step", { index: page.index + 1, of: pageCount(state) })}
      >
        {page.addressReady ? say("hook.ready.title") : step.title}
      </Heading>
      {page.addressReady ? (
        <p className="lead">{say("hook.ready.text")}</p>
      ) : (
        step.description && <p className="lead">{step.description}</p>
      )}
      <form onSubmit={submit} noValidate>
        <ErrorSummary errors={errors} labels={labels} attempt={attempt} />
        {other && <FailureNotice failure={other} text={say("step.failed")} />}
        <div className="fields">
          {asked
            .filter(({ component }) => !page.addressReady || component?.hookUrl)
            .map((field) => (
              <FieldView
                key={field.uuid}
                field={field}
                path={field.uuid}
                value={values[field.uuid]}
                change={(value) => ports.change(field.uuid, value)}
              />
            ))}
          {asked.length === 0 && <p className="muted">{say("step.nothing")}</p>}
        </div>
        <div className="foot">
          {back && (
            <Button variant="default" size="md" onClick={back} disabled={busy} leftSection={<Glyph name="back" />}>
              {say("step.back")}
            </Button>
          )}
          <Button type="submit" size="md" loading={busy || creating}>
            {say(page.addressReady ? "step.next" : state.changes ? "step.done" : "step.continue")}
          </Button>
        </div>
      </form>
    </FormProvider>
  );
}

function without(errors: Errors, path: string): Errors {
  if (!(path in errors)) return errors;
  const { [path]: _gone, ...rest } = errors;
  return rest;
}

/** What is about to be created counts as answered. */
function withPending(values: Values, creations: Map<string, Creation>): Values {
  return { ...values, ...Object.fromEntries([...creations.keys()].map((uuid) => [uuid, -1])) };
}
