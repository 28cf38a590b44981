/** The pages before and instead of the flow: loading, not reachable, expired. */

import { Button, Loader } from "@mantine/core";
import type { ReactNode } from "react";
import type { FlowFailure } from "../client";
import { type PhraseKey, useSay } from "../copy";
import { Glyph, type GlyphName } from "../glyph";
import { Heading } from "../heading";
import { Details } from "../notice";

export function Alone({ glyph, title, children }: { glyph: GlyphName; title: string; children: ReactNode }): ReactNode {
  return (
    <div className="page" data-kind="alone">
      <main className="sheet centred">
        <span className="big-mark" aria-hidden="true">
          <Glyph name={glyph} size={28} />
        </span>
        <Heading>{title}</Heading>
        {children}
      </main>
    </div>
  );
}

export function LoadingPage({ heading = "intro.eyebrow" }: { heading?: PhraseKey }): ReactNode {
  const say = useSay();
  return (
    <div className="page" data-kind="alone">
      <main className="sheet centred" aria-busy="true">
        <h1 className="aside">{say(heading)}</h1>
        <Loader size="md" aria-hidden="true" />
        <p className="muted" role="status">
          {say("app.loading")}
        </p>
      </main>
    </div>
  );
}

export function ExpiredPage({ vendor }: { vendor: string | null }): ReactNode {
  const say = useSay();
  return (
    <Alone glyph="clock" title={say("problem.expired.title")}>
      <p className="lead">{say("problem.expired.text", { vendor: vendor ?? say("problem.vendor") })}</p>
    </Alone>
  );
}

interface ProblemProps {
  failure: FlowFailure;
  retry(): void;
  busy: boolean;
  title?: PhraseKey;
}

export function ProblemPage({ title = "problem.load.title", ...props }: ProblemProps): ReactNode {
  const say = useSay();
  return (
    <Alone glyph="cloud" title={say(title)}>
      <p className="lead" role="alert">
        {say("problem.load.text")}
      </p>
      <Button onClick={props.retry} loading={props.busy}>
        {say("problem.retry")}
      </Button>
      <Details failure={props.failure} />
    </Alone>
  );
}
