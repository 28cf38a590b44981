/**
 * Loads the integrations and carries out what the customer asks of them. The widget draws what this holds and
 * turns what this tells into DOM events; nothing here touches the page.
 */

import type { FlowSummary, LogRow } from "../../src/api";
import { poll } from "../../src/poll";
import { failureOf, type PortalClient, type PortalFailure } from "./client";
import type { PhraseKey, Voice } from "./copy";
import { attentionCause, type Entry, merge, type Note, unmade } from "./entry";
import { runResult } from "./runs";

export interface CataloguePorts {
  client: PortalClient;
  voice(): Voice;
  changed(): void;
  announce(text: string, urgent?: boolean): void;
  tell(name: string, detail: Record<string, unknown>): void;
}

export interface Catalogue {
  entries: Entry[];
  phase: "loading" | "ready" | "failed";
  failure: PortalFailure | null;
  load(): Promise<void>;
  /** The server says a flow is finished: show the scenario it made. */
  settled(entry: Entry, flow: FlowSummary): Promise<void>;
  switchTo(entry: Entry, active: boolean): Promise<void>;
  run(entry: Entry): Promise<void>;
  remove(entry: Entry): Promise<void>;
  toggleRuns(entry: Entry): void;
  loadRuns(entry: Entry): Promise<void>;
  /** Unfolds what one run did, or folds it again. */
  toggleRun(entry: Entry, execution: string): Promise<void>;
  stop(): void;
}

/** A run that has not ended after so many questions is left to "Recent runs". */
const RUN_QUESTIONS = 8;

export function createCatalogue({ client, voice, changed, announce, tell }: CataloguePorts): Catalogue {
  let stopped = false;

  const become = (phase: Catalogue["phase"], failure: PortalFailure | null = null) => {
    catalogue.phase = phase;
    catalogue.failure = failure;
    changed();
  };

  const tellInstance = (name: string, entry: Entry, instance = entry.scenario) =>
    tell(name, { instance, template: entry.template, release: entry.release });

  const haveRuns = (entry: Entry, rows: LogRow[]) => {
    const before = attentionCause(entry);
    entry.rows = rows;
    const cause = attentionCause(entry);
    if (cause && cause !== before) tell("attention", { instance: entry.scenario, cause });
    if (before && !cause) tell("recovered", { instance: entry.scenario });
    changed();
  };

  /** One after the other: a proxy spends a token on each, and the list is usable meanwhile. */
  const lookAtLastRuns = async () => {
    for (const entry of catalogue.entries) {
      if (stopped || entry.scenario === undefined) continue;
      // The card works without; opening "Recent runs" asks again and says what is wrong.
      await client.logs(entry.scenario).then(
        (rows) => haveRuns(entry, rows),
        () => {},
      );
    }
  };

  /** One act at a time on each card; `name` is in every failure's sentence. */
  const act = async (
    entry: Entry,
    busy: NonNullable<Entry["busy"]>,
    failed: PhraseKey,
    does: (id: number) => Promise<void>,
  ) => {
    if (entry.scenario === undefined || entry.busy) return;
    entry.busy = busy;
    entry.note = busy === "run" ? { tone: "info", text: voice().say("run.starting") } : null;
    changed();
    try {
      await does(entry.scenario);
    } catch (cause) {
      const text = voice().say(failed, { name: entry.name });
      entry.note = { tone: "bad", text, failure: failureOf(cause) };
      announce(text, true);
    }
    entry.busy = null;
    changed();
  };

  const followRun = (entry: Entry, scenario: number, execution: string, started: Note) => {
    let questions = 0;
    poll(async () => {
      questions += 1;
      const rows = await client.logs(scenario).catch(() => [] as LogRow[]);
      const row = rows.find(({ id, status }) => id === execution && status !== 0);
      if (row) {
        const result = runResult(row, voice());
        // Only over our own note: something newer may stand there by now.
        if (entry.note === started) entry.note = result;
        haveRuns(entry, rows);
        announce(result.text, result.tone === "bad");
      }
      return row !== undefined || stopped || questions >= RUN_QUESTIONS;
    });
  };

  const catalogue: Catalogue = {
    entries: [],
    phase: "loading",
    failure: null,
    async load() {
      const first = catalogue.phase !== "ready";
      if (first) become("loading");
      try {
        catalogue.entries = merge(catalogue.entries, await client.integrations());
      } catch (cause) {
        // A list that is already shown stays: an old list is worth more than an error page.
        if (stopped || !first) return;
        const failure = failureOf(cause);
        become("failed", failure);
        tell("loaderror", { code: failure.code, retryable: failure.retryable });
        return;
      }
      if (stopped) return;
      become("ready");
      if (first) tell("ready", { integrations: catalogue.entries.length });
      void lookAtLastRuns();
    },
    async settled(entry, flow) {
      const isChange = entry.setup?.changes === true;
      const text = voice().say(isChange ? "setup.changed" : "setup.done", { name: entry.name });
      entry.note = { tone: "good", text };
      announce(text);
      await catalogue.load();
      entry.setup = null;
      if (isChange) tellInstance("updated", entry);
      else if (entry.active) tellInstance("activated", entry, flow.result?.scenarios?.[0]?.id ?? entry.scenario);
      changed();
    },
    switchTo: (entry, active) =>
      act(entry, "switch", active ? "failed.activate" : "failed.deactivate", async (id) => {
        await client.setActive(id, active);
        entry.active = active;
        announce(voice().say(active ? "done.activated" : "done.paused", { name: entry.name }));
        tellInstance(active ? "activated" : "paused", entry);
        if (active) tellInstance("resumed", entry);
      }),
    run: (entry) =>
      act(entry, "run", "failed.run", async (id) => {
        const { executionId } = await client.run(id);
        const note: Note = { tone: "info", text: voice().say("run.started") };
        entry.note = note;
        announce(note.text);
        followRun(entry, id, executionId, note);
      }),
    remove: (entry) =>
      act(entry, "remove", "failed.remove", async (id) => {
        await client.remove(id);
        tellInstance("removed", entry, id);
        unmade(entry);
        announce(voice().say("done.removed", { name: entry.name }));
        await catalogue.load();
      }),
    toggleRuns(entry) {
      entry.open = !entry.open;
      if (entry.open) void catalogue.loadRuns(entry);
      changed();
    },
    async loadRuns(entry) {
      if (entry.scenario === undefined) return;
      entry.rowsFailure = null;
      try {
        haveRuns(entry, await client.logs(entry.scenario));
      } catch (cause) {
        entry.rowsFailure = failureOf(cause);
        announce(voice().say("failed.runs"), true);
      }
      changed();
    },
    async toggleRun(entry, execution) {
      entry.openRun = entry.openRun === execution ? null : execution;
      changed();
      const known = entry.details.get(execution);
      if (entry.scenario === undefined || entry.openRun === null || (known && "steps" in known && known.status !== 0))
        return;
      entry.details.set(execution, await client.log(entry.scenario, execution).catch(failureOf));
      changed();
    },
    stop() {
      stopped = true;
      for (const { setup } of catalogue.entries) setup?.stop();
    },
  };
  return catalogue;
}
