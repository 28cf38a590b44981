/** The API tokens of the organization: see them, make one with some scopes, revoke. A token is shown once. */

import { Button, Checkbox, Fieldset, NativeSelect, TextInput } from "@mantine/core";
import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { type FormEvent, type ReactNode, useState } from "react";
import { momentText, whenText } from "../../../src/moments";
import type { ConsoleClient } from "../client";
import { Confirm, Empty, Failure, Heading, Loading, Note } from "../parts";
import { SecretBox } from "../secret-box";
import type { ApiToken, MadeToken, NewToken, Session } from "../wire";
import { mayChange } from "./rights";

const DAY = 86_400_000;
const LIVES = [
  { value: "30", label: "30 days" },
  { value: "90", label: "90 days" },
  { value: "365", label: "A year" },
  { value: "", label: "No end" },
];

export function TokensPage({ session, client }: { session: Session; client: ConsoleClient }): ReactNode {
  const queries = useQueryClient();
  const [asked, setAsked] = useState<ApiToken | null>(null);
  const [isMaking, setIsMaking] = useState(false);
  const [made, setMade] = useState<MadeToken | null>(null);
  const [said, setSaid] = useState("");
  const found = useQuery({ queryKey: ["tokens"], queryFn: () => client.tokens() });
  const again = () => queries.invalidateQueries({ queryKey: ["tokens"] });
  const make = useMutation<MadeToken, Error, NewToken>({
    mutationFn: (token) => client.createToken(token),
    onSuccess: async (token) => {
      setMade(token);
      setIsMaking(false);
      await again();
    },
  });
  const revoke = useMutation<unknown, Error, ApiToken>({
    mutationFn: (token) => client.revokeToken(token.id),
    onSuccess: async (_, token) => {
      setSaid(`The token “${token.label}” is revoked.`);
      setAsked(null);
      await again();
    },
  });
  const canChange = mayChange(session);
  return (
    <>
      <Heading>API tokens</Heading>
      <p className="lead">Programs of yours call the Make API with these. Each may do what its scopes say.</p>
      {!canChange && <Note>Your role, {session.role}, may look at tokens and not change them.</Note>}
      <p role="status" className="said">
        {said}
      </p>
      {made && (
        <SecretBox title={`The token “${made.label}”`} name="Token" secret={made.token} done={() => setMade(null)} />
      )}
      {isMaking && (
        <TokenForm
          grants={session.grants}
          busy={make.isPending}
          error={make.error}
          make={(token) => make.mutate(token)}
          cancel={() => setIsMaking(false)}
        />
      )}
      {found.isPending && <Loading what="Loading the tokens…" />}
      {found.error && <Failure error={found.error} retry={() => void found.refetch()} />}
      {found.data?.length === 0 && <Empty>There is no token yet.</Empty>}
      {found.data && found.data.length > 0 && (
        <ul className="rows">
          {found.data.map((token) => (
            <li key={token.id} className="row">
              <div>
                <h2>{token.label}</h2>
                <p className="muted small">
                  May: {token.permissions.includes("*") ? "everything" : token.permissions.join(", ")}
                </p>
                <p className="muted small">{lifeOf(token)}</p>
              </div>
              {canChange && (
                <Button
                  variant="default"
                  onClick={() => {
                    revoke.reset();
                    setSaid("");
                    setAsked(token);
                  }}
                >
                  Revoke<span className="aside"> the token {token.label}</span>
                </Button>
              )}
            </li>
          ))}
        </ul>
      )}
      {found.data && canChange && !isMaking && (
        <div className="actions">
          <Button
            onClick={() => {
              make.reset();
              setSaid("");
              setIsMaking(true);
            }}
          >
            Create a token
          </Button>
        </div>
      )}
      {asked && (
        <Confirm
          title="Revoke this token?"
          action="Revoke it"
          busy={revoke.isPending}
          error={revoke.error}
          confirm={() => revoke.mutate(asked)}
          cancel={() => setAsked(null)}
        >
          <p>Whatever calls with “{asked.label}” is refused within five seconds. This cannot be undone.</p>
        </Confirm>
      )}
    </>
  );
}

function lifeOf({ createdAt, lastUsedAt, expiresAt }: ApiToken): string {
  const language = navigator.language;
  const used = lastUsedAt ? `last used ${whenText(lastUsedAt, Date.now(), language, "just now")}` : "never used";
  const end = expiresAt ? `ends ${momentText(expiresAt, language)}` : "no end";
  return `Made ${momentText(createdAt, language)} · ${used} · ${end}`;
}

interface TokenFormProps {
  grants: string[];
  busy: boolean;
  error: Error | null;
  make(token: NewToken): void;
  cancel(): void;
}

function TokenForm({ grants, busy, error, make, cancel }: TokenFormProps): ReactNode {
  const [label, setLabel] = useState("");
  const [scopes, setScopes] = useState<string[]>([]);
  const [days, setDays] = useState("90");
  const [lacksScope, setLacksScope] = useState(false);
  const submit = (event: FormEvent) => {
    event.preventDefault();
    setLacksScope(scopes.length === 0);
    if (scopes.length === 0) return;
    const expiresAt = days ? new Date(Date.now() + Number(days) * DAY).toISOString() : null;
    make({ label, permissions: scopes, expiresAt });
  };
  return (
    <form className="stack panel" onSubmit={submit} aria-labelledby="token-form">
      <h2 id="token-form">A new token</h2>
      {error && <Failure error={error} />}
      <TextInput
        label="What it is for"
        required
        maxLength={120}
        autoFocus
        value={label}
        onChange={(event) => setLabel(event.currentTarget.value)}
      />
      <Fieldset legend="What it may do">
        <Checkbox.Group value={scopes} onChange={setScopes} error={lacksScope ? "Choose at least one." : null}>
          <div className="scopes">
            {grants.map((scope) => (
              <Checkbox key={scope} value={scope} label={scope === "*" ? "Everything" : scope} />
            ))}
          </div>
        </Checkbox.Group>
      </Fieldset>
      <NativeSelect label="Until" data={LIVES} value={days} onChange={(event) => setDays(event.currentTarget.value)} />
      <div className="actions">
        <Button variant="default" onClick={cancel} disabled={busy}>
          Cancel
        </Button>
        <Button type="submit" loading={busy}>
          Create the token
        </Button>
      </div>
    </form>
  );
}
