/** A webhook address: made by the server when its step is saved, shown with a button that copies it. */

import { Button } from "@mantine/core";
import { type ReactNode, useRef, useState } from "react";
import type { Field } from "../../../src/api";
import { controlId } from "../answers";
import { useSay } from "../copy";
import { Glyph } from "../glyph";
import { type FieldProps, useControl } from "./form";

const BACK_AFTER = 2500;

export function CopyAddress({ address, label }: { address: string; label: string }): ReactNode {
  const say = useSay();
  const [copied, setCopied] = useState(false);
  const text = useRef<HTMLElement>(null);
  const copy = async () => {
    try {
      await navigator.clipboard.writeText(address);
      setCopied(true);
      setTimeout(() => setCopied(false), BACK_AFTER);
    } catch {
      // Frames may not use the clipboard: then the address is selected, and one key press copies it.
      if (text.current) getSelection()?.selectAllChildren(text.current);
    }
  };
  return (
    <div className="address">
      <code ref={text}>{address}</code>
      <Button
        variant="default"
        size="sm"
        leftSection={<Glyph name={copied ? "check" : "copy"} size={16} />}
        aria-label={say("hook.copy.label", { label })}
        onClick={copy}
      >
        {say(copied ? "hook.copied" : "hook.copy")}
      </Button>
      <span className="aside" role="status">
        {copied ? say("hook.copied") : ""}
      </span>
    </div>
  );
}

export function HookField(props: FieldProps & { field: Field }): ReactNode {
  const say = useSay();
  const { label, description, error } = useControl(props);
  const address = props.field.component?.hookUrl ?? null;
  const id = controlId(props.path);
  return (
    <section className="hook" aria-labelledby={`${id}-label`} id={id} tabIndex={-1}>
      <h2 id={`${id}-label`}>{label}</h2>
      {description && <p className="muted small">{description}</p>}
      {error && <p className="group-error">{error}</p>}
      {address ? (
        <>
          <CopyAddress address={address} label={label} />
          <p className="muted small">{say("hook.secret")}</p>
        </>
      ) : (
        <p className="hook-later">
          <Glyph name="info" />
          {say("hook.later")}
        </p>
      )}
    </section>
  );
}
