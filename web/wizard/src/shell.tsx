/** The frame around every page of the wizard: who asks, how far the customer is, and the announcement of each page. */

import { type ReactNode, useEffect, useRef, useState } from "react";
import type { FlowState } from "../../src/api";
import { useSay } from "./copy";
import { Glyph } from "./glyph";
import { type Page, titleKey } from "./pages";

interface ShellProps {
  state: FlowState;
  page: Page;
  open(stepId: string): void;
  children: ReactNode;
}

interface Mark {
  id: string;
  title: string;
  here: boolean;
  done: boolean;
  canOpen: boolean;
}

function marksOf(state: FlowState, page: Page, checkTitle: string): Mark[] {
  const over = page.kind === "done";
  const steps = state.steps.map((step) => ({
    id: step.id,
    title: step.title,
    here: page.kind === "step" && page.step.id === step.id,
    done: over || step.state === "done",
    canOpen: !over && step.state === "done" && step.fields.length > 0,
  }));
  if (state.options.autoFinalize) return steps;
  return [...steps, { id: "", title: checkTitle, here: page.kind === "check", done: over, canOpen: false }];
}

function StepMark({ mark, at, open }: { mark: Mark; at: number; open(stepId: string): void }): ReactNode {
  const say = useSay();
  const inner = (
    <>
      <span className="mark-dot" aria-hidden="true">
        {mark.done && !mark.here ? <Glyph name="check" size={14} /> : at + 1}
      </span>
      <span className="mark-title">{mark.title}</span>
      {mark.done && !mark.here && <span className="aside"> ({say("app.done")})</span>}
    </>
  );
  return (
    <li className="mark" data-here={mark.here} data-done={mark.done} aria-current={mark.here ? "step" : undefined}>
      {mark.canOpen && !mark.here ? (
        <button type="button" className="mark-link" onClick={() => open(mark.id)}>
          {inner}
        </button>
      ) : (
        <span className="mark-link">{inner}</span>
      )}
    </li>
  );
}

/** Changes of page are said once, politely; the first page is read by the browser itself. */
function useAnnouncement(page: Page, words: string): string {
  const [said, setSaid] = useState("");
  const first = useRef(page.key);
  useEffect(() => {
    if (first.current === page.key) return;
    first.current = "";
    setSaid(words);
  }, [page.key, words]);
  return said;
}

export function Shell({ state, page, open, children }: ShellProps): ReactNode {
  const say = useSay();
  const marks = marksOf(state, page, say(titleKey(state, "check")));
  const words =
    page.kind === "step"
      ? say("app.step.said", { index: page.index + 1, of: marks.length, title: page.step.title })
      : say(page.kind === "intro" ? "intro.eyebrow" : titleKey(state, page.kind));
  const said = useAnnouncement(page, words);
  const walking = (page.kind === "step" || page.kind === "check") && !state.changes && state.steps.length > 0;

  return (
    <div className="page" data-kind={page.kind} data-walking={walking}>
      <header className="rail">
        <p className="vendor">
          <span className="vendor-mark" aria-hidden="true">
            {state.integrator.name.slice(0, 1).toLocaleUpperCase()}
          </span>
          {state.integrator.name}
        </p>
        {page.kind !== "intro" && (
          <p className="template">{state.changes ? state.scenario.name : state.template.name}</p>
        )}
        {walking && (
          <>
            <nav className="marks" aria-label={say("app.progress")}>
              <ol>
                {marks.map((mark, at) => (
                  <StepMark key={mark.id || "check"} mark={mark} at={at} open={open} />
                ))}
              </ol>
            </nav>
            <p className="saved">{say("app.saved")}</p>
          </>
        )}
      </header>
      <main className="sheet">{children}</main>
      <p className="aside" role="status">
        {said}
      </p>
    </div>
  );
}
