/** A secret that was just made: shown this once, with a button that copies it. */

import { Button } from "@mantine/core";
import { type ReactNode, useEffect, useRef, useState } from "react";
import { Glyph } from "../../wizard/src/glyph";

interface SecretProps {
  title: string;
  /** What else belongs to it and is no secret. */
  facts?: [string, string][];
  name: string;
  secret: string;
  /** What to do with it, in place of how long it can be read. */
  children?: ReactNode;
  done(): void;
}

type Copied = "no" | "yes" | "failed";
const SAID: Record<Copied, string> = {
  no: "",
  yes: "Copied.",
  failed: "It could not be copied. It is selected: copy it with the keyboard.",
};

export function SecretBox({ title, facts = [], name, secret, children, done }: SecretProps): ReactNode {
  const box = useRef<HTMLElement>(null);
  const text = useRef<HTMLElement>(null);
  const [copied, setCopied] = useState<Copied>("no");
  useEffect(() => box.current?.focus(), []);

  const copy = async () => {
    try {
      await navigator.clipboard.writeText(secret);
      setCopied("yes");
    } catch {
      if (text.current) getSelection()?.selectAllChildren(text.current);
      setCopied("failed");
    }
  };
  return (
    <section className="secret" ref={box} tabIndex={-1} aria-labelledby="secret-title">
      <h2 id="secret-title">{title}</h2>
      <p>Keep it now: it is shown this once, and nobody can read it here again.</p>
      {children && <p>{children}</p>}
      <dl className="facts">
        {facts.map(([fact, value]) => (
          <div key={fact}>
            <dt>{fact}</dt>
            <dd className="mono">{value}</dd>
          </div>
        ))}
        <div>
          <dt>{name}</dt>
          <dd className="mono" ref={text}>
            {secret}
          </dd>
        </div>
      </dl>
      <div className="actions">
        <Button onClick={() => void copy()} leftSection={<Glyph name="copy" />}>
          Copy the {name.toLowerCase()}
        </Button>
        <Button variant="default" onClick={done}>
          I have kept it
        </Button>
        <span role="status">{SAID[copied]}</span>
      </div>
    </section>
  );
}
