/**
 * Items of earlier modules inside an answer: a button beside the field opens a searchable list, and the chosen item's
 * expression is put where the cursor was. Everything works with the keyboard; nothing is dragged.
 */

import { Button, Combobox, useCombobox } from "@mantine/core";
import { type ReactNode, useRef, useState } from "react";
import type { MappingItem } from "../../../src/api";
import { controlId, isMapped, labelOf } from "../answers";
import { useSay } from "../copy";
import { Glyph } from "../glyph";
import { type FieldProps, useControl } from "./form";
import { TextField } from "./text";

/** Types that are text already; the others change into text when an item is used. */
const TEXTUAL = new Set(["text", "url", "email", "number", "integer", "uinteger", "any", "json", "uuid", "port"]);

export function insertAt(text: string, piece: string, from: number, to: number): { text: string; caret: number } {
  return { text: text.slice(0, from) + piece + text.slice(to), caret: from + piece.length };
}

export function usedItems(value: unknown, items: MappingItem[]): string[] {
  if (!isMapped(value)) return [];
  return items.filter(({ expression }) => String(value).includes(expression)).map(({ label }) => label);
}

function ItemPicker({
  id,
  items,
  pick,
}: {
  id: string;
  items: MappingItem[];
  pick(item: MappingItem): void;
}): ReactNode {
  const say = useSay();
  const [search, setSearch] = useState("");
  const combobox = useCombobox({
    onDropdownClose: () => {
      combobox.resetSelectedOption();
      setSearch("");
    },
    onDropdownOpen: () => combobox.focusSearchInput(),
  });
  const wanted = search.trim().toLocaleLowerCase();
  const shown = items.filter((item) => item.label.toLocaleLowerCase().includes(wanted));
  return (
    <Combobox
      store={combobox}
      width={260}
      position="bottom-end"
      withinPortal={false}
      keepMounted={false}
      onOptionSubmit={(index) => {
        const item = items[Number(index)];
        combobox.closeDropdown();
        if (item) pick(item);
      }}
    >
      <Combobox.Target withAriaAttributes={false}>
        <Button
          variant="subtle"
          size="compact-sm"
          leftSection={<Glyph name="insert" size={16} />}
          aria-describedby={`${id}-label`}
          aria-haspopup="listbox"
          aria-expanded={combobox.dropdownOpened}
          onClick={() => combobox.toggleDropdown()}
        >
          {say("map.insert")}
        </Button>
      </Combobox.Target>
      <Combobox.Dropdown>
        <Combobox.Search
          value={search}
          placeholder={say("map.search")}
          aria-label={say("map.search")}
          onChange={(event) => {
            setSearch(event.currentTarget.value);
            combobox.selectFirstOption();
          }}
        />
        <Combobox.Options aria-label={say("map.items")}>
          {shown.map((item) => (
            <Combobox.Option key={item.expression} value={String(items.indexOf(item))}>
              {item.label}
            </Combobox.Option>
          ))}
          {shown.length === 0 && <Combobox.Empty>{say("field.search.none")}</Combobox.Empty>}
        </Combobox.Options>
      </Combobox.Dropdown>
    </Combobox>
  );
}

interface MappableProps extends FieldProps {
  items: MappingItem[];
  plain(props: FieldProps): ReactNode;
}

export function MappableField({ items, plain: Plain, ...props }: MappableProps): ReactNode {
  const say = useSay();
  const { field, path, value } = props;
  const { set } = useControl(props);
  const textual = TEXTUAL.has(field.type) && !field.options?.length;
  const [asText, setAsText] = useState(textual || isMapped(value));
  const touched = useRef(false);
  const label = labelOf(field);

  const control = () => document.getElementById(controlId(path)) as HTMLInputElement | null;
  const pick = (item: MappingItem) => {
    const text = typeof value === "string" || typeof value === "number" ? String(value) : "";
    // A field keeps its cursor when it loses the focus; one nobody was in has none yet: then the end.
    const at = touched.current ? control() : null;
    const from = at?.selectionStart ?? text.length;
    const to = at?.selectionEnd ?? text.length;
    const next = insertAt(text, item.expression, from, to);
    set(next.text);
    setTimeout(() => {
      control()?.focus();
      control()?.setSelectionRange(next.caret, next.caret);
    });
  };
  const turn = () => {
    setAsText(!asText);
    set(field.type === "boolean" && asText ? false : "");
  };

  const used = usedItems(value, items);
  const shownField = textual ? field : { ...field, type: "text", options: null };
  return (
    // biome-ignore lint/a11y/noStaticElementInteractions: it only notices the focus of the control inside
    <div
      className="mappable"
      onFocus={(event) => {
        touched.current ||= event.target.id === controlId(path);
      }}
    >
      {asText ? <TextField {...props} field={shownField} /> : <Plain {...props} />}
      <div className="mapping-bar">
        {used.length > 0 && <p className="muted small">{say("map.uses", { items: used.join(", ") })}</p>}
        <span className="spring" />
        {asText && <ItemPicker id={controlId(path)} items={items} pick={pick} />}
        {!textual && (
          <Button variant="subtle" size="compact-sm" onClick={turn}>
            {say(asText ? "map.plain" : "map.use")}
            <span className="aside">: {label}</span>
          </Button>
        )}
      </div>
    </div>
  );
}
