/** Where a person is signed in: see each place, end one, end all others. */

import { Button } from "@mantine/core";
import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { type ReactNode, useState } from "react";
import { momentText, whenText } from "../../../src/moments";
import { browserName } from "../browsers";
import type { ConsoleClient } from "../client";
import { Confirm, Failure, Heading, Loading } from "../parts";
import type { OwnSession } from "../wire";

const ALL = "all others";

export function SessionsPage({ client }: { client: ConsoleClient }): ReactNode {
  const queries = useQueryClient();
  const [asked, setAsked] = useState<OwnSession | typeof ALL | null>(null);
  const [said, setSaid] = useState("");
  const found = useQuery({ queryKey: ["sessions"], queryFn: () => client.sessions() });
  const end = useMutation<unknown, Error, OwnSession | typeof ALL>({
    mutationFn: (which) => (which === ALL ? client.endOthers() : client.endSession(which.id)),
    onSuccess: async (_, which) => {
      setSaid(which === ALL ? "All other sessions have ended." : `${browserName(which.userAgent)} is signed out.`);
      setAsked(null);
      await queries.invalidateQueries({ queryKey: ["sessions"] });
    },
  });
  const others = found.data?.filter(({ isCurrent }) => !isCurrent) ?? [];
  const ask = (which: OwnSession | typeof ALL) => {
    end.reset();
    setAsked(which);
  };
  return (
    <>
      <Heading>My sessions</Heading>
      <p className="lead">Where you are signed in. End whatever you do not know; it is refused within five seconds.</p>
      <p role="status" className="said">
        {said}
      </p>
      {found.isPending && <Loading what="Loading your sessions…" />}
      {found.error && <Failure error={found.error} retry={() => void found.refetch()} />}
      {found.data && (
        <ul className="rows">
          {found.data.map((session) => (
            <li key={session.id} className="row">
              <div>
                <h2>
                  {browserName(session.userAgent)}
                  {session.isCurrent && <span className="badge">this one</span>}
                </h2>
                <p className="muted small">
                  {session.address} · last used{" "}
                  {whenText(session.lastSeenAt, Date.now(), navigator.language, "just now")}
                </p>
                <p className="muted small">
                  Since {momentText(session.createdAt, navigator.language)}, until{" "}
                  {momentText(session.endsAt, navigator.language)} at the latest
                </p>
              </div>
              {!session.isCurrent && (
                <Button variant="default" onClick={() => ask(session)}>
                  End
                  <span className="aside"> the session of {browserName(session.userAgent)}</span>
                </Button>
              )}
            </li>
          ))}
        </ul>
      )}
      {found.data && others.length === 0 && <p className="muted">You are signed in nowhere else.</p>}
      {others.length > 0 && (
        <div className="actions">
          <Button variant="default" onClick={() => ask(ALL)}>
            End all other sessions
          </Button>
        </div>
      )}
      {asked && (
        <Confirm
          title={asked === ALL ? "End all other sessions?" : "End this session?"}
          action="End it"
          busy={end.isPending}
          error={end.error}
          confirm={() => end.mutate(asked)}
          cancel={() => setAsked(null)}
        >
          <p>
            {asked === ALL
              ? "Every browser but this one has to sign in again."
              : `${browserName(asked.userAgent)} at ${asked.address} has to sign in again.`}
          </p>
        </Confirm>
      )}
    </>
  );
}
