// @vitest-environment happy-dom
/** The set-up's life: windows, polling, endings. Time is virtual, the server and the window are stand-ins. */
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import type { FlowSummary } from "../src/api";
import { PortalFailure } from "../widget/src/client";
import {
  createSetup,
  type Happening,
  isOver,
  move,
  type Place,
  type Setup,
  type SetupPorts,
  SLOW_AFTER,
} from "../widget/src/setup";

const URL_ = "https://bridge.example/flow/f1#secret";

class FakeWindow implements Place {
  kind = "window" as const;
  shut = false;
  shows: string[] = [];
  show = (url: string) => void this.shows.push(url);
  closed = () => this.shut;
  close = () => {
    this.shut = true;
  };
  isSource = (source: MessageEventSource | null) => source === (this as unknown);
}

function flow(isCompleted: boolean): FlowSummary {
  return {
    id: "f1",
    statusId: 1,
    statusMessage: "",
    isCompleted,
    result: isCompleted ? { scenarios: [{ id: 7, description: "" }] } : null,
  };
}

interface Bench {
  setup: Setup;
  windows: FakeWindow[];
  told: [string, Record<string, unknown>][];
  answers: { done: boolean; failure: PortalFailure | null };
  memory: Map<number, string>;
  ports: SetupPorts;
}

function bench(over: Partial<SetupPorts> = {}): Bench {
  const windows: FakeWindow[] = [];
  const told: Bench["told"] = [];
  const memory = new Map<number, string>();
  const answers: Bench["answers"] = { done: false, failure: null };
  const ports: SetupPorts = {
    client: {
      checkInit: vi.fn(async () => {
        if (answers.failure) throw answers.failure;
        return flow(answers.done);
      }),
    },
    template: 3,
    begin: vi.fn(async () => ({ publicUrl: URL_, flow: { id: "f1" } })),
    changes: false,
    dress: (url) => url,
    left: vi.fn(),
    open: () => {
      windows.push(new FakeWindow());
      return windows.at(-1) as FakeWindow;
    },
    body: vi.fn(() => null),
    leave: vi.fn(),
    memory: {
      all: () => memory,
      remember: (key, id) => void memory.set(key, id),
      forget: (key) => void memory.delete(key),
    },
    changed: vi.fn(),
    tell: (name, detail) => void told.push([name, detail]),
    finished: vi.fn(),
    ...over,
  };
  return { setup: createSetup(ports), windows, told, answers, memory, ports };
}

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

test("the window is opened before anything is asked, and sent on afterwards", async () => {
  const { setup, windows, ports } = bench();
  const starting = setup.start();
  expect(windows).toHaveLength(1);
  expect(windows[0]?.shows).toEqual([]);
  await starting;
  expect(windows[0]?.shows).toEqual([URL_]);
  expect(setup.phase).toBe("waiting");
  expect(ports.body).toHaveBeenCalledWith(false);
});

test("a finished flow ends it, tells the scenario and forgets the flow", async () => {
  const { setup, answers, told, memory, ports } = bench();
  await setup.start();
  expect(memory.get(3)).toBe("f1");
  answers.done = true;
  await vi.advanceTimersByTimeAsync(1000);
  expect(setup.phase).toBe("done");
  expect(told.at(-1)).toEqual(["success", { flow: "f1", scenarios: [7] }]);
  expect(ports.finished).toHaveBeenCalledOnce();
  expect(memory.size).toBe(0);
});

test("a closed window ends nothing: asking goes on and a later finish counts", async () => {
  const { setup, windows, answers } = bench();
  await setup.start();
  windows[0]?.close();
  await vi.advanceTimersByTimeAsync(500);
  expect(setup.phase).toBe("closed");
  await vi.advanceTimersByTimeAsync(30_000);
  expect(setup.phase).toBe("closed");
  answers.done = true;
  await vi.advanceTimersByTimeAsync(5000);
  expect(setup.phase).toBe("done");
});

test("opening again shows the same flow: one flow, however often it is tried", async () => {
  const { setup, windows, ports } = bench();
  await setup.start();
  windows[0]?.close();
  await vi.advanceTimersByTimeAsync(500);
  setup.reopen();
  expect(windows[1]?.shows).toEqual([URL_]);
  expect(setup.phase).toBe("waiting");
  expect(ports.begin).toHaveBeenCalledOnce();
});

test("a frame that stays silent is exchanged for a window, opened before the frame goes", async () => {
  const { setup, windows, ports } = bench();
  await setup.start();
  const order: string[] = [];
  const frame = windows[0] as FakeWindow;
  frame.close = () => void order.push("closed");
  const elsewhere = new FakeWindow();
  setup.reopen(() => {
    order.push("opened");
    return elsewhere;
  });
  expect(order).toEqual(["opened", "closed"]);
  expect(elsewhere.shows).toEqual([URL_]);
  await vi.advanceTimersByTimeAsync(2000);
  expect(setup.phase).toBe("waiting");
  expect(ports.begin).toHaveBeenCalledOnce();
});

test("a window that is blocked after the frame stayed silent leaves a link", async () => {
  const { setup } = bench();
  await setup.start();
  setup.reopen(() => null);
  expect(setup.phase).toBe("blocked");
});

test("a change that is left ends with its window, unless it was saved the moment before", async () => {
  const left = bench({ changes: true });
  await left.setup.start();
  left.windows[0]?.close();
  await vi.advanceTimersByTimeAsync(500);
  expect(left.setup.phase).toBe("cancelled");
  expect(left.ports.left).toHaveBeenCalledOnce();

  const saved = bench({ changes: true });
  await saved.setup.start();
  saved.answers.done = true;
  saved.windows[0]?.close();
  await vi.advanceTimersByTimeAsync(500);
  expect(saved.setup.phase).toBe("done");
  expect(saved.ports.left).not.toHaveBeenCalled();
});

test("a blocked window asks for a way back and can still finish", async () => {
  const { setup, answers, ports } = bench({ open: () => null });
  await setup.start();
  expect(setup.phase).toBe("blocked");
  expect(setup.publicUrl).toBe(URL_);
  expect(ports.body).toHaveBeenCalledWith(true);
  answers.done = true;
  await vi.advanceTimersByTimeAsync(1000);
  expect(setup.phase).toBe("done");
});

test("redirect mode leaves the page with the flow remembered", async () => {
  const { setup, memory, ports } = bench({ open: null });
  await setup.start();
  expect(ports.leave).toHaveBeenCalledWith(URL_);
  expect(setup.phase).toBe("redirecting");
  expect(memory.get(3)).toBe("f1");
});

test("a refused start closes the blank window and keeps the reason", async () => {
  const refusal = new PortalFailure(422, "no-version", "The template has no published version.");
  const { setup, windows, told } = bench();
  const failing = bench({ begin: () => Promise.reject(refusal) });
  await failing.setup.start();
  expect(failing.setup.phase).toBe("failed");
  expect(failing.setup.failure).toBe(refusal);
  expect(failing.windows[0]?.shut).toBe(true);
  expect(failing.told).toEqual([["error", { flow: null, code: "no-version" }]]);
  expect([setup.phase, windows, told]).toEqual(["opening", [], []]);
});

test("an address that is no web address is refused", async () => {
  const { setup, windows } = bench({
    begin: async () => ({ publicUrl: "javascript:alert(1)", flow: { id: "f1" } }),
  });
  await setup.start();
  expect(setup.phase).toBe("failed");
  expect(windows[0]?.shows).toEqual([]);
});

test("a flow the server no longer knows has expired", async () => {
  const { setup, answers, memory } = bench();
  await setup.start();
  answers.failure = new PortalFailure(404, "not-found", "There is no such flow.");
  await vi.advanceTimersByTimeAsync(1000);
  expect(setup.phase).toBe("expired");
  expect(memory.size).toBe(0);
});

test("lost connections are survived, and said from the third on", async () => {
  const { setup, answers } = bench();
  await setup.start();
  answers.failure = new PortalFailure(0, "network", "offline");
  await vi.advanceTimersByTimeAsync(1000 + 1500);
  expect(setup.offline).toBe(false);
  await vi.advanceTimersByTimeAsync(2250);
  expect(setup.offline).toBe(true);
  answers.failure = null;
  await vi.advanceTimersByTimeAsync(5000);
  expect(setup.offline).toBe(false);
  expect(setup.phase).toBe("waiting");
});

test("after a minute the customer hears that it takes long", async () => {
  const { setup } = bench();
  await setup.start();
  await vi.advanceTimersByTimeAsync(SLOW_AFTER);
  expect(setup.phase).toBe("long");
});

test("'I finished' asks at once and says when it is not so", async () => {
  const { setup, answers } = bench();
  await setup.start();
  await setup.check();
  expect(setup.notYet).toBe(true);
  answers.done = true;
  await setup.check();
  expect(setup.phase).toBe("done");
});

test("cancelling closes the window and stops asking", async () => {
  const { setup, windows, told, ports } = bench();
  await setup.start();
  setup.cancel();
  expect(windows[0]?.shut).toBe(true);
  expect(told.at(-1)?.[0]).toBe("cancel");
  await vi.advanceTimersByTimeAsync(60_000);
  expect(ports.client.checkInit).not.toHaveBeenCalled();
});

test("cancelling while the start is on its way opens nothing afterwards", async () => {
  const { setup, windows } = bench();
  const starting = setup.start();
  setup.cancel();
  await starting;
  expect(setup.phase).toBe("cancelled");
  expect(windows[0]?.shows).toEqual([]);
});

test("a flow from before a reload is asked about at once", async () => {
  const { setup, answers } = bench();
  answers.done = true;
  setup.resume("f1");
  expect(setup.phase).toBe("unfinished");
  await vi.advanceTimersByTimeAsync(0);
  expect(setup.phase).toBe("done");
});

test("a message counts only from the wizard's window and origin", async () => {
  const { setup, windows } = bench();
  await setup.start();
  const source = windows[0] as unknown as MessageEventSource;
  const message = (origin: string, from: MessageEventSource | null) => ({ origin, source: from }) as MessageEvent;
  expect(setup.accepts(message("https://bridge.example", source))).toBe(true);
  expect(setup.accepts(message("https://evil.example", source))).toBe(false);
  expect(setup.accepts(message("https://bridge.example", null))).toBe(false);
});

describe("the table of moves", () => {
  const all: Happening[] = [
    "opened",
    "blocked",
    "redirected",
    "refused",
    "slow",
    "closed",
    "completed",
    "gone",
    "cancel",
  ];

  test("nothing leads out of an ending", () => {
    for (const ending of ["failed", "expired", "done", "cancelled"] as const) {
      expect(isOver(ending)).toBe(true);
      for (const happening of all) expect(move(ending, happening)).toBe(ending);
    }
  });

  test("every phase that waits for the server can complete", () => {
    for (const phase of ["waiting", "long", "closed", "blocked", "unfinished"] as const) {
      expect(move(phase, "completed")).toBe("done");
    }
  });

  test("closing only matters while a window is shown", () => {
    expect(move("waiting", "closed")).toBe("closed");
    expect(move("blocked", "closed")).toBe("blocked");
    expect(move("unfinished", "closed")).toBe("unfinished");
  });
});
