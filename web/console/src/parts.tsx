/** What every page of the console is put together from: its heading, its states, notices, confirmations. */

import { Button, Loader } from "@mantine/core";
import { type ReactNode, useEffect, useId, useRef } from "react";
import { Glyph } from "../../wizard/src/glyph";
import { ConsoleFailure } from "./client";

/** Takes the focus when the page changes, so that reading and tabbing begin at its top. */
export function Heading({ children, takesFocus = true }: { children: string; takesFocus?: boolean }): ReactNode {
  const heading = useRef<HTMLHeadingElement>(null);
  useEffect(() => {
    document.title = `${children} – Console`;
    if (takesFocus) heading.current?.focus({ preventScroll: true });
  }, [children, takesFocus]);
  return (
    <h1 ref={heading} tabIndex={-1}>
      {children}
    </h1>
  );
}

export function Loading({ what }: { what: string }): ReactNode {
  return (
    <div className="state" aria-busy="true">
      <Loader size="md" aria-hidden="true" />
      <p className="muted" role="status">
        {what}
      </p>
    </div>
  );
}

export function Empty({ children }: { children: ReactNode }): ReactNode {
  return <p className="state muted">{children}</p>;
}

export function Failure({ error, retry }: { error: Error; retry?: () => void }): ReactNode {
  const reference = error instanceof ConsoleFailure ? error.requestId : null;
  return (
    <div className="notice" data-tone="bad" role="alert">
      <Glyph name="warn" />
      <div>
        <p>{error.message}</p>
        {reference && <p className="muted small">Reference for support: {reference}</p>}
        {retry && (
          <Button variant="default" size="compact-sm" onClick={retry}>
            Try again
          </Button>
        )}
      </div>
    </div>
  );
}

export function Note({ children }: { children: ReactNode }): ReactNode {
  return (
    <div className="notice" data-tone="info">
      <Glyph name="info" />
      <div>{children}</div>
    </div>
  );
}

interface ConfirmProps {
  title: string;
  children: ReactNode;
  action: string;
  /** What the button says that changes nothing. */
  keep?: string;
  busy: boolean;
  error: Error | null;
  confirm(): void;
  cancel(): void;
}

/** Asks before what cannot be undone. The browser keeps the focus inside, and Escape leaves everything as it is. */
export function Confirm({
  title,
  children,
  action,
  keep = "Keep it",
  busy,
  error,
  confirm,
  cancel,
}: ConfirmProps): ReactNode {
  const box = useRef<HTMLDialogElement>(null);
  const words = useId();
  useEffect(() => {
    const dialog = box.current;
    dialog?.showModal();
    return () => dialog?.close();
  }, []);
  return (
    <dialog
      ref={box}
      className="confirm"
      aria-labelledby={words}
      onCancel={(event) => {
        event.preventDefault();
        cancel();
      }}
    >
      <h2 id={words}>{title}</h2>
      {children}
      {error && <Failure error={error} />}
      <div className="actions">
        <Button variant="default" onClick={cancel} disabled={busy} autoFocus>
          {keep}
        </Button>
        <Button className="danger" onClick={confirm} loading={busy}>
          {action}
        </Button>
      </div>
    </dialog>
  );
}
