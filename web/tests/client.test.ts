/** What goes over the wire to the integrator's proxy, and how its failures are understood. */
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { PortalFailure, portalClient } from "../widget/src/client";

const answers = vi.fn<typeof fetch>();
const noToken = async () => undefined;
const client = (token = noToken as () => Promise<string | undefined>) =>
  portalClient("/proxy", token, new AbortController().signal);
const json = (body: unknown, status = 200) => new Response(JSON.stringify(body), { status });

beforeEach(() => void vi.stubGlobal("fetch", answers.mockReset()));
afterEach(() => void vi.unstubAllGlobals());

test("the list is read under the prefix, with the trailing slash existing proxies know", async () => {
  answers.mockResolvedValue(json({ integrations: [] }));
  expect(await client().integrations()).toEqual([]);
  expect(answers.mock.calls[0]?.[0]).toBe("/proxy/api/bridge/integrations/");
});

test("a start without wishes has no body and no content type", async () => {
  answers.mockResolvedValue(json({ publicUrl: "https://b.example/flow/f#s", flow: { id: "f" } }));
  await client().init(4, null);
  const [url, request] = answers.mock.calls[0] ?? [];
  expect(url).toBe("/proxy/api/bridge/integrations/init/4");
  expect(request?.body).toBeUndefined();
  expect(request?.headers).toEqual({ Accept: "application/json" });
  expect(request?.credentials).toBe("include");
});

test("wishes are sent as JSON", async () => {
  answers.mockResolvedValue(json({ publicUrl: "", flow: { id: "f" } }));
  await client().init(4, { prefill: { hard: { a: 1 }, soft: {} } });
  expect(answers.mock.calls[0]?.[1]?.body).toBe('{"prefill":{"hard":{"a":1},"soft":{}}}');
});

test("a fetched token is used for one call, and no cookie goes with it", async () => {
  answers.mockImplementation(async () => json([]));
  let count = 0;
  const direct = client(async () => `t${++count}`);
  await direct.logs(7);
  await direct.logs(7);
  const used = answers.mock.calls.map(([, request]) => new Headers(request?.headers).get("Authorization"));
  expect(used).toEqual(["Bearer t1", "Bearer t2"]);
  expect(answers.mock.calls[0]?.[1]?.credentials).toBe("omit");
});

test("every verb has its address", async () => {
  answers.mockImplementation(async () => json({}));
  const one = client();
  await one.setActive(7, true);
  await one.setActive(7, false);
  await one.run(7);
  await one.remove(7);
  expect(answers.mock.calls.map(([url, request]) => `${request?.method} ${url}`)).toEqual([
    "POST /proxy/api/bridge/integrations/7/activate",
    "POST /proxy/api/bridge/integrations/7/deactivate",
    "POST /proxy/api/bridge/integrations/7/run",
    "DELETE /proxy/api/bridge/integrations/7",
  ]);
});

test("a problem keeps its words, its code and its reference", async () => {
  answers.mockResolvedValue(
    json({ detail: "No such integration.", message: "…", code: "not-found", requestId: "r1" }, 404),
  );
  const failure = (await client()
    .integrations()
    .catch((cause: unknown) => cause)) as PortalFailure;
  expect(failure).toMatchObject({
    status: 404,
    code: "not-found",
    message: "No such integration.",
    requestId: "r1",
    kind: "gone",
    retryable: false,
  });
});

test("a proxy's own page, a lost connection and an answer that is no JSON are failures of their own", async () => {
  answers.mockResolvedValueOnce(new Response("<html>", { status: 502, statusText: "Bad Gateway" }));
  answers.mockRejectedValueOnce(new TypeError("Failed to fetch"));
  answers.mockResolvedValueOnce(new Response("<html>"));
  const failures = [];
  for (let at = 0; at < 3; at += 1)
    failures.push(
      (await client()
        .integrations()
        .catch((cause: unknown) => cause)) as PortalFailure,
    );
  expect(failures.map(({ code, retryable }) => [code, retryable])).toEqual([
    ["http-502", true],
    ["network", true],
    ["not-json", true],
  ]);
  expect(failures.every((failure) => failure instanceof PortalFailure)).toBe(true);
});
