/** When and how long, in words. */
import { expect, test } from "vitest";
import { durationText, whenText } from "../src/moments";

const NOW = Date.parse("2026-11-22T12:00:00Z");
const when = (timestamp: string) => whenText(timestamp, NOW, "en", "just now");

test("a duration is short and has one unit", () => {
  expect([12, 999, 2340, 99_000, 150_000].map((ms) => durationText(ms, "en"))).toEqual([
    "12\u00a0ms",
    "999\u00a0ms",
    "2.3\u00a0sec",
    "99\u00a0sec",
    "2.5\u00a0min",
  ]);
});

test("the last day is told in relation to now, older moments as dates", () => {
  expect(when("2026-11-22T11:59:30Z")).toBe("just now");
  expect(when("2026-11-22T11:55:00Z")).toBe("5 minutes ago");
  expect(when("2026-11-22T09:00:00Z")).toBe("3 hours ago");
  expect(when("2026-11-19T09:00:00Z")).toMatch(/Nov 19, 2026/);
});

test("a clock that is ahead is not the future", () => {
  expect(when("2026-11-22T12:00:20Z")).toBe("just now");
});

test("what is no time is shown as it came", () => {
  expect(when("yesterday")).toBe("yesterday");
});
