/** The controls that choose: from a few, from many, several at once, a time zone. */

import { Checkbox, NativeSelect, Radio, Select, Stack } from "@mantine/core";
import { type ReactNode, useMemo } from "react";
import type { Choice } from "../../../src/api";
import { same } from "../answers";
import { useSay } from "../copy";
import { type FieldProps, useControl } from "./form";

/** With more than these a customer types instead of scrolling. */
const SEARCH_FROM = 12;
const SHOWN = 60;

/** Options may have any value, controls only text: the place in the list stands for the value. */
function indexOf(options: Choice[], value: unknown): string {
  const at = options.findIndex((option) => same(option.value, value));
  return at < 0 ? "" : String(at);
}

export function ChoiceField(props: FieldProps): ReactNode {
  const say = useSay();
  const { set, ...control } = useControl(props);
  const options = props.field.options ?? [];
  const choose = (index: string | null) => set(index ? options[Number(index)]?.value : null);
  const chosen = indexOf(options, props.value);
  if (options.length > SEARCH_FROM) {
    return (
      <Select
        {...control}
        searchable
        limit={SHOWN}
        placeholder={say("field.choose")}
        nothingFoundMessage={say("field.search.none")}
        data={options.map(({ label }, at) => ({ value: String(at), label }))}
        value={chosen || null}
        onChange={choose}
      />
    );
  }
  return (
    <NativeSelect
      {...control}
      value={chosen}
      onChange={(event) => choose(event.target.value)}
      data={[
        { value: "", label: say(control.required ? "field.choose" : "field.none") },
        ...options.map(({ label }, at) => ({ value: String(at), label })),
      ]}
    />
  );
}

export function RadioField(props: FieldProps): ReactNode {
  const { set, id, ...control } = useControl(props);
  const options = props.field.options ?? [];
  return (
    <Radio.Group
      {...control}
      labelProps={{ className: control.required ? "required" : "" }}
      id={id}
      name={id}
      value={indexOf(options, props.value) || null}
      onChange={(index) => set(options[Number(index)]?.value)}
    >
      <Stack gap="xs" className="options">
        {options.map(({ label }, at) => (
          // biome-ignore lint/suspicious/noArrayIndexKey: the place is the option's identity here
          <Radio key={at} value={String(at)} label={label} />
        ))}
      </Stack>
    </Radio.Group>
  );
}

export function SeveralField(props: FieldProps): ReactNode {
  const { set, ...control } = useControl(props);
  const options = props.field.options ?? [];
  const values = Array.isArray(props.value) ? (props.value as unknown[]) : [];
  return (
    <Checkbox.Group
      {...control}
      value={values.map((value) => indexOf(options, value)).filter(Boolean)}
      onChange={(indices) => set(indices.map((index) => options[Number(index)]?.value))}
    >
      <Stack gap="xs" className="options">
        {options.map(({ label }, at) => (
          // biome-ignore lint/suspicious/noArrayIndexKey: the place is the option's identity here
          <Checkbox key={at} value={String(at)} label={label} />
        ))}
      </Stack>
    </Checkbox.Group>
  );
}

export function TimezoneField(props: FieldProps): ReactNode {
  const say = useSay();
  const { set, ...control } = useControl(props);
  const zones = useMemo(() => ["UTC", ...Intl.supportedValuesOf("timeZone").filter((zone) => zone !== "UTC")], []);
  return (
    <Select
      {...control}
      searchable
      limit={SHOWN}
      placeholder={say("field.choose")}
      nothingFoundMessage={say("field.search.none")}
      data={zones}
      value={typeof props.value === "string" && zones.includes(props.value) ? props.value : null}
      onChange={set}
    />
  );
}
