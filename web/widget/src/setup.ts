/**
 * One walk through the wizard as the host page sees it: from the click on Connect to a finished flow. A card owns
 * one while it is setting up.
 *
 * The window is opened inside the click and navigated later, because a browser blocks one that is opened after
 * an answer arrived. Only the server's flow row says how a set-up ended: windows lie about being closed (a page
 * with its own opener policy reads as closed at once), and messages get lost. So a closed window offers choices
 * and ends nothing, and a message is only a reason to ask earlier.
 */

import type { FlowSummary, InitAnswer, InitBody } from "../../src/api";
import { type Poll, poll } from "../../src/poll";
import { failureOf, type PortalClient, PortalFailure } from "./client";
import type { FlowMemory } from "./memory";

export type SetupPhase =
  | "opening"
  | "waiting"
  | "long"
  | "closed"
  | "blocked"
  | "redirecting"
  | "unfinished"
  | "failed"
  | "expired"
  | "done"
  | "cancelled";

export type Happening =
  | "opened"
  | "blocked"
  | "redirected"
  | "refused"
  | "slow"
  | "closed"
  | "completed"
  | "gone"
  | "cancel";

const RUNNING = { completed: "done", gone: "expired", refused: "failed", cancel: "cancelled" } as const;

/** Every legal move; a happening that is not in a phase's row changes nothing. */
const MOVES: Record<SetupPhase, Partial<Record<Happening, SetupPhase>>> = {
  opening: { opened: "waiting", blocked: "blocked", redirected: "redirecting", refused: "failed", cancel: "cancelled" },
  waiting: { ...RUNNING, slow: "long", closed: "closed", blocked: "blocked" },
  long: { ...RUNNING, closed: "closed", blocked: "blocked" },
  closed: { ...RUNNING, opened: "waiting", blocked: "blocked" },
  blocked: { ...RUNNING, opened: "waiting" },
  redirecting: {},
  unfinished: RUNNING,
  failed: {},
  expired: {},
  done: {},
  cancelled: {},
};

export function move(phase: SetupPhase, happening: Happening): SetupPhase {
  return MOVES[phase][happening] ?? phase;
}

/** Phases in which nothing more will happen by itself. */
export function isOver(phase: SetupPhase): boolean {
  return Object.keys(MOVES[phase]).length === 0;
}

export const SLOW_AFTER = 60_000;
const WATCH_EVERY = 500;
/** A flow without an answer for so long is not polled for ever; "I finished" still asks. */
const STOP_ASKING_AFTER = 60 * 60_000;
const OFFLINE_AFTER_FAILURES = 3;

/** Where the wizard is shown: a window or a frame. */
export interface Place {
  readonly kind: "window" | "frame";
  show(url: string): void;
  closed(): boolean;
  close(): void;
  isSource(source: MessageEventSource | null): boolean;
}

export type SetupTold = "start" | "waiting" | "success" | "error" | "cancel";

export interface SetupPorts {
  client: Pick<PortalClient, "checkInit">;
  template: number;
  /** Asks the server for a flow: a new integration's, or one that changes the answers of an old one. */
  begin(body: InitBody | null): Promise<InitAnswer>;
  /** Nothing is lost when a change is left, so it ends with its window, and no reload takes it up again. */
  changes: boolean;
  /** The wizard's address with what it needs to look like this page. */
  dress(url: string): string;
  /** Null in redirect mode, which leaves the page instead. */
  open: (() => Place | null) | null;
  body(needsReturn: boolean): InitBody | null;
  leave(url: string): void;
  memory: FlowMemory;
  changed(): void;
  tell(what: SetupTold, detail: Record<string, unknown>): void;
  finished(flow: FlowSummary): void;
  /** A change was left without an end. */
  left(): void;
}

export interface Setup {
  readonly changes: boolean;
  /** Where the wizard is shown now; null while nowhere. */
  where(): Place["kind"] | null;
  phase: SetupPhase;
  flowId: string | null;
  publicUrl: string | null;
  failure: PortalFailure | null;
  offline: boolean;
  /** "I finished" was pressed and the server says otherwise. */
  notYet: boolean;
  /** Must be called inside the click: see the module's head. */
  start(): Promise<void>;
  /** Follows a flow that was begun before the host page was loaded again. */
  resume(flowId: string): void;
  /** Shows the same flow again, in a click; `elsewhere` when the usual place does not work. */
  reopen(elsewhere?: () => Place | null): void;
  /** "I finished": ask now, and say so when it is not true yet. */
  check(): Promise<void>;
  cancel(): void;
  /** A message or a returning focus: never believed, only followed up. */
  hint(): void;
  accepts(event: MessageEvent): boolean;
  closePlace(): void;
  stop(): void;
}

/** A window must never be sent to `javascript:` by an answer that a proxy garbled. */
function webAddress(url: string): string {
  const { protocol, href } = new URL(url, location.href);
  if (!/^https?:$/.test(protocol)) throw new PortalFailure(502, "bad-address", "The set-up has no web address.");
  return href;
}

export function createSetup(ports: SetupPorts): Setup {
  const { client, template, memory, changed, tell } = ports;
  let place: Place | null = null;
  let asking: Poll | undefined;
  let watching: ReturnType<typeof setInterval> | undefined;
  let slow: ReturnType<typeof setTimeout> | undefined;
  let begun = 0;
  let failures = 0;

  const stop = () => {
    asking?.stop();
    clearInterval(watching);
    clearTimeout(slow);
  };

  const happen = (happening: Happening) => {
    const next = move(setup.phase, happening);
    if (next === setup.phase) return;
    setup.phase = next;
    if (isOver(next)) stop();
    changed();
  };

  const fail = (cause: unknown) => {
    setup.failure = failureOf(cause);
    happen("refused");
    tell("error", { flow: setup.flowId, code: setup.failure.code });
  };

  const offlineIs = (offline: boolean) => {
    if (setup.offline === offline) return;
    setup.offline = offline;
    changed();
  };

  const complete = (flow: FlowSummary) => {
    if (isOver(setup.phase)) return;
    memory.forget(template);
    happen("completed");
    tell("success", { flow: flow.id, scenarios: flow.result?.scenarios?.map(({ id }) => id) ?? [] });
    ports.finished(flow);
  };

  const missed = (cause: unknown) => {
    const { kind } = failureOf(cause);
    if (kind === "gone") {
      memory.forget(template);
      happen("gone");
      tell("error", { flow: setup.flowId, code: "expired" });
    } else if (kind === "signin" || kind === "plan") {
      fail(cause);
    } else {
      failures += 1;
      offlineIs(failures >= OFFLINE_AFTER_FAILURES);
    }
  };

  const ask = async (): Promise<boolean> => {
    if (setup.flowId && !isOver(setup.phase)) {
      try {
        const flow = await client.checkInit(setup.flowId);
        failures = 0;
        offlineIs(false);
        if (flow.isCompleted) complete(flow);
      } catch (cause) {
        missed(cause);
      }
    }
    return isOver(setup.phase) || Date.now() - begun > STOP_ASKING_AFTER;
  };

  const follow = () => {
    begun = Date.now();
    asking = poll(ask);
  };

  /** A change may have been saved a moment before its window closed. */
  const leave = async () => {
    await ask();
    if (isOver(setup.phase)) return;
    happen("cancel");
    tell("cancel", { flow: setup.flowId });
    ports.left();
  };

  const show = () => {
    if (!place) {
      happen("blocked");
      return;
    }
    const shown = place;
    shown.show(setup.publicUrl as string);
    happen("opened");
    tell("waiting", { flow: setup.flowId });
    clearInterval(watching);
    watching = setInterval(() => {
      if (!shown.closed()) return;
      clearInterval(watching);
      if (ports.changes) {
        void leave();
        return;
      }
      happen("closed");
      asking?.soon();
    }, WATCH_EVERY);
    clearTimeout(slow);
    slow = setTimeout(() => happen("slow"), SLOW_AFTER);
  };

  const setup: Setup = {
    changes: ports.changes,
    where: () => place?.kind ?? null,
    phase: "opening",
    flowId: null,
    publicUrl: null,
    failure: null,
    offline: false,
    notYet: false,
    async start() {
      place = ports.open?.() ?? null;
      changed();
      try {
        const answer = await ports.begin(ports.body(!place));
        setup.publicUrl = ports.dress(webAddress(answer.publicUrl));
        setup.flowId = answer.flow.id;
      } catch (cause) {
        place?.close();
        fail(cause);
        return;
      }
      // Cancelled while the answer was on its way.
      if (isOver(setup.phase)) return;
      memory.remember(template, setup.flowId);
      tell("start", { flow: setup.flowId });
      if (ports.open) {
        follow();
        show();
      } else {
        happen("redirected");
        ports.leave(setup.publicUrl);
      }
    },
    resume(flowId) {
      setup.flowId = flowId;
      setup.phase = "unfinished";
      follow();
      asking?.soon();
    },
    reopen(elsewhere) {
      const before = place;
      // Watched no longer, so that its closing is not taken for the customer's.
      clearInterval(watching);
      // The usual place has one name: closed after it was opened again, it would be gone.
      if (!elsewhere) before?.close();
      place = (elsewhere ?? ports.open)?.() ?? null;
      if (elsewhere) before?.close();
      setup.notYet = false;
      show();
    },
    async check() {
      setup.notYet = !(await ask());
      changed();
    },
    cancel() {
      place?.close();
      happen("cancel");
      memory.forget(template);
      tell("cancel", { flow: setup.flowId });
    },
    hint: () => asking?.soon(),
    accepts: ({ source, origin }) =>
      !!setup.publicUrl && !!place?.isSource(source) && origin === new URL(setup.publicUrl).origin,
    closePlace: () => place?.close(),
    stop,
  };
  return setup;
}
