/** The forms of the members' page: a new person, and another role for somebody. */

import { Button, NativeSelect, TextInput } from "@mantine/core";
import { type FormEvent, type ReactNode, useState } from "react";
import { fieldOf } from "../client";
import { Failure, Note } from "../parts";
import type { Member } from "../wire";

/** In the words of the table of roles; the server decides. */
const MAY: Record<string, string> = {
  owner: "everything",
  admin: "all but what only owners may: also members, keys and tokens",
  editor: "change scenarios, templates, customers, data",
  operator: "run, retry, replay, reports",
  viewer: "look",
};
const LEAST = "viewer";

function choices(roles: string[]): { value: string; label: string }[] {
  return roles.map((role) => ({ value: role, label: MAY[role] ? `${role}: ${MAY[role]}` : role }));
}

interface MemberFormProps {
  roles: string[];
  busy: boolean;
  error: Error | null;
  add(email: string, role: string): void;
  cancel(): void;
}

export function MemberForm({ roles, busy, error, add, cancel }: MemberFormProps): ReactNode {
  const [email, setEmail] = useState("");
  const [role, setRole] = useState(roles.includes(LEAST) ? LEAST : (roles.at(-1) ?? ""));
  const emailError = fieldOf(error, "email");
  const submit = (event: FormEvent) => {
    event.preventDefault();
    add(email, role);
  };
  return (
    <form className="stack panel" onSubmit={submit} aria-labelledby="member-form">
      <h2 id="member-form">A new person</h2>
      {error && !emailError && <Failure error={error} />}
      <TextInput
        label="E-mail address"
        description="No mail is sent: you are shown a first password to hand over."
        type="email"
        required
        maxLength={254}
        autoFocus
        autoComplete="off"
        value={email}
        error={emailError}
        onChange={(event) => setEmail(event.currentTarget.value)}
      />
      <NativeSelect
        label="Role"
        data={choices(roles)}
        value={role}
        onChange={(event) => setRole(event.currentTarget.value)}
      />
      <div className="actions">
        <Button variant="default" onClick={cancel} disabled={busy}>
          Cancel
        </Button>
        <Button type="submit" loading={busy}>
          Add the person
        </Button>
      </div>
    </form>
  );
}

interface RoleFormProps {
  member: Member;
  roles: string[];
  busy: boolean;
  error: Error | null;
  change(role: string): void;
  cancel(): void;
}

export function RoleForm({ member, roles, busy, error, change, cancel }: RoleFormProps): ReactNode {
  const [role, setRole] = useState(member.role);
  const submit = (event: FormEvent) => {
    event.preventDefault();
    if (role === member.role) cancel();
    else change(role);
  };
  return (
    <form className="stack panel wide" onSubmit={submit} aria-label={`The role of ${member.email}`}>
      {error && <Failure error={error} />}
      {member.isYou && <Note>This is your own role: you may do less afterwards.</Note>}
      <NativeSelect
        label="Role"
        description={`${member.isYou ? "You are" : "They are"} signed out here; the new role holds from the next sign-in.`}
        data={choices(roles)}
        value={role}
        autoFocus
        onChange={(event) => setRole(event.currentTarget.value)}
      />
      <div className="actions">
        <Button variant="default" onClick={cancel} disabled={busy}>
          Cancel
        </Button>
        <Button type="submit" loading={busy}>
          Change the role
        </Button>
      </div>
    </form>
  );
}
