/**
 * The wire types the pages speak: the portal API the widget reaches through the integrator's proxy, the flow
 * API of the wizard, and the demo's own. Written by hand after the contract; nothing here runs.
 */

export interface ApiProblem {
  detail?: string;
  message?: string;
  code?: string;
  requestId?: string;
  /** Only with 422: a sentence per field, by its uuid (or by value name for a component). */
  fields?: Record<string, string>;
}

// ── portal ────────────────────────────────────────────────────────────────────────────────────────────────

export interface Scheduling {
  type?: string;
  interval?: number;
  [more: string]: unknown;
}

export interface Integration {
  scenario: { id?: number; name: string; isActive?: boolean; usedPackages: string[]; scheduling: Scheduling };
  state: { isConnected?: boolean };
  template: { versionUid?: number; instanceableId?: number };
}

export interface IntegrationList {
  integrations: Integration[];
}

export interface Prefill {
  hard: Record<string, unknown>;
  soft: Record<string, unknown>;
}

export interface InitBody {
  redirectUri?: string;
  prefill?: Prefill;
  autoActivate?: boolean;
  autoFinalize?: boolean;
  scenario?: { name: string; enable: boolean };
}

export interface InitAnswer {
  publicUrl: string;
  flow: { id: string };
}

export interface FlowSummary {
  id: string;
  statusId: number;
  statusMessage: string;
  isCompleted: boolean;
  result: { scenarios?: { id: number; description: string }[] } | null;
}

export interface CheckInitAnswer {
  flow: FlowSummary;
}

export interface RunAnswer {
  executionId: string;
  statusUrl: string;
}

/** 0 running, 1 success, 2 warning, 3 error. */
export type RunStatus = 0 | 1 | 2 | 3;

export interface LogRow {
  id: string;
  imtId?: string;
  status: RunStatus;
  type: string;
  timestamp: string;
  /** Milliseconds. */
  duration: number;
  operations: number;
  transfer: number;
}

export interface StepError {
  name?: string | null;
  message?: string | null;
}

/** One operation of a module in a run. */
export interface RunStep {
  moduleId: number;
  module: string;
  /** What people call the module and its app. */
  name?: string;
  app?: string;
  operation: number;
  input: unknown;
  outputs: unknown[];
  error: StepError | null;
}

export interface RunError extends StepError {
  moduleId?: number | null;
}

export interface LogDetail extends LogRow {
  error: RunError | null;
  steps: RunStep[];
}

// ── wizard ────────────────────────────────────────────────────────────────────────────────────────────────

export type Phase = "intro" | "step" | "check" | "done";

export interface Choice {
  label: string;
  value: unknown;
}

export interface Limits {
  min?: number;
  max?: number;
  minItems?: number;
  maxItems?: number;
  pattern?: string;
  enum?: unknown[];
}

export interface MappingItem {
  label: string;
  expression: string;
  /** The module that gives it, by its caption. */
  from?: string | null;
}

/** A piece of an answer in words: text, or an expression with the items it reads. */
export type PhrasePart =
  | { text: string }
  | { expression: string; items: { label: string; from: string | null }[]; calculated: boolean };

/** What every field has, also one nested in a collection, an array or a component's form. */
export interface FieldShape {
  name: string;
  label?: string | null;
  help?: string | null;
  type: string;
  required?: boolean;
  multiline?: boolean;
  multiple?: boolean;
  options?: Choice[] | null;
  default?: unknown;
  validate?: Limits | null;
  spec?: FieldShape[] | FieldShape | null;
}

export interface ExistingComponent {
  id: number;
  label: string;
  /** The provider takes it no more: somebody has to agree again. */
  needsConsent?: boolean;
}

export interface ComponentChoice {
  kind: "connection" | "key" | "hook";
  app: string;
  label: string;
  existing: ExistingComponent[];
  canReuse: boolean;
  canCreate: boolean;
  createFields: FieldShape[];
  hookUrl: string | null;
  /** Where the customer can agree to a connection; then there is no form to fill in. */
  providers?: { id: number; name: string }[];
}

export interface Field extends FieldShape {
  uuid: string;
  value?: unknown;
  showWhen?: { uuid: string; equals: unknown } | null;
  allowMapping?: boolean;
  items?: MappingItem[] | null;
  error?: string | null;
  component?: ComponentChoice | null;
}

export interface Step {
  id: string;
  title: string;
  description?: string | null;
  state: "done" | "current" | "todo";
  fields: Field[];
}

export interface SummaryRow {
  stepId: string;
  label: string;
  value: string;
  /** Only for answers with expressions. */
  parts?: PhrasePart[] | null;
  ok: boolean;
  message: string | null;
}

export interface FlowState {
  flow: FlowSummary;
  template: { name: string; description?: string | null; apps: { name: string; label: string }[] };
  integrator: { name: string };
  language: string;
  phase: Phase;
  currentStep: string | null;
  steps: Step[];
  summary: SummaryRow[];
  options: { autoActivate: boolean; autoFinalize: boolean; redirectUri: string | null };
  scenario: { name: string; enable: boolean; id: number | null; isActive?: boolean };
  /** A flow over a scenario that exists: it shows its answers and may change them. */
  changes?: { scenarioId: number; isChanged: boolean } | null;
}

export interface ReopenAnswer {
  publicUrl: string;
}

export type Values = Record<string, unknown>;

/** What a consent is for: a new connection at a provider, or one there is. */
export interface ConsentWish {
  name?: string;
  applicationId?: number;
  connectionId?: number;
}

/** The address works once, in the window that opens it. */
export interface BegunConsent {
  connectionId: number;
  startUrl: string;
}

export interface CreatedComponent {
  id: number;
  label: string;
}

/** What the wizard tells the page that opened it: hints to look again, never facts and never secrets. */
export type FlowHint =
  | { type: "make-bridge:ready"; flow: string }
  | { type: "make-bridge:close"; flow: string }
  | { type: "make-bridge:step"; flow: string; step: string; index: number; of: number }
  | { type: "make-bridge:dirty"; flow: string; dirty: boolean }
  | { type: "make-bridge:done"; flow: string };

// ── credential requests ───────────────────────────────────────────────────────────────────────────────────

export type HandOverStatus = "pending" | "authorized" | "declined" | "expired";

/** One connection or key that is asked for, and what became of it. */
export interface AskedCredential {
  id: string;
  kind: "connection" | "key";
  label: string;
  description: string;
  /** What it will be called, where whoever asks has said so. */
  name: string;
  app: string | null;
  scopes: string[];
  state: "pending" | "authorized" | "declined";
  /** More scopes for a connection there is already. */
  extends: boolean;
  declineReason: string;
  hasForm: boolean;
  fields: FieldShape[];
  providers: { id: number; name: string }[];
}

/** A request for credentials, as whoever has its link sees it. */
export interface HandOverState {
  integrator: { name: string };
  request: { name: string; description: string; status: HandOverStatus; expiresAt: string };
  credentials: AskedCredential[];
}

// ── demo ──────────────────────────────────────────────────────────────────────────────────────────────────

export interface DemoSession {
  user: { name: string; email: string };
  organization: string;
  zone: string;
}

/** What one integration answered to the sample order. */
export interface SentOrder {
  scenarioId: number;
  scenarioName: string;
  status: number;
  response: unknown;
  executionId: string | null;
}

export interface SendOrderAnswer {
  sent: SentOrder[];
}

export interface DemoExecution {
  id: string;
  scenarioId: number;
  scenarioName: string;
  status: RunStatus;
  timestamp: string;
  duration: number;
  operations: number;
}

export interface DemoExecutionDetail {
  id: string;
  status: RunStatus;
  steps: RunStep[];
  error?: RunError | null;
}
