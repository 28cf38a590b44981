/** What the console works out by itself: names of browsers, the page an address names, what is offered to whom. */
import { expect, test } from "vitest";
import { browserName } from "../console/src/browsers";
import { mayChange, placesFor } from "../console/src/pages/rights";
import { pathOf } from "../console/src/places";
import type { Session } from "../console/src/wire";

const MAC = "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7)";

test.each([
  [`${MAC} AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.0 Safari/605.1.15`, "Safari on macOS"],
  [`${MAC} AppleWebKit/537.36 (KHTML, like Gecko) Chrome/141.0.0.0 Safari/537.36`, "Chrome on macOS"],
  ["Mozilla/5.0 (Windows NT 10.0) AppleWebKit/537.36 Chrome/141.0 Safari/537.36 Edg/141.0", "Edge on Windows"],
  ["Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0", "Firefox on Linux"],
  ["Mozilla/5.0 (Linux; Android 16) AppleWebKit/537.36 Chrome/141.0 Mobile Safari/537.36", "Chrome on Android"],
  ["curl/8.9.1", "curl"],
  ["", "Unknown browser"],
])("%s is called %s", (userAgent, name) => {
  expect(browserName(userAgent)).toBe(name);
});

test("an address that is no page of the console shows the first one", () => {
  expect(pathOf("/console/tokens")).toBe("/console/tokens");
  expect(["/console", "/console/else", "/"].map(pathOf)).toEqual(Array(3).fill("/console/keys"));
});

test("only who may write for the organization is offered changes", () => {
  const session = (permissions: string[]) => ({ permissions }) as Session;
  expect(mayChange(session(["*"]))).toBe(true);
  expect(mayChange(session(["organizations:read", "organizations:write"]))).toBe(true);
  expect(mayChange(session(["organizations:read", "sessions:own"]))).toBe(false);
});

test("the page of members is offered to who may read them", () => {
  const titles = (permissions: string[]) => placesFor({ permissions } as Session).map(({ title }) => title);
  expect(titles(["*"])).toContain("Members");
  expect(titles(["members:read"])).toContain("Members");
  expect(titles(["organizations:read", "sessions:own"])).not.toContain("Members");
});
