/** What the holder of a link sends: the secret as a header, below the address of the link. */
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { FlowClient, FlowFailure, HandOverClient } from "../wizard/src/client";

const answers = vi.fn<typeof fetch>();
const json = (body: unknown, status = 200) => new Response(JSON.stringify(body), { status });

beforeEach(() => void vi.stubGlobal("fetch", answers.mockReset()));
afterEach(() => void vi.unstubAllGlobals());

test("each kind of link has its calls, and the secret is in no address", async () => {
  answers.mockImplementation(async () => json({}));
  const flow = new FlowClient("f/1", "s3cret");
  await flow.state();
  await flow.finalize();
  const hand = new HandOverClient("h/1", "s3cret");
  await hand.state();
  await hand.fillIn("c1", { key: "k" });
  await hand.authorize("c1", 7);
  await hand.decline("c1", "No.");
  expect(answers.mock.calls.map(([url, request]) => `${request?.method} ${url} ${request?.body ?? ""}`.trim())).toEqual(
    [
      "GET /flow-api/f%2F1",
      "POST /flow-api/f%2F1/finalize",
      "GET /hand-over-api/h%2F1",
      'POST /hand-over-api/h%2F1/credentials/c1 {"values":{"key":"k"}}',
      'POST /hand-over-api/h%2F1/credentials/c1/authorize {"applicationId":7}',
      'POST /hand-over-api/h%2F1/credentials/c1/decline {"reason":"No."}',
    ],
  );
  for (const [, request] of answers.mock.calls) {
    expect(new Headers(request?.headers).get("Flow-Secret")).toBe("s3cret");
  }
});

test("a link that opens nothing any more is known by its status", async () => {
  answers.mockResolvedValue(json({ detail: "This link has expired.", code: "request_expired" }, 410));
  const failure = await new HandOverClient("h1", "s").state().catch((cause: unknown) => cause);
  expect(failure).toBeInstanceOf(FlowFailure);
  expect((failure as FlowFailure).expired).toBe(true);
});
