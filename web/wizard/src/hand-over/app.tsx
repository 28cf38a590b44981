/**
 * A request for credentials: who asks for what, a card for each, and what became of it. The server has the last word:
 * every answer is the whole request again, and a reload shows the same.
 */

import { useQuery, useQueryClient } from "@tanstack/react-query";
import { type ReactNode, useEffect, useMemo, useState } from "react";
import type { HandOverState } from "../../../src/api";
import { type FlowFailure, HandOverClient } from "../client";
import { useSay } from "../copy";
import { Glyph } from "../glyph";
import { Heading } from "../heading";
import { Alone, LoadingPage, ProblemPage } from "../pages/problem-page";
import { CredentialCard } from "./card";

export function HandOver({ linkId, secret }: { linkId: string; secret: string }): ReactNode {
  const client = useMemo(() => new HandOverClient(linkId, secret), [linkId, secret]);
  const asked = useQuery<HandOverState, FlowFailure>({
    queryKey: ["hand-over", linkId],
    queryFn: () => client.state(),
    retry: (count, failure) => failure.retryable && count < 2,
    retryDelay: 800,
  });
  if (asked.data) return <Asked linkId={linkId} client={client} state={asked.data} />;
  if (asked.error?.expired) return <EndedPage />;
  if (asked.error) {
    return (
      <ProblemPage
        failure={asked.error}
        retry={() => void asked.refetch()}
        busy={asked.isFetching}
        title="hand.load.title"
      />
    );
  }
  return <LoadingPage heading="hand.loading" />;
}

/** The link opens nothing (any more). */
export function EndedPage(): ReactNode {
  const say = useSay();
  useEffect(() => {
    document.title = say("hand.ended.title");
  }, [say]);
  return (
    <Alone glyph="clock" title={say("hand.ended.title")}>
      <p className="lead">{say("hand.ended.text")}</p>
    </Alone>
  );
}

function Asked(props: { linkId: string; client: HandOverClient; state: HandOverState }): ReactNode {
  const { linkId, client, state } = props;
  const say = useSay();
  const queries = useQueryClient();
  const [said, setSaid] = useState("");
  const [ended, setEnded] = useState(false);
  const { integrator, request, credentials } = state;
  const vendor = integrator.name;
  const isOver = credentials.every((one) => one.state !== "pending");
  const isDeclined = request.status === "declined";

  useEffect(() => {
    document.title = say("app.title", { page: isOver ? say("hand.end.title") : request.name, template: vendor });
  }, [say, isOver, request.name, vendor]);

  const know = (next: HandOverState, words: string) => {
    queries.setQueryData(["hand-over", linkId], next);
    setSaid(words);
  };
  if (ended) return <EndedPage />;
  return (
    <div className="page" data-kind={isOver ? "done" : "hand-over"}>
      <header className="rail">
        <p className="vendor">
          <span className="vendor-mark" aria-hidden="true">
            {vendor.slice(0, 1).toLocaleUpperCase()}
          </span>
          {vendor}
        </p>
      </header>
      <main className="sheet">
        {isOver ? (
          <div className="centred" key="end">
            <span className="big-mark" data-tone={isDeclined ? "" : "good"} aria-hidden="true">
              <Glyph name={isDeclined ? "info" : "check"} size={30} />
            </span>
            <Heading>{say("hand.end.title")}</Heading>
            <p className="lead">
              {say(isDeclined ? "hand.end.none" : "hand.end", { vendor })} {say("done.close")}
            </p>
          </div>
        ) : (
          <>
            <Heading key="begin" eyebrow={say("hand.eyebrow", { vendor })}>
              {request.name}
            </Heading>
            {request.description && <p className="lead lines">{request.description}</p>}
            <p className="muted small">
              {say("hand.kept")} {say("hand.until", { date: dateText(request.expiresAt) })}
            </p>
          </>
        )}
        <ul className="asked">
          {credentials.map((credential) => (
            <CredentialCard
              key={credential.id}
              credential={credential}
              client={client}
              vendor={vendor}
              isOver={isOver}
              know={know}
              end={() => setEnded(true)}
            />
          ))}
        </ul>
      </main>
      <p className="aside" role="status">
        {said}
      </p>
    </div>
  );
}

/** The phrases are English for now, so dates are too. */
function dateText(timestamp: string): string {
  const at = new Date(timestamp);
  return new Intl.DateTimeFormat("en", { dateStyle: "long" }).format(at);
}
