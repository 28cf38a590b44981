/** A small file, read in the browser and sent with the step as `{name, data}`, data in base64. */

import { FileInput } from "@mantine/core";
import { type ReactNode, useState } from "react";
import { useSay } from "../copy";
import { type FieldProps, useControl } from "./form";

const LARGEST = 1_000_000;

interface StoredFile {
  name: string;
  data: string;
}

function readFile(file: File): Promise<StoredFile> {
  return new Promise((resolve, reject) => {
    const reader = new FileReader();
    reader.onload = () => resolve({ name: file.name, data: String(reader.result).split(",")[1] ?? "" });
    reader.onerror = () => reject(reader.error ?? new Error("The file could not be read."));
    reader.readAsDataURL(file);
  });
}

export function FileField(props: FieldProps): ReactNode {
  const say = useSay();
  const { set, ...control } = useControl(props);
  const stored = props.value as StoredFile | null;
  const [tooLarge, setTooLarge] = useState(false);
  const take = async (file: File | null) => {
    const fits = !file || file.size <= LARGEST;
    setTooLarge(!fits);
    set(file && fits ? await readFile(file) : null);
  };
  return (
    <FileInput
      {...control}
      clearable
      placeholder={stored?.name ?? say("field.choose")}
      error={tooLarge ? say("error.file", { size: "1 MB" }) : control.error}
      onChange={(file) => void take(file)}
    />
  );
}
