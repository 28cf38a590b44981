// @vitest-environment happy-dom
/** Light or dark, and which tokens an integrator may set. */
import { expect, test } from "vitest";
import { schemeOf, tokenRules } from "../widget/src/theme";

function host(theme: string | null): HTMLElement {
  const element = document.createElement("div");
  if (theme) element.setAttribute("theme", theme);
  document.body.replaceChildren(element);
  return element;
}

test("an asked theme wins, auto follows the system", () => {
  expect(schemeOf(host("DARK"), false)).toBe("dark");
  expect(schemeOf(host("light"), true)).toBe("light");
  expect(schemeOf(host("auto"), true)).toBe("dark");
  expect(schemeOf(host(null), false)).toBe("light");
});

test("every documented colour token can be set, with a default in both schemes", () => {
  for (const scheme of ["light", "dark"] as const) {
    const rules = tokenRules(scheme);
    for (const token of [
      "primary",
      "surface",
      "elevated",
      "subtle",
      "text",
      "text-muted",
      "border",
      "success",
      "warning",
      "danger",
    ]) {
      expect(rules, token).toMatch(new RegExp(`var\\(--bridge-color-${token},#[0-9a-f]{3,8}\\)`));
    }
    expect(rules).toContain(`color-scheme:${scheme}`);
  }
});
