/** The console: asks who is signed in, shows the sign-in page or the pages of the person, and notices a session's end. */

import { Button } from "@mantine/core";
import {
  type MutationCache,
  type QueryCache,
  type QueryClient,
  useMutation,
  useQuery,
  useQueryClient,
} from "@tanstack/react-query";
import { type ReactNode, useEffect, useMemo, useState } from "react";
import { ConsoleClient, ConsoleFailure, whoIsIn } from "./client";
import { KeysPage } from "./pages/keys";
import { MembersPage } from "./pages/members";
import { PasswordPage } from "./pages/password";
import { placesFor } from "./pages/rights";
import { SessionsPage } from "./pages/sessions";
import { SignInPage } from "./pages/sign-in";
import { TokensPage } from "./pages/tokens";
import { Failure, Heading, Loading } from "./parts";
import { go, usePath } from "./places";
import type { Session } from "./wire";

const SESSION = ["session"];

export function App(): ReactNode {
  const queries = useQueryClient();
  const [hasEnded, setHasEnded] = useState(false);
  const found = useQuery({ queryKey: SESSION, queryFn: whoIsIn, staleTime: Number.POSITIVE_INFINITY });

  // Whatever call meets the end of the session, the person is asked to sign in again, and nothing of theirs stays.
  useEffect(() => {
    const meet = (error: unknown) => {
      if (!(error instanceof ConsoleFailure && error.signedOut)) return;
      forget(queries);
      queries.setQueryData(SESSION, null);
      setHasEnded(true);
    };
    return listen(queries.getQueryCache(), queries.getMutationCache(), meet);
  }, [queries]);

  const enter = (session: Session | null) => {
    forget(queries);
    queries.setQueryData(SESSION, session);
    setHasEnded(false);
  };

  if (found.isPending) return <Alone>{<Loading what="Loading the console…" />}</Alone>;
  if (found.error) {
    return (
      <Alone>
        <Heading takesFocus={false}>The console is not reachable</Heading>
        <Failure error={found.error} retry={() => void found.refetch()} />
      </Alone>
    );
  }
  if (!found.data) {
    return (
      <Alone>
        <SignInPage hasEnded={hasEnded} enter={enter} />
      </Alone>
    );
  }
  return <Shell session={found.data} leave={() => enter(null)} />;
}

/** Drops what was read for somebody; who is signed in is watched here and stays. */
function forget(queries: QueryClient): void {
  queries.removeQueries({ predicate: ({ queryKey }) => queryKey[0] !== SESSION[0] });
}

/** Hears of every error of a call. */
function listen(queries: QueryCache, mutations: MutationCache, meet: (error: unknown) => void): () => void {
  const stops = [
    queries.subscribe((event) => event.type === "updated" && event.action.type === "error" && meet(event.action.error)),
    mutations.subscribe(
      (event) => event.type === "updated" && event.action.type === "error" && meet(event.action.error),
    ),
  ];
  return () => {
    for (const stop of stops) stop();
  };
}

function Alone({ children }: { children: ReactNode }): ReactNode {
  return (
    <div className="alone">
      <main className="sheet">{children}</main>
    </div>
  );
}

function Shell({ session, leave }: { session: Session; leave(): void }): ReactNode {
  const path = usePath();
  const client = useMemo(() => new ConsoleClient(session), [session]);
  const out = useMutation({ mutationFn: () => client.signOut(), onSuccess: leave });
  return (
    <div className="page">
      <header className="bar">
        <p className="organization">{session.organization.name}</p>
        <nav aria-label="Console">
          <ul>
            {placesFor(session).map((place) => (
              <li key={place.path}>
                <a
                  href={place.path}
                  aria-current={place.path === path ? "page" : undefined}
                  onClick={(event) => {
                    if (event.metaKey || event.ctrlKey || event.shiftKey || event.button !== 0) return;
                    event.preventDefault();
                    go(place.path);
                  }}
                >
                  {place.title}
                </a>
              </li>
            ))}
          </ul>
        </nav>
        <div className="person">
          <p>
            <span className="email">{session.email}</span> <span className="muted small">{session.role}</span>
          </p>
          <Button variant="default" size="compact-sm" onClick={() => out.mutate()} loading={out.isPending}>
            Sign out
          </Button>
        </div>
      </header>
      <main className="sheet">
        {out.error && <Failure error={out.error} />}
        {path === "/console/keys" && <KeysPage session={session} client={client} />}
        {path === "/console/tokens" && <TokensPage session={session} client={client} />}
        {path === "/console/members" && <MembersPage client={client} />}
        {path === "/console/password" && <PasswordPage session={session} client={client} />}
        {path === "/console/sessions" && <SessionsPage client={client} />}
      </main>
    </div>
  );
}
