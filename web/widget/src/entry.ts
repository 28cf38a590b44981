/**
 * What the widget knows about one integration, and the state its card shows. Pure; the catalogue keeps entries
 * and changes them, the card draws them.
 */

import type { Integration, LogDetail, LogRow, Scheduling } from "../../src/api";
import type { PortalFailure } from "./client";
import type { Setup } from "./setup";

export type CardState = "available" | "setting-up" | "active" | "paused" | "attention";
export type AttentionCause = "disconnected" | "failed";

export interface Note {
  tone: "info" | "good" | "warn" | "bad";
  text: string;
  failure?: PortalFailure;
}

export interface Entry {
  readonly key: string;
  name: string;
  apps: string[];
  timing: Scheduling;
  template: number | undefined;
  release: number | undefined;
  /** Undefined until somebody connects it. */
  scenario: number | undefined;
  active: boolean;
  connected: boolean;
  setup: Setup | null;
  busy: "switch" | "run" | "remove" | null;
  note: Note | null;
  open: boolean;
  rows: LogRow[] | null;
  rowsFailure: PortalFailure | null;
  /** The run that is unfolded, and what is known of those that were. */
  openRun: string | null;
  details: Map<string, LogDetail | PortalFailure>;
}

function lastRun({ rows }: Entry): LogRow | undefined {
  return rows?.find(({ status }) => status !== 0);
}

export function lastRunAt(entry: Entry): string {
  return lastRun(entry)?.timestamp ?? "";
}

export function attentionCause(entry: Entry): AttentionCause | null {
  if (entry.scenario === undefined) return null;
  if (!entry.connected) return "disconnected";
  return entry.active && lastRun(entry)?.status === 3 ? "failed" : null;
}

export function cardState(entry: Entry): CardState {
  if (entry.setup && !entry.setup.changes) return "setting-up";
  if (entry.scenario === undefined) return "available";
  return attentionCause(entry) ? "attention" : entry.active ? "active" : "paused";
}

/** An entry as it is offered before anybody connects it. */
export function unmade(entry: Entry): void {
  entry.scenario = undefined;
  entry.active = false;
  entry.connected = false;
  forgetRuns(entry);
}

function forgetRuns(entry: Entry): void {
  entry.open = false;
  entry.rows = null;
  entry.rowsFailure = null;
  entry.openRun = null;
  entry.details = new Map();
}

function take(entry: Entry, { scenario, state, template }: Integration): Entry {
  const made = scenario.id ?? undefined;
  if (entry.scenario !== made) forgetRuns(entry);
  return Object.assign(entry, {
    name: scenario.name,
    apps: scenario.usedPackages,
    timing: scenario.scheduling,
    template: template.instanceableId,
    release: template.versionUid,
    scenario: made,
    active: scenario.isActive === true,
    connected: state.isConnected !== false,
  });
}

/**
 * A card keeps its identity when a template becomes a scenario, so that focus stays: the template names it, and
 * only a second scenario of the same template needs more.
 */
function keyed(integrations: Integration[]): Map<string, Integration> {
  const found = new Map<string, Integration>();
  for (const integration of integrations) {
    const { template, scenario } = integration;
    const key = `t${template.instanceableId ?? scenario.name}`;
    found.set(found.has(key) ? `${key}-${scenario.id}` : key, integration);
  }
  return found;
}

/** The new list over the old one: what the server says is taken, what the customer has open stays open. */
export function merge(known: Entry[], integrations: Integration[]): Entry[] {
  return [...keyed(integrations)].map(([key, integration]) => {
    const entry = known.find((candidate) => candidate.key === key);
    const fresh = { key, setup: null, busy: null, note: null, openRun: null, details: new Map() } as unknown as Entry;
    return take(entry ?? fresh, integration);
  });
}
