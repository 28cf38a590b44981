/**
 * A text field whose items are chips: what a template writes as `{{1.customer.name}}` is one word, "Customer › Name",
 * that the caret steps over and Backspace takes out. The value stays the template's text.
 */

import { Input } from "@mantine/core";
import {
  type ClipboardEvent,
  type KeyboardEvent,
  type ReactNode,
  type Ref,
  useEffect,
  useImperativeHandle,
  useRef,
} from "react";
import type { MappingItem } from "../../../src/api";
import { partsOf } from "../../../src/phrase";
import { useSay } from "../copy";
import { chipWords } from "../phrase";
import { type FieldProps, useControl } from "./form";
import { chipBeside, type Describe, isChip, nodesOf, pad, placeBeside, textIn } from "./item-text";

export interface ItemEditing {
  /** Puts text, with expressions, where the caret was last. */
  insert(text: string): void;
}

interface EditorProps extends FieldProps {
  items: MappingItem[];
  editing: Ref<ItemEditing>;
}

function select(range: Range): void {
  const selection = getSelection();
  selection?.removeAllRanges();
  selection?.addRange(range);
}

/** Browsers end an editable text with a line break of their own, so that the caret has a line to stand on. */
function read(root: HTMLElement, multiline: boolean): string {
  const text = textIn(root).replace(/\n$/, "");
  return multiline ? text : text.replaceAll("\n", " ");
}

export function ItemEditor({ items, editing, ...props }: EditorProps): ReactNode {
  const say = useSay();
  const { field, value } = props;
  const { set, id, label, description, error, required } = useControl(props);
  const box = useRef<HTMLDivElement>(null);
  const shown = useRef<string | null>(null);
  const caret = useRef<Range | null>(null);
  const multiline = field.multiline ?? false;
  const text = value === null || value === undefined ? "" : String(value);
  const describe: Describe = (part) => chipWords(part, say);

  const draw = (wanted: string) => {
    const root = box.current;
    if (!root) return;
    root.replaceChildren(...nodesOf(partsOf(wanted, items), describe));
    pad(root);
    shown.current = wanted;
    caret.current = null;
  };

  /** Everything that was typed is in the element already; it is drawn only when the value came from elsewhere. */
  useEffect(() => {
    if (shown.current !== text) draw(text);
  });

  useEffect(() => {
    const remember = () => {
      const selection = getSelection();
      if (!selection?.rangeCount || !box.current?.contains(selection.anchorNode)) return;
      caret.current = selection.getRangeAt(0).cloneRange();
    };
    document.addEventListener("selectionchange", remember);
    return () => document.removeEventListener("selectionchange", remember);
  }, []);

  const changed = () => {
    const root = box.current;
    if (!root) return;
    pad(root);
    shown.current = read(root, multiline);
    set(shown.current);
  };

  const insert = (piece: string) => {
    const root = box.current;
    if (!root) return;
    let range = caret.current;
    if (!range || !root.contains(range.startContainer)) {
      range = document.createRange();
      range.selectNodeContents(root);
      range.collapse(false);
    }
    range.deleteContents();
    const nodes = nodesOf(partsOf(multiline ? piece : piece.replaceAll(/\s*\n\s*/g, " "), items), describe);
    for (const node of nodes.toReversed()) range.insertNode(node);
    pad(root);
    root.focus();
    const last = nodes.at(-1);
    if (last && isChip(last)) select(placeBeside(last, "after"));
    else if (last) {
      range.setStartAfter(last);
      range.collapse(true);
      select(range);
    }
    changed();
  };
  useImperativeHandle(editing, () => ({ insert }));

  /** What somebody typed between braces becomes a chip when the field is left. */
  const tidy = () => {
    const root = box.current;
    const typed =
      root && [...root.childNodes].some((node) => !isChip(node) && /\{\{.*\}\}/s.test(node.textContent ?? ""));
    if (typed) draw(read(root, multiline));
  };

  const remove = (chip: HTMLElement) => {
    const range = placeBeside(chip, "before");
    chip.remove();
    select(range);
    changed();
  };

  const press = (event: KeyboardEvent<HTMLDivElement>) => {
    if (event.key === "Enter" && !multiline && !event.nativeEvent.isComposing) {
      event.preventDefault();
      box.current?.closest("form")?.requestSubmit();
      return;
    }
    const side = { Backspace: "before", ArrowLeft: "before", Delete: "after", ArrowRight: "after" }[event.key] as
      | "before"
      | "after"
      | undefined;
    const selection = getSelection();
    if (!side || !box.current || !selection?.isCollapsed || !selection.anchorNode) return;
    if (event.shiftKey || event.ctrlKey || event.metaKey || event.altKey) return;
    const chip = chipBeside(box.current, selection.anchorNode, selection.anchorOffset, side);
    if (!chip) return;
    event.preventDefault();
    if (event.key === "Backspace" || event.key === "Delete") remove(chip);
    else select(placeBeside(chip, side));
  };

  const copy = (event: ClipboardEvent<HTMLDivElement>) => {
    const selection = getSelection();
    if (!selection?.rangeCount || selection.isCollapsed) return;
    event.preventDefault();
    event.clipboardData.setData("text/plain", textIn(selection.getRangeAt(0).cloneContents()));
    if (event.type !== "cut") return;
    selection.getRangeAt(0).deleteContents();
    changed();
  };

  const paste = (event: ClipboardEvent<HTMLDivElement>) => {
    event.preventDefault();
    insert(event.clipboardData.getData("text/plain"));
  };

  const described = [description ? `${id}-description` : "", error ? `${id}-error` : ""].filter(Boolean).join(" ");
  return (
    <Input.Wrapper
      id={id}
      label={label}
      labelElement="div"
      labelProps={{ className: required ? "required" : "" }}
      description={description}
      error={error}
    >
      {/* biome-ignore lint/a11y/useSemanticElements: no input can hold a chip */}
      <div
        ref={box}
        id={id}
        className="editor"
        role="textbox"
        tabIndex={0}
        contentEditable="plaintext-only"
        suppressContentEditableWarning
        spellCheck={field.type === "text"}
        data-multiline={multiline}
        data-error={error !== null}
        aria-multiline={multiline}
        aria-labelledby={`${id}-label`}
        aria-describedby={described || undefined}
        aria-invalid={error !== null}
        aria-required={required}
        onInput={changed}
        onBlur={tidy}
        onKeyDown={press}
        onCopy={copy}
        onCut={copy}
        onPaste={paste}
        onDrop={(event) => event.preventDefault()}
        onClick={(event) => {
          const chip = (event.target as HTMLElement).closest<HTMLElement>("[data-expression]");
          if (!chip) return;
          const range = document.createRange();
          range.selectNode(chip);
          select(range);
        }}
      />
    </Input.Wrapper>
  );
}
