/**
 * Words between the fields: banners, Markdown, HTML, lines. What a template wrote is never put into the page as markup:
 * Markdown becomes a few elements of ours, HTML becomes its text.
 */

import { Anchor, Divider } from "@mantine/core";
import type { ReactNode } from "react";
import { Glyph } from "../glyph";
import { webAddress } from "../hints";
import type { FieldProps } from "./form";

const INLINE = /\*\*(.+?)\*\*|`(.+?)`|\[(.+?)\]\((.+?)\)/g;

function link(text: string, target: string, key: number): ReactNode {
  const address = webAddress(target);
  if (!address) return text;
  return (
    <Anchor key={key} href={address} target="_blank" rel="noopener noreferrer" underline="always">
      {text}
    </Anchor>
  );
}

export function inlineMarkdown(text: string): ReactNode[] {
  const out: ReactNode[] = [];
  let at = 0;
  for (const match of text.matchAll(INLINE)) {
    const [whole, bold, code, words, target] = match;
    if (match.index > at) out.push(text.slice(at, match.index));
    if (bold) out.push(<strong key={match.index}>{bold}</strong>);
    else if (code) out.push(<code key={match.index}>{code}</code>);
    else out.push(link(words ?? "", target ?? "", match.index));
    at = match.index + whole.length;
  }
  return at < text.length ? [...out, text.slice(at)] : out;
}

function Markdown({ text }: { text: string }): ReactNode {
  return text.split(/\n{2,}/).map((block, at) => {
    const lines = block.split("\n");
    const isList = lines.every((line) => /^[-*] /.test(line));
    const key = `${at}-${block.length}`;
    if (!isList) return <p key={key}>{inlineMarkdown(block.replace(/^#+ /, ""))}</p>;
    return (
      <ul key={key}>
        {lines.map((line) => (
          <li key={line}>{inlineMarkdown(line.slice(2))}</li>
        ))}
      </ul>
    );
  });
}

export function textOfHtml(html: string): string {
  const parsed = new DOMParser().parseFromString(html, "text/html");
  for (const silent of parsed.querySelectorAll("script,style")) silent.remove();
  return parsed.body.textContent?.trim() ?? "";
}

export function TextBlock({ field, value }: FieldProps): ReactNode {
  if (field.type === "separator") return <Divider label={field.label || undefined} labelPosition="left" />;
  const given = field as { value?: unknown };
  const text = [field.help, value, given.value].find((part) => typeof part === "string" && part) as string | undefined;
  return (
    <div className="notice" data-tone="info">
      <Glyph name="info" />
      <div>
        {field.label && <p className="notice-title">{field.label}</p>}
        {text &&
          (field.type === "markdown" ? (
            <Markdown text={text} />
          ) : (
            <p>{field.type === "html" ? textOfHtml(text) : text}</p>
          ))}
      </div>
    </div>
  );
}
