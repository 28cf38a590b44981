// @vitest-environment happy-dom
/** The flow's secret, and where hints and people are sent. */
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { originOf, webAddress } from "../wizard/src/hints";
import { dropSecret, flowIdOf, handOverIdOf, takeSecret } from "../wizard/src/secret";

beforeEach(() => {
  sessionStorage.clear();
  history.replaceState(null, "", "/flow/f1#s3cret");
});
afterEach(() => void vi.restoreAllMocks());

test("the flow's id is the last part of the address", () => {
  expect(flowIdOf("/flow/f1")).toBe("f1");
  expect(flowIdOf("/flow/f%2F1/")).toBe("f/1");
  expect(flowIdOf("/elsewhere")).toBeNull();
});

test("a request for credentials has an address of its own", () => {
  expect(handOverIdOf("/hand-over/h1")).toBe("h1");
  expect(handOverIdOf("/flow/f1")).toBeNull();
  expect(flowIdOf("/hand-over/h1")).toBeNull();
});

test("the secret is read, taken out of the address, and survives a reload of the tab", () => {
  expect(takeSecret("f1")).toBe("s3cret");
  expect(location.hash).toBe("");
  expect(takeSecret("f1")).toBe("s3cret");
  expect(takeSecret("f2")).toBeNull();
  dropSecret("f1");
  expect(takeSecret("f1")).toBeNull();
});

test("without storage the secret still works, until the page is loaded again", () => {
  vi.spyOn(globalThis, "sessionStorage", "get").mockImplementation(() => {
    throw new DOMException("denied", "SecurityError");
  });
  expect(takeSecret("f1")).toBe("s3cret");
  expect(takeSecret("f1")).toBeNull();
  expect(() => dropSecret("f1")).not.toThrow();
});

test("a hint goes to the exact origin that sent the customer, or nowhere", () => {
  expect(originOf("https://app.acme.example/settings?x=1")).toBe("https://app.acme.example");
  for (const referrer of ["", "about:blank", "file:///x", "not an address"]) expect(originOf(referrer)).toBeNull();
});

test("the last page leads to web addresses only", () => {
  expect(webAddress("https://app.acme.example/done")).toBe("https://app.acme.example/done");
  for (const address of [null, "", "javascript:alert(1)", "data:text/html,x", "/relative"])
    expect(webAddress(address)).toBeNull();
});
