/** The integrator's colour in the wizard: taken only as a colour, and always readable. */
import { expect, test } from "vitest";
import { contrast, parseRgb, READABLE, type Rgb, WHITE } from "../src/contrast";
import { brandVariables, lookOf } from "../wizard/src/brand";

test("a look is a colour of six digits and one of two schemes, or nothing", () => {
  expect(lookOf("?brand=0d6b56&theme=dark")).toEqual({ brand: [13, 107, 86], scheme: "dark" });
  for (const query of ["", "?brand=red", "?brand=0d6b5", "?brand=0d6b56;x", "?theme=auto"]) {
    expect(lookOf(query)).toEqual({ brand: null, scheme: null });
  }
});

test("whatever the colour, words on it and in it can be read", () => {
  const DARK: Rgb = [18, 20, 28];
  for (const brand of ["0d6b56", "ffd400", "ffffff", "000000", "8fa6ff", "7f7f7f"]) {
    for (const scheme of ["light", "dark"] as const) {
      const colors = brandVariables(lookOf(`?brand=${brand}`).brand as Rgb, scheme);
      const rgb = (name: string) => parseRgb(colors[name] ?? "") as Rgb;
      const sheet = scheme === "light" ? WHITE : DARK;
      expect(contrast(rgb("--on-brand"), rgb("--brand")), `${brand} ${scheme}`).toBeGreaterThanOrEqual(READABLE);
      expect(contrast(rgb("--brand"), sheet), `${brand} ${scheme}`).toBeGreaterThanOrEqual(3);
      for (const ground of [sheet, rgb("--soft")]) {
        expect(contrast(rgb("--brand-text"), ground), `${brand} ${scheme}`).toBeGreaterThanOrEqual(4.45);
      }
    }
  }
});
