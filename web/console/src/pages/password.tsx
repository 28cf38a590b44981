/** One's own password: the current one is asked for again, and every other session ends with the change. */

import { Button, PasswordInput } from "@mantine/core";
import { useMutation } from "@tanstack/react-query";
import { type FormEvent, type ReactNode, useState } from "react";
import { type ConsoleClient, fieldOf } from "../client";
import { Failure, Heading } from "../parts";
import type { Session } from "../wire";

const SHORTEST = 12;
const LONGEST = 256;

export function PasswordPage({ session, client }: { session: Session; client: ConsoleClient }): ReactNode {
  const [current, setCurrent] = useState("");
  const [next, setNext] = useState("");
  const [again, setAgain] = useState("");
  const [differs, setDiffers] = useState(false);
  const change = useMutation({
    mutationFn: () => client.changePassword(current, next),
    onSuccess: () => {
      for (const empty of [setCurrent, setNext, setAgain]) empty("");
    },
  });
  const currentError = fieldOf(change.error, "currentPassword");
  const nextError = fieldOf(change.error, "newPassword") ?? fieldOf(change.error, "password");

  const submit = (event: FormEvent) => {
    event.preventDefault();
    change.reset();
    setDiffers(next !== again);
    if (next === again) change.mutate();
  };
  return (
    <>
      <Heading>My password</Heading>
      <p className="lead">Changing it signs you out of every other browser. This one stays signed in.</p>
      <p role="status" className="said">
        {change.data && saidOf(change.data.ended)}
      </p>
      <form className="stack narrow" onSubmit={submit}>
        {change.error && !currentError && !nextError && <Failure error={change.error} />}
        {/* Password stores read here whose password it is. */}
        <input type="email" name="email" autoComplete="username" value={session.email} readOnly hidden />
        <Secret
          label="Current password"
          autoComplete="current-password"
          value={current}
          error={currentError}
          set={setCurrent}
        />
        <Secret
          label="New password"
          description={`${SHORTEST} characters or more.`}
          autoComplete="new-password"
          value={next}
          error={nextError}
          shortest={SHORTEST}
          set={setNext}
        />
        <Secret
          label="New password, once more"
          autoComplete="new-password"
          value={again}
          error={differs ? "This differs from the new password above." : null}
          set={setAgain}
        />
        <div className="actions">
          <Button type="submit" loading={change.isPending}>
            Change the password
          </Button>
        </div>
      </form>
    </>
  );
}

function saidOf(ended: number): string {
  if (ended === 0) return "Your password is changed.";
  return `Your password is changed, and ${ended === 1 ? "one other session has" : `${ended} other sessions have`} ended.`;
}

interface SecretProps {
  label: string;
  description?: string;
  autoComplete: string;
  value: string;
  error: string | null;
  shortest?: number;
  set(value: string): void;
}

function Secret({ label, description, autoComplete, value, error, shortest, set }: SecretProps): ReactNode {
  return (
    <PasswordInput
      label={label}
      description={description}
      autoComplete={autoComplete}
      required
      minLength={shortest}
      maxLength={LONGEST}
      value={value}
      error={error}
      onChange={(event) => set(event.currentTarget.value)}
      visibilityToggleButtonProps={{
        "aria-label": `Show what is in “${label}”`,
        "aria-hidden": false,
        tabIndex: 0,
      }}
    />
  );
}
