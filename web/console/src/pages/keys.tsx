/** The portal keys of the organization: see both slots, make, rotate, revoke. A secret is shown once. */

import { Button } from "@mantine/core";
import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { type ReactNode, useState } from "react";
import { momentText } from "../../../src/moments";
import type { ConsoleClient } from "../client";
import { Confirm, Empty, Failure, Heading, Loading, Note } from "../parts";
import { SecretBox } from "../secret-box";
import type { MadeKey, PortalKey, Session } from "../wire";
import { mayChange } from "./rights";

const SLOTS = 2;
type Asked = "rotate" | PortalKey | null;

export function KeysPage({ session, client }: { session: Session; client: ConsoleClient }): ReactNode {
  const queries = useQueryClient();
  const [asked, setAsked] = useState<Asked>(null);
  const [made, setMade] = useState<MadeKey | null>(null);
  const [said, setSaid] = useState("");
  const found = useQuery({ queryKey: ["keys"], queryFn: () => client.keys() });
  const keys = found.data ?? [];
  const now = Date.now();
  const accepted = keys.filter(({ notAfter }) => !notAfter || Date.parse(notAfter) > now);
  const replaces = accepted.length === SLOTS;

  const know = async (words: string) => {
    setSaid(words);
    setAsked(null);
    await queries.invalidateQueries({ queryKey: ["keys"] });
  };
  const make = useMutation<MadeKey, Error, "create" | "rotate">({
    mutationFn: (how) =>
      how === "rotate"
        ? client.rotateKey(replaces)
        : client.createKey(session.grants.includes("*") ? ["*"] : session.grants),
    onSuccess: async (key) => {
      setMade(key);
      await know("");
    },
  });
  const revoke = useMutation<unknown, Error, PortalKey>({
    mutationFn: (key) => client.revokeKey(key.keyId),
    onSuccess: (_, key) => know(`The key ${key.keyId} is revoked.`),
  });
  const ask = (what: Asked) => {
    make.reset();
    revoke.reset();
    setSaid("");
    setAsked(what);
  };
  const canChange = mayChange(session);
  return (
    <>
      <Heading>Portal keys</Heading>
      <p className="lead">
        Your backend signs its portal tokens with these. There is room for two, so that one can follow the other.
      </p>
      {!canChange && <Note>Your role, {session.role}, may look at keys and not change them.</Note>}
      <p role="status" className="said">
        {said}
      </p>
      {made?.secret && (
        <SecretBox
          title="The new key"
          facts={[["Key ID", made.keyId]]}
          name="Secret"
          secret={made.secret}
          done={() => setMade(null)}
        />
      )}
      {make.error && asked === null && <Failure error={make.error} />}
      {found.isPending && <Loading what="Loading the keys…" />}
      {found.error && <Failure error={found.error} retry={() => void found.refetch()} />}
      {found.data && keys.length === 0 && <Empty>There is no key yet.</Empty>}
      {keys.length > 0 && (
        <ul className="rows">
          {keys.map((key) => (
            <li key={key.keyId} className="row">
              <div>
                <h2>
                  <span className="mono">{key.keyId}</span>
                  <span className="badge">{key.isCurrent ? "current" : "previous"}</span>
                </h2>
                <p className="muted small">
                  {key.algorithm} · made {momentText(key.createdAt, navigator.language)}
                  {key.notAfter && <> · {stateOf(key.notAfter, now)}</>}
                </p>
                <p className="muted small">
                  May: {key.permissions.includes("*") ? "everything" : key.permissions.join(", ")}
                </p>
              </div>
              {canChange && (
                <Button variant="default" onClick={() => ask(key)}>
                  Revoke<span className="aside"> the key {key.keyId}</span>
                </Button>
              )}
            </li>
          ))}
        </ul>
      )}
      {found.data && canChange && (
        <div className="actions">
          {keys.length > 0 && <Button onClick={() => ask("rotate")}>Rotate the current key</Button>}
          {accepted.length < SLOTS && (
            <Button variant="default" onClick={() => make.mutate("create")} loading={make.isPending && asked === null}>
              Create a key
            </Button>
          )}
        </div>
      )}
      {asked === "rotate" && (
        <Confirm
          title="Rotate the current key?"
          action="Rotate it"
          busy={make.isPending}
          error={make.error}
          confirm={() => make.mutate("rotate")}
          cancel={() => setAsked(null)}
        >
          <p>
            A new key becomes the current one. The key before is accepted for a while yet, so that your backend can
            follow.
          </p>
          {replaces && <p>The previous key makes room: it is refused at once.</p>}
        </Confirm>
      )}
      {asked !== null && asked !== "rotate" && (
        <Confirm
          title="Revoke this key?"
          action="Revoke it"
          busy={revoke.isPending}
          error={revoke.error}
          confirm={() => revoke.mutate(asked)}
          cancel={() => setAsked(null)}
        >
          <p>
            Whatever is signed with <span className="mono">{asked.keyId}</span> is refused within five seconds. This
            cannot be undone.
          </p>
        </Confirm>
      )}
    </>
  );
}

function stateOf(notAfter: string, now: number): string {
  const words = Date.parse(notAfter) > now ? "accepted until" : "ended";
  return `${words} ${momentText(notAfter, navigator.language)}`;
}
