/** The sign-in page. */

import { Button, PasswordInput, TextInput } from "@mantine/core";
import { useMutation } from "@tanstack/react-query";
import { type FormEvent, type ReactNode, useState } from "react";
import { signIn } from "../client";
import { Failure, Heading, Note } from "../parts";
import type { Session } from "../wire";

interface SignInProps {
  /** The person was signed in until a moment ago. */
  hasEnded: boolean;
  enter(session: Session | null): void;
}

export function SignInPage({ hasEnded, enter }: SignInProps): ReactNode {
  const [email, setEmail] = useState("");
  const [password, setPassword] = useState("");
  const entering = useMutation({ mutationFn: () => signIn(email, password), onSuccess: enter });

  const submit = (event: FormEvent) => {
    event.preventDefault();
    entering.mutate();
  };
  return (
    <form className="stack" onSubmit={submit}>
      <Heading takesFocus={hasEnded}>Sign in</Heading>
      {hasEnded && !entering.error && <Note>Your session has ended. Sign in again to go on.</Note>}
      {entering.error && <Failure error={entering.error} />}
      <TextInput
        label="E-mail address"
        type="email"
        name="email"
        autoComplete="username"
        required
        maxLength={254}
        value={email}
        onChange={(event) => setEmail(event.currentTarget.value)}
      />
      <PasswordInput
        label="Password"
        name="password"
        autoComplete="current-password"
        required
        maxLength={256}
        value={password}
        onChange={(event) => setPassword(event.currentTarget.value)}
        visibilityToggleButtonProps={{ "aria-label": "Show the password", "aria-hidden": false, tabIndex: 0 }}
      />
      <Button type="submit" loading={entering.isPending}>
        Sign in
      </Button>
    </form>
  );
}
