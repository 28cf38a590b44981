/** The landing page: what the integration does, which apps it uses, what will be asked. */

import { Button } from "@mantine/core";
import type { ReactNode } from "react";
import type { FlowState } from "../../../src/api";
import type { FlowFailure } from "../client";
import { useSay } from "../copy";
import { Heading } from "../heading";
import { FailureNotice } from "../notice";

interface IntroProps {
  state: FlowState;
  start(): void;
  busy: boolean;
  failure: FlowFailure | null;
}

export function IntroPage({ state, start, busy, failure }: IntroProps): ReactNode {
  const say = useSay();
  const { template, steps } = state;
  return (
    <>
      <Heading eyebrow={say("intro.eyebrow")}>{template.name}</Heading>
      {template.description && <p className="lead">{template.description}</p>}
      {failure && <FailureNotice failure={failure} text={say("problem.load.text")} />}
      {template.apps.length > 0 && (
        <section aria-labelledby="intro-apps">
          <h2 id="intro-apps">{say("intro.apps")}</h2>
          <ul className="apps">
            {template.apps.map((app) => (
              <li key={app.name}>
                <span className="app-mark" aria-hidden="true">
                  {app.label.slice(0, 2).toLocaleUpperCase()}
                </span>
                {app.label}
              </li>
            ))}
          </ul>
        </section>
      )}
      <section aria-labelledby="intro-steps">
        <h2 id="intro-steps">{say("intro.steps")}</h2>
        {steps.length === 0 ? (
          <p className="muted">{say("intro.nothing")}</p>
        ) : (
          <>
            <ol className="outline">
              {steps.map((step) => (
                <li key={step.id}>{step.title}</li>
              ))}
            </ol>
            <p className="muted">{say("intro.time", { n: steps.length })}</p>
          </>
        )}
      </section>
      <div className="foot">
        <Button size="md" onClick={start} loading={busy}>
          {say("intro.start")}
        </Button>
      </div>
    </>
  );
}
