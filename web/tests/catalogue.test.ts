/** Loading the list and acting on one integration; what the customer sees, hears and the page is told. */
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import type { Integration, LogRow } from "../src/api";
import { type Catalogue, createCatalogue } from "../widget/src/catalogue";
import { type PortalClient, PortalFailure } from "../widget/src/client";
import { voice } from "../widget/src/copy";
import { cardState, type Entry } from "../widget/src/entry";

function integration(
  template: number,
  scenario: { id?: number; isActive?: boolean } = {},
  isConnected = true,
): Integration {
  return {
    scenario: {
      name: `Template ${template}`,
      usedPackages: ["http"],
      scheduling: { type: "immediately" },
      ...scenario,
    },
    state: { isConnected },
    template: { versionUid: 1, instanceableId: template },
  };
}

function row(over: Partial<LogRow>): LogRow {
  return {
    id: "x",
    status: 1,
    type: "auto",
    timestamp: "2026-11-22T10:00:00Z",
    duration: 10,
    operations: 1,
    transfer: 0,
    ...over,
  };
}

function bench(list: Integration[], over: Partial<PortalClient> = {}) {
  const told: [string, Record<string, unknown>][] = [];
  const said: [string, boolean][] = [];
  const client: PortalClient = {
    integrations: vi.fn(async () => structuredClone(list)),
    init: vi.fn(),
    edit: vi.fn(),
    checkInit: vi.fn(),
    setActive: vi.fn(async () => ({})),
    run: vi.fn(async () => ({ executionId: "e1", statusUrl: "" })),
    logs: vi.fn(async () => []),
    log: vi.fn(async (_scenario, id) => ({ ...row({ id }), error: null, steps: [] })),
    remove: vi.fn(async () => ({})),
    ...over,
  };
  const catalogue = createCatalogue({
    client,
    voice: () => voice("en"),
    changed: () => {},
    announce: (text, urgent = false) => void said.push([text, urgent]),
    tell: (name, detail) => void told.push([name, detail]),
  });
  return { catalogue, client, told, said };
}

const first = (catalogue: Catalogue) => catalogue.entries[0] as Entry;
const outage = () => Promise.reject(new PortalFailure(503, "unavailable", "Try later.", "r-1"));

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

test("an unfolded run is asked for once; one that still went, or could not be read, is asked for again", async () => {
  let status: LogRow["status"] = 0;
  const log = vi.fn(async (_scenario: number, id: string) => {
    if (log.mock.calls.length === 1) throw new PortalFailure(503, "unavailable", "Try later.");
    return { ...row({ id, status }), error: null, steps: [] };
  });
  const { catalogue } = bench([integration(1, { id: 7, isActive: true })], { log });
  await catalogue.load();
  const entry = first(catalogue);
  const unfold = async () => {
    await catalogue.toggleRun(entry, "e1");
    const seen = entry.details.get("e1");
    await catalogue.toggleRun(entry, "e1");
    return seen;
  };
  expect(await unfold()).toBeInstanceOf(PortalFailure);
  expect(await unfold()).toMatchObject({ status: 0 });
  status = 1;
  expect(await unfold()).toMatchObject({ status: 1 });
  expect(await unfold()).toMatchObject({ status: 1 });
  expect(log).toHaveBeenCalledTimes(3);
});

test("while its answers are looked at a card stays what it is", async () => {
  const { catalogue } = bench([integration(1, { id: 7, isActive: true })]);
  await catalogue.load();
  const entry = first(catalogue);
  entry.setup = { changes: true } as Entry["setup"];
  expect(cardState(entry)).toBe("active");
  entry.setup = { changes: false } as Entry["setup"];
  expect(cardState(entry)).toBe("setting-up");
});

test("a loaded list is told once, however often it is read again", async () => {
  const { catalogue, told } = bench([integration(1), integration(2)]);
  await catalogue.load();
  await catalogue.load();
  expect(told).toEqual([["ready", { integrations: 2 }]]);
  expect(catalogue.phase).toBe("ready");
});

test("a failed first load is told with its code; a failed later one keeps the list", async () => {
  const failing = bench([], { integrations: outage });
  await failing.catalogue.load();
  expect(failing.told).toEqual([["loaderror", { code: "unavailable", retryable: true }]]);
  expect(failing.catalogue.failure?.requestId).toBe("r-1");

  const { catalogue, client } = bench([integration(1)]);
  await catalogue.load();
  vi.mocked(client.integrations).mockImplementation(outage);
  await catalogue.load();
  expect([catalogue.phase, catalogue.entries.length]).toEqual(["ready", 1]);
});

test("an active integration whose last finished run failed needs attention, and recovers", async () => {
  const { catalogue, client, told } = bench([integration(1, { id: 5, isActive: true })], {
    logs: vi.fn(async () => [row({ id: "b", status: 0 }), row({ id: "a", status: 3 })]),
  });
  await catalogue.load();
  await vi.advanceTimersByTimeAsync(0);
  expect(cardState(first(catalogue))).toBe("attention");
  expect(told).toContainEqual(["attention", { instance: 5, cause: "failed" }]);
  vi.mocked(client.logs).mockResolvedValue([row({ id: "b", status: 1 })]);
  await catalogue.loadRuns(first(catalogue));
  expect(cardState(first(catalogue))).toBe("active");
  expect(told).toContainEqual(["recovered", { instance: 5 }]);
});

test("switching tells and announces; a refusal leaves the switch where it was", async () => {
  const { catalogue, client, told, said } = bench([integration(1, { id: 5, isActive: true })]);
  await catalogue.load();
  await catalogue.switchTo(first(catalogue), false);
  expect(cardState(first(catalogue))).toBe("paused");
  expect(told.at(-1)).toEqual(["paused", { instance: 5, template: 1, release: 1 }]);
  vi.mocked(client.setActive).mockImplementation(outage);
  await catalogue.switchTo(first(catalogue), true);
  expect(cardState(first(catalogue))).toBe("paused");
  expect(said.at(-1)).toEqual(["Template 1 could not be switched on. It is still off.", true]);
  expect(first(catalogue).note?.failure?.message).toBe("Try later.");
});

test("a second act on the same card waits for the first", async () => {
  const { catalogue, client } = bench([integration(1, { id: 5, isActive: true })]);
  await catalogue.load();
  await Promise.all([catalogue.switchTo(first(catalogue), false), catalogue.run(first(catalogue))]);
  expect(client.run).not.toHaveBeenCalled();
});

test("a run is followed until its own row has ended", async () => {
  const rows = vi.fn(async (): Promise<LogRow[]> => []);
  const { catalogue, said } = bench([integration(1, { id: 5, isActive: true })], { logs: rows });
  await catalogue.load();
  await catalogue.run(first(catalogue));
  expect(first(catalogue).note?.text).toMatch(/^Started/);
  rows.mockResolvedValue([row({ id: "e1", status: 0 })]);
  await vi.advanceTimersByTimeAsync(1000);
  expect(first(catalogue).note?.text).toMatch(/^Started/);
  rows.mockResolvedValue([row({ id: "e1", status: 1, operations: 3, duration: 412 }), row({ id: "old", status: 3 })]);
  await vi.advanceTimersByTimeAsync(1500);
  expect(first(catalogue).note).toMatchObject({ tone: "good", text: "Finished: 3 operations in 412\u00a0ms." });
  expect(said.at(-1)).toEqual(["Finished: 3 operations in 412\u00a0ms.", false]);
});

test("what is removed is offered again, on the same card", async () => {
  const list = [integration(1, { id: 5, isActive: true })];
  const { catalogue, client, told } = bench(list);
  await catalogue.load();
  const card = first(catalogue);
  vi.mocked(client.integrations).mockResolvedValue([integration(1, {}, false)]);
  await catalogue.remove(card);
  expect(first(catalogue)).toBe(card);
  expect(cardState(card)).toBe("available");
  expect(told.at(-1)).toEqual(["removed", { instance: 5, template: 1, release: 1 }]);
});

test("a finished set-up shows the scenario it made", async () => {
  const { catalogue, client, told } = bench([integration(1, {}, false)]);
  await catalogue.load();
  const card = first(catalogue);
  vi.mocked(client.integrations).mockResolvedValue([integration(1, { id: 9, isActive: true })]);
  await catalogue.settled(card, {
    id: "f",
    statusId: 3,
    statusMessage: "",
    isCompleted: true,
    result: { scenarios: [{ id: 9, description: "" }] },
  });
  expect(first(catalogue)).toBe(card);
  expect(cardState(card)).toBe("active");
  expect(told.at(-1)).toEqual(["activated", { instance: 9, template: 1, release: 1 }]);
});

test("a connection that broke needs attention, two scenarios of one template are two cards", async () => {
  const { catalogue } = bench([
    integration(1, { id: 5, isActive: true }, false),
    integration(1, { id: 6, isActive: false }),
  ]);
  await catalogue.load();
  expect(catalogue.entries.map(({ key }) => key)).toEqual(["t1", "t1-6"]);
  expect(catalogue.entries.map(cardState)).toEqual(["attention", "paused"]);
});
