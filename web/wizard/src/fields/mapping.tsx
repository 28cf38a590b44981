/**
 * Items of earlier modules inside an answer: a button beside the field opens a searchable list, and the chosen item is
 * put where the caret was. Everything works with the keyboard; nothing is dragged.
 */

import { Button, Combobox, useCombobox } from "@mantine/core";
import { type ReactNode, useRef, useState } from "react";
import type { MappingItem } from "../../../src/api";
import { controlId, isMapped, labelOf } from "../answers";
import { useSay } from "../copy";
import { Glyph } from "../glyph";
import { type FieldProps, useControl } from "./form";
import { type ItemEditing, ItemEditor } from "./item-editor";

/** Types that are text already; the others change into text when an item is used. */
const TEXTUAL = new Set(["text", "url", "email", "number", "integer", "uinteger", "any", "json", "uuid", "port"]);

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
  const shown = items.filter(({ label, from }) => `${label} ${from ?? ""}`.toLocaleLowerCase().includes(wanted));
  const sources = [...new Set(shown.map(({ from }) => from ?? ""))];
  const optionOf = (item: MappingItem) => (
    <Combobox.Option key={item.expression} value={String(items.indexOf(item))}>
      {item.label}
    </Combobox.Option>
  );
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
          {sources.map((source) => {
            const options = shown.filter(({ from }) => (from ?? "") === source).map(optionOf);
            return source ? (
              <Combobox.Group key={source} label={source}>
                {options}
              </Combobox.Group>
            ) : (
              options
            );
          })}
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
  const editing = useRef<ItemEditing>(null);
  const turn = () => {
    setAsText(!asText);
    set(field.type === "boolean" && asText ? false : "");
  };
  return (
    <div className="mappable">
      {asText ? <ItemEditor {...props} items={items} editing={editing} /> : <Plain {...props} />}
      <div className="mapping-bar">
        {asText && <p className="muted small">{say("map.hint")}</p>}
        <span className="spring" />
        {asText && (
          <ItemPicker
            id={controlId(path)}
            items={items}
            // The list gives the focus back to its button first; the caret is to be in the text.
            pick={({ expression }) => setTimeout(() => editing.current?.insert(expression))}
          />
        )}
        {!textual && (
          <Button variant="subtle" size="compact-sm" onClick={turn}>
            {say(asText ? "map.plain" : "map.use")}
            <span className="aside">: {labelOf(field)}</span>
          </Button>
        )}
      </div>
    </div>
  );
}
