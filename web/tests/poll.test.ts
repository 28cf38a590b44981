/** Asking again: its pauses, its hints, its end. */
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { pause, poll } from "../src/poll";

const question = (hold: (resolve: (finished: boolean) => void) => void) => new Promise<boolean>(hold);

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

test("the pauses grow from one second to five", () => {
  expect([0, 1, 2, 3, 4, 9].map((round) => pause(round))).toEqual([1000, 1500, 2250, 3375, 5000, 5000]);
});

test("it asks after each pause until the answer is yes", async () => {
  const ask = vi.fn(async () => ask.mock.calls.length === 3);
  poll(ask);
  await vi.advanceTimersByTimeAsync(999);
  expect(ask).toHaveBeenCalledTimes(0);
  await vi.advanceTimersByTimeAsync(1 + 1500 + 2250);
  expect(ask).toHaveBeenCalledTimes(3);
  await vi.advanceTimersByTimeAsync(60_000);
  expect(ask).toHaveBeenCalledTimes(3);
});

test("a hint asks at once and starts the pauses over", async () => {
  const ask = vi.fn(async () => false);
  const polling = poll(ask);
  await vi.advanceTimersByTimeAsync(20_000);
  const before = ask.mock.calls.length;
  polling.soon();
  await vi.advanceTimersByTimeAsync(0);
  expect(ask).toHaveBeenCalledTimes(before + 1);
  await vi.advanceTimersByTimeAsync(1000);
  expect(ask).toHaveBeenCalledTimes(before + 2);
});

test("a hint while a question is under way asks once more, never twice at the same time", async () => {
  let answer: (finished: boolean) => void = () => {};
  const ask = vi.fn(() =>
    question((resolve) => {
      answer = resolve;
    }),
  );
  const polling = poll(ask);
  await vi.advanceTimersByTimeAsync(1000);
  polling.soon();
  polling.soon();
  expect(ask).toHaveBeenCalledTimes(1);
  answer(false);
  await vi.advanceTimersByTimeAsync(0);
  expect(ask).toHaveBeenCalledTimes(2);
});

test("stopped means silent, also when an answer is still on its way", async () => {
  let answer: (finished: boolean) => void = () => {};
  const ask = vi.fn(() =>
    question((resolve) => {
      answer = resolve;
    }),
  );
  const polling = poll(ask);
  await vi.advanceTimersByTimeAsync(1000);
  polling.stop();
  answer(false);
  await vi.advanceTimersByTimeAsync(60_000);
  expect(ask).toHaveBeenCalledTimes(1);
});
