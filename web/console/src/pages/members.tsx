/** The people of the organization: see them, add one with a first password, give another role, remove. */

import { Button } from "@mantine/core";
import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { type ReactNode, useState } from "react";
import { momentText, whenText } from "../../../src/moments";
import type { ConsoleClient } from "../client";
import { Confirm, Failure, Heading, Loading } from "../parts";
import { SecretBox } from "../secret-box";
import type { MadeMember, Member, MembersAnswer } from "../wire";
import { MemberForm, RoleForm } from "./member-forms";

/** What is open below the list's heading: nothing, the form for a new person, or the form for somebody's role. */
type Open = "none" | "adding" | Member;

export function MembersPage({ client }: { client: ConsoleClient }): ReactNode {
  const queries = useQueryClient();
  const [open, setOpen] = useState<Open>("none");
  const [leaving, setLeaving] = useState<Member | null>(null);
  const [made, setMade] = useState<MadeMember | null>(null);
  const [said, setSaid] = useState("");
  const found = useQuery({ queryKey: ["members"], queryFn: () => client.members() });
  const again = () => queries.invalidateQueries({ queryKey: ["members"] });
  const add = useMutation<MadeMember, Error, { email: string; role: string }>({
    mutationFn: ({ email, role }) => client.addMember(email, role),
    onSuccess: async (member) => {
      setMade(member);
      setOpen("none");
      await again();
    },
  });
  const change = useMutation<unknown, Error, { member: Member; role: string }>({
    mutationFn: ({ member, role }) => client.setRole(member.id, role),
    onSuccess: async (_, { member, role }) => {
      setSaid(`${member.email} is ${articled(role)} now.`);
      setOpen("none");
      await again();
    },
  });
  const remove = useMutation<unknown, Error, Member>({
    mutationFn: (member) => client.removeMember(member.id),
    onSuccess: async (_, member) => {
      setSaid(`${member.email} is removed.`);
      setLeaving(null);
      await again();
    },
  });
  const show = (next: Open) => {
    add.reset();
    change.reset();
    setSaid("");
    setOpen(next);
  };
  const leave = (member: Member) => {
    remove.reset();
    setSaid("");
    setLeaving(member);
  };
  return (
    <>
      <Heading>Members</Heading>
      <p className="lead">Who may sign in here, and as what. Nobody gives a role above their own.</p>
      <p role="status" className="said">
        {said}
      </p>
      {made && (
        <SecretBox
          title={`${made.email} may sign in`}
          facts={[["E-mail address", made.email]]}
          name="First password"
          secret={made.password}
          done={() => setMade(null)}
        >
          Hand it over on a way that only they can read. They choose their own under “My password”.
        </SecretBox>
      )}
      {open === "adding" && found.data && (
        <MemberForm
          roles={found.data.roles}
          busy={add.isPending}
          error={add.error}
          add={(email, role) => add.mutate({ email, role })}
          cancel={() => show("none")}
        />
      )}
      {found.isPending && <Loading what="Loading the members…" />}
      {found.error && <Failure error={found.error} retry={() => void found.refetch()} />}
      {found.data && (
        <ul className="rows">
          {found.data.members.map((member) => (
            <Row
              key={member.id}
              member={member}
              answer={found.data}
              isOpen={open !== "none" && open !== "adding" && open.id === member.id}
              busy={change.isPending}
              error={change.error}
              edit={() => show(member)}
              close={() => show("none")}
              change={(role) => change.mutate({ member, role })}
              remove={() => leave(member)}
            />
          ))}
        </ul>
      )}
      {found.data?.members.length === 1 && <p className="muted">Nobody else is in this organization yet.</p>}
      {found.data && open !== "adding" && (
        <div className="actions">
          <Button onClick={() => show("adding")}>Add a person</Button>
        </div>
      )}
      {leaving && (
        <Confirm
          title={leaving.isYou ? "Leave this organization?" : "Remove this person?"}
          action={leaving.isYou ? "Leave it" : "Remove them"}
          keep={leaving.isYou ? "Stay" : "Keep them"}
          busy={remove.isPending}
          error={remove.error}
          confirm={() => remove.mutate(leaving)}
          cancel={() => setLeaving(null)}
        >
          <p>
            {leaving.isYou
              ? "You are signed out, and somebody else has to add you again."
              : `${leaving.email} is signed out here within five seconds and cannot sign in again.`}{" "}
            What they have made stays, tokens and keys among it.
          </p>
        </Confirm>
      )}
    </>
  );
}

interface RowProps {
  member: Member;
  answer: MembersAnswer;
  isOpen: boolean;
  busy: boolean;
  error: Error | null;
  edit(): void;
  close(): void;
  change(role: string): void;
  remove(): void;
}

function Row({ member, answer, isOpen, busy, error, edit, close, change, remove }: RowProps): ReactNode {
  return (
    <li className="row">
      <div>
        <h2>
          {member.email}
          {member.isYou && <span className="badge">you</span>}
          {member.isDisabled && <span className="badge">disabled</span>}
        </h2>
        <p className="muted small">
          {capital(member.role)} · since {momentText(member.since, navigator.language)} · {seenText(member)}
        </p>
      </div>
      {member.mayChange && !isOpen && (
        <div className="actions">
          <Button variant="default" onClick={edit}>
            Change the role<span className="aside"> of {member.email}</span>
          </Button>
          <Button variant="default" onClick={remove}>
            {member.isYou ? "Leave" : "Remove"}
            <span className="aside"> {member.isYou ? "this organization" : member.email}</span>
          </Button>
        </div>
      )}
      {isOpen && (
        <RoleForm member={member} roles={answer.roles} busy={busy} error={error} change={change} cancel={close} />
      )}
    </li>
  );
}

function seenText({ lastSeenAt }: Member): string {
  return lastSeenAt ? `active ${whenText(lastSeenAt, Date.now(), navigator.language, "just now")}` : "not signed in";
}

function capital(word: string): string {
  return word.charAt(0).toUpperCase() + word.slice(1);
}

function articled(role: string): string {
  return `${/^[aeo]/.test(role) ? "an" : "a"} ${role}`;
}
