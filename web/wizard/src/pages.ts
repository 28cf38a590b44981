/**
 * Which page the customer sees, from the server's state and the one thing the server does not know: the step the
 * customer went back to. Pure.
 */

import type { FlowState, Step } from "../../src/api";
import type { PhraseKey } from "./copy";

export type Page =
  | { kind: "intro"; key: string }
  | { kind: "step"; key: string; step: Step; index: number; addressReady: boolean }
  | { kind: "check"; key: string }
  | { kind: "done"; key: string };

/** A step opened by the customer: to change it, or to be shown the address it just made. */
export interface Visit {
  stepId: string;
  addressReady: boolean;
}

function stepPage(state: FlowState, stepId: string | null, addressReady: boolean): Page | null {
  const index = state.steps.findIndex(({ id }) => id === stepId);
  const step = state.steps[index];
  return step ? { kind: "step", key: `step-${step.id}-${addressReady}`, step, index, addressReady } : null;
}

export function pageOf(state: FlowState, visit: Visit | null): Page {
  if (state.phase === "done") return { kind: "done", key: "done" };
  if (state.phase === "intro") return { kind: "intro", key: "intro" };
  const visited = visit && stepPage(state, visit.stepId, visit.addressReady);
  if (visited) return visited;
  if (state.phase === "step") {
    const current = stepPage(state, state.currentStep ?? firstOpen(state), false);
    if (current) return current;
  }
  return { kind: "check", key: "check" };
}

function firstOpen(state: FlowState): string | null {
  return state.steps.find(({ state: progress }) => progress !== "done")?.id ?? null;
}

/** The step before this page that can be opened again; the last one from the check page. */
export function stepBefore(state: FlowState, page: Page): Step | null {
  const end = page.kind === "step" ? page.index : page.kind === "check" ? state.steps.length : 0;
  return state.steps.slice(0, end).findLast(({ fields }) => fields.length > 0) ?? null;
}

/** What the pages without a title of their own are called. */
export function titleKey(state: FlowState, kind: Page["kind"]): PhraseKey {
  if (kind === "done") return state.changes ? "change.done.title" : "done.title";
  if (state.changes) return "change.title";
  return state.summary.length === 0 ? "check.empty.title" : "check.title";
}

/** Addresses of hooks that saving made: they are shown before the customer moves on. */
export function madeAddress(before: FlowState, after: FlowState, stepId: string): boolean {
  const addresses = (state: FlowState) =>
    state.steps
      .find(({ id }) => id === stepId)
      ?.fields.filter(({ component }) => component?.hookUrl)
      .map(({ uuid }) => uuid) ?? [];
  const known = new Set(addresses(before));
  return addresses(after).some((uuid) => !known.has(uuid));
}

/** How many pages the customer walks through: the steps, and the check unless the flow ends without one. */
export function pageCount(state: FlowState): number {
  return state.steps.length + (state.options.autoFinalize ? 0 : 1);
}
