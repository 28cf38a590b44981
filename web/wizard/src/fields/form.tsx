/** What the fields of one step share: their errors, and the connections that are filled in but not created yet. */

import { createContext, type ReactNode, useContext } from "react";
import type { BegunConsent, ConsentWish, CreatedComponent, FieldShape, Values } from "../../../src/api";
import { controlId, type Errors, labelOf } from "../answers";

/** A connection or key in the making; the step creates it when it is saved. */
export interface Creation {
  name: string;
  values: Values;
  check(): Errors;
  /** The server's errors by value name, as errors by path. */
  refused(fields: Record<string, string>): Errors;
  created(component: CreatedComponent): void;
}

export interface FormPorts {
  errors: Errors;
  vendor: string;
  change(uuid: string, value: unknown): void;
  /** The customer is changing an answer: something can be lost now, and a complaint about it is out of date. */
  touch(path: string): void;
  creations: Map<string, Creation>;
  /** Ask for the address at which the customer agrees. */
  consent(uuid: string, wish: ConsentWish): Promise<BegunConsent>;
  /** The connection of a consent once it can be used, null before. */
  connected(uuid: string, connectionId: number): Promise<CreatedComponent | null>;
}

export interface FieldProps {
  field: FieldShape;
  path: string;
  value: unknown;
  change(value: unknown): void;
}

const FormContext = createContext<FormPorts | null>(null);

export function FormProvider({ value, children }: { value: FormPorts; children: ReactNode }): ReactNode {
  return <FormContext.Provider value={value}>{children}</FormContext.Provider>;
}

export function useForm(): FormPorts {
  const ports = useContext(FormContext);
  if (!ports) throw new Error("A field was drawn outside of a step.");
  return ports;
}

/** The properties every Mantine control takes; it ties label, help and error to the control itself. */
export function useControl({ field, path, change }: FieldProps): {
  id: string;
  label: string;
  description: string | null;
  error: string | null;
  required: boolean;
  set(value: unknown): void;
} {
  const { errors, touch } = useForm();
  return {
    id: controlId(path),
    label: labelOf(field),
    description: field.help ?? null,
    error: errors[path] ?? null,
    required: field.required ?? false,
    set: (value) => {
      touch(path);
      change(value);
    },
  };
}
