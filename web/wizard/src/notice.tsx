/** What the wizard says when something did not work: a sentence, and the server's own words folded away. */

import { Anchor } from "@mantine/core";
import { type ReactNode, useEffect, useRef } from "react";
import { controlId, type Errors } from "./answers";
import type { FlowFailure } from "./client";
import { useSay } from "./copy";
import { Glyph } from "./glyph";

export function Details({ failure }: { failure: FlowFailure }): ReactNode {
  const say = useSay();
  return (
    <details className="details">
      <summary>{say("problem.details")}</summary>
      <p>{failure.message}</p>
      {failure.requestId && <p className="reference">{say("problem.reference", { id: failure.requestId })}</p>}
    </details>
  );
}

export function FailureNotice({ failure, text }: { failure: FlowFailure; text: string }): ReactNode {
  return (
    <div className="notice" data-tone="bad" role="alert">
      <Glyph name="warn" />
      <div>
        <p>{text}</p>
        <Details failure={failure} />
      </div>
    </div>
  );
}

/** The first control at a path: a group has no control of its own, so its first one stands for it. */
function controlAt(path: string): HTMLElement | null {
  const id = controlId(path);
  const exact = document.getElementById(id);
  const focusable = "input:not([type=hidden]),select,textarea,button,[tabindex]";
  if (exact?.matches(focusable)) return exact;
  return exact?.querySelector<HTMLElement>(focusable) ?? null;
}

/** Far from its field a complaint needs the field's name, unless it says it already. */
function withLabel(complaint: string, label: string | undefined): string {
  return label && !complaint.includes(label) ? `${label}: ${complaint}` : complaint;
}

interface SummaryProps {
  errors: Errors;
  /** Labels by uuid. */
  labels: Record<string, string>;
  /** Changes with every attempt, so that the focus comes back here each time. */
  attempt: number;
}

export function ErrorSummary({ errors, labels, attempt }: SummaryProps): ReactNode {
  const say = useSay();
  const box = useRef<HTMLDivElement>(null);
  const paths = Object.keys(errors);
  useEffect(() => {
    if (attempt > 0) box.current?.focus();
  }, [attempt]);
  if (paths.length === 0) return null;
  return (
    <div className="notice" data-tone="bad" ref={box} tabIndex={-1} role="alert" aria-labelledby="summary-title">
      <Glyph name="warn" />
      <div>
        <h2 id="summary-title">{say("errors.title", { n: paths.length })}</h2>
        <ul>
          {paths.map((path) => (
            <li key={path}>
              <Anchor
                href={`#${controlId(path)}`}
                onClick={(event) => {
                  event.preventDefault();
                  const control = controlAt(path);
                  control?.focus();
                  control?.scrollIntoView({ block: "center" });
                }}
              >
                {withLabel(errors[path] ?? "", labels[path.split(".")[0] ?? ""])}
              </Anchor>
            </li>
          ))}
        </ul>
      </div>
    </div>
  );
}
