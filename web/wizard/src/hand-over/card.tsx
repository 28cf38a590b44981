/**
 * One credential that is asked for: its form, or a button for the provider; declining; and what became of it. What is
 * typed is in memory only, and gone from it when it was handed over.
 */

import { Button, Textarea } from "@mantine/core";
import { type FormEvent, type ReactNode, useEffect, useRef, useState } from "react";
import type { AskedCredential, FieldShape, HandOverState, Values } from "../../../src/api";
import { controlId, type Errors, startValue, wrongWith } from "../answers";
import { FlowFailure, type HandOverClient } from "../client";
import { useSay } from "../copy";
import { Consent } from "../fields/consent";
import { FieldView } from "../fields/field";
import { type FormPorts, FormProvider } from "../fields/form";
import { Glyph } from "../glyph";
import { FailureNotice } from "../notice";

const LONGEST_REASON = 500;

interface CardProps {
  credential: AskedCredential;
  client: HandOverClient;
  vendor: string;
  /** Everything is answered: the page's own heading has the focus then. */
  isOver: boolean;
  know(state: HandOverState, words: string): void;
  /** The link has ended meanwhile. */
  end(): void;
}

interface Sending {
  busy: boolean;
  trouble: FlowFailure | null;
  /** Sends something that is answered with the whole request; says what was wrong with single values. */
  send(act: () => Promise<HandOverState>, words: string): Promise<Errors | null>;
}

function useSending({ client, know, end }: CardProps): Sending {
  const [busy, setBusy] = useState(false);
  const [trouble, setTrouble] = useState<FlowFailure | null>(null);
  const send = async (act: () => Promise<HandOverState>, words: string) => {
    setBusy(true);
    setTrouble(null);
    try {
      know(await act(), words);
      return null;
    } catch (cause) {
      const failure = cause instanceof FlowFailure ? cause : new FlowFailure(0, { detail: String(cause) });
      if (failure.status === 422 && Object.keys(failure.fields).length > 0) return failure.fields;
      // Answered meanwhile, in another window or by whoever asks: then that is what is to be seen.
      const now = failure.status === 409 ? await client.state().catch(() => null) : null;
      if (now) know(now, failure.message);
      else if (failure.status === 401 || failure.status === 410) end();
      else setTrouble(failure);
      return null;
    } finally {
      setBusy(false);
    }
  };
  return { busy, trouble, send };
}

export function CredentialCard(props: CardProps): ReactNode {
  const say = useSay();
  const { credential, vendor, isOver } = props;
  const title = useRef<HTMLHeadingElement>(null);
  const first = useRef(credential.state);
  const sending = useSending(props);
  const [declining, setDeclining] = useState(false);
  const { label, state } = credential;
  const what = [
    ...(credential.name && !credential.extends ? [label] : []),
    ...(credential.app ? [say("hand.for", { app: credential.app })] : []),
  ];

  // What had the focus is gone when the card was answered: reading goes on at its heading.
  useEffect(() => {
    if (first.current !== state && !isOver) title.current?.focus({ preventScroll: true });
    first.current = state;
  }, [state, isOver]);

  return (
    <li className="asked-one" data-state={state}>
      <div className="asked-head">
        <h2 ref={title} tabIndex={-1}>
          {credential.extends ? say("hand.more", { label }) : credential.name || label}
        </h2>
        {state !== "pending" && (
          <p className="asked-state" data-state={state}>
            <Glyph name={state === "authorized" ? "check" : "remove"} size={16} />
            {say(state === "authorized" ? "hand.done" : "hand.declined")}
          </p>
        )}
      </div>
      {state === "declined" && credential.declineReason && <p className="muted lines">{credential.declineReason}</p>}
      {state === "pending" && (
        <>
          {what.length > 0 && <p className="muted small">{what.join(" · ")}</p>}
          {credential.description && <p className="lines">{credential.description}</p>}
          {credential.extends && <p className="muted small">{say("hand.more.text", { vendor })}</p>}
          <Scopes scopes={credential.scopes} />
          {sending.trouble && <FailureNotice failure={sending.trouble} text={say("hand.failed")} />}
          {declining ? (
            <Declining {...props} sending={sending} keep={() => setDeclining(false)} />
          ) : (
            <Way {...props} sending={sending} decline={() => setDeclining(true)} />
          )}
        </>
      )}
    </li>
  );
}

/** Scopes are the provider's words: who wants to know them finds them, who does not is not bothered. */
function Scopes({ scopes }: { scopes: string[] }): ReactNode {
  const say = useSay();
  if (scopes.length === 0) return null;
  return (
    <details className="details">
      <summary>{say("hand.scopes", { n: scopes.length })}</summary>
      <ul className="scopes">
        {scopes.map((scope) => (
          <li key={scope}>{scope}</li>
        ))}
      </ul>
    </details>
  );
}

function Way(props: CardProps & { sending: Sending; decline(): void }): ReactNode {
  const say = useSay();
  const { credential, vendor, decline } = props;
  const { label } = credential;
  const refusal = (
    <Button
      variant="default"
      size="md"
      onClick={decline}
      disabled={props.sending.busy}
      aria-label={say("hand.decline.label", { label })}
    >
      {say("hand.decline")}
    </Button>
  );
  if (credential.hasForm) return <Form {...props}>{refusal}</Form>;
  const canConnect = credential.extends || credential.providers.length > 0;
  return (
    <>
      {canConnect ? <Consents {...props} /> : <p>{say("hand.none", { vendor, label })}</p>}
      <div className="foot">{refusal}</div>
    </>
  );
}

function Form(props: CardProps & { sending: Sending; children: ReactNode }): ReactNode {
  const say = useSay();
  const { credential, client, sending } = props;
  const { id, fields, label } = credential;
  const [values, setValues] = useState<Values>(() =>
    Object.fromEntries(fields.map((field) => [field.name, startValue(field, null)])),
  );
  const [errors, setErrors] = useState<Errors>({});
  const path = (field: FieldShape) => `${id}.${field.name}`;

  const refuse = (found: Errors) => {
    setErrors(found);
    const at = fields.find((field) => path(field) in found);
    // The control is there already, only its complaint is not.
    if (at) document.getElementById(controlId(path(at)))?.focus();
  };
  const submit = async (event: FormEvent) => {
    event.preventDefault();
    if (sending.busy) return;
    const wrong = Object.assign({}, ...fields.map((field) => wrongWith(field, values[field.name], path(field), say)));
    if (Object.keys(wrong).length > 0) {
      refuse(wrong as Errors);
      return;
    }
    const refused = await sending.send(() => client.fillIn(id, values), say("hand.done.said", { label }));
    if (refused) refuse(Object.fromEntries(Object.entries(refused).map(([name, text]) => [`${id}.${name}`, text])));
  };
  const ports = portsOf(props.vendor, errors, (touched) =>
    setErrors((known) => Object.fromEntries(Object.entries(known).filter(([one]) => one !== touched))),
  );
  return (
    <FormProvider value={ports}>
      <form className="fields" onSubmit={submit} noValidate>
        {fields.map((field) => (
          <FieldView
            key={field.name}
            field={field}
            path={path(field)}
            value={values[field.name]}
            change={(next) => setValues((known) => ({ ...known, [field.name]: next }))}
          />
        ))}
        <div className="foot">
          {props.children}
          <Button type="submit" size="md" loading={sending.busy} aria-label={say("hand.submit.label", { label })}>
            {say("hand.submit")}
          </Button>
        </div>
      </form>
    </FormProvider>
  );
}

/** At a provider: the wizard's own consent, which asks this request until it was given. */
function Consents({ credential, client, vendor, know }: CardProps): ReactNode {
  const say = useSay();
  const { id, label, providers } = credential;
  const ports: FormPorts = {
    ...portsOf(vendor, {}, () => {}),
    consent: async (_uuid, wish) => {
      const { startUrl } = await client.authorize(id, wish.applicationId);
      return { connectionId: 0, startUrl };
    },
    connected: async () => {
      const now = await client.state();
      const found = now.credentials.find((one) => one.id === id);
      if (found?.state !== "authorized") return null;
      know(now, say("hand.done.said", { label }));
      return { id: 0, label };
    },
  };
  const offers = credential.extends
    ? [{ label: say("consent.again"), wish: {} }]
    : providers.map((one) => ({
        label: say("consent.connect", { provider: one.name }),
        wish: { applicationId: one.id },
      }));
  return (
    <FormProvider value={ports}>
      <div className="create-form">
        <Consent uuid={id} offers={offers} connected={() => {}} />
      </div>
    </FormProvider>
  );
}

function Declining(props: CardProps & { sending: Sending; keep(): void }): ReactNode {
  const say = useSay();
  const { credential, client, vendor, sending, keep } = props;
  const { id, label } = credential;
  const [reason, setReason] = useState("");
  const box = useRef<HTMLTextAreaElement>(null);
  useEffect(() => box.current?.focus(), []);
  const submit = async (event: FormEvent) => {
    event.preventDefault();
    if (!sending.busy) await sending.send(() => client.decline(id, reason), say("hand.declined.said", { label }));
  };
  return (
    <form className="fields" onSubmit={submit} noValidate>
      <Textarea
        ref={box}
        label={say("hand.reason")}
        description={say("hand.reason.help", { vendor })}
        value={reason}
        maxLength={LONGEST_REASON}
        autosize
        minRows={2}
        onChange={(event) => setReason(event.target.value)}
      />
      <div className="foot">
        <Button variant="default" size="md" onClick={keep} disabled={sending.busy}>
          {say("hand.keep")}
        </Button>
        <Button type="submit" size="md" loading={sending.busy} aria-label={say("hand.decline.label", { label })}>
          {say("hand.decline")}
        </Button>
      </div>
    </form>
  );
}

/** What the wizard's fields ask of the page around them. */
function portsOf(vendor: string, errors: Errors, touch: (path: string) => void): FormPorts {
  return {
    errors,
    vendor,
    touch,
    change: () => {},
    creations: new Map(),
    consent: () => Promise.reject(new FlowFailure(0, {})),
    connected: async () => null,
  };
}
