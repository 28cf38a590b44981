/**
 * The integrator's colour and scheme, as the page that opened the wizard asked for them: `?brand=0d6b56&theme=light`.
 * Pure. A colour is all that is taken, and every shade that is written or written on is moved until it can be read.
 */

import { contrast, cssRgb, type Rgb, readableOn, readableShade, WHITE } from "../../src/contrast";

export interface Look {
  brand: Rgb | null;
  scheme: "light" | "dark" | null;
}

/** WCAG 2.2 for what is no text: borders of controls, marks. */
const VISIBLE = 3;
const GROUNDS: Record<"light" | "dark", { sheet: Rgb; soft: number }> = {
  light: { sheet: WHITE, soft: 0.09 },
  dark: { sheet: [18, 20, 28], soft: 0.16 },
};

export function lookOf(query: string): Look {
  const wishes = new URLSearchParams(query);
  const digits = /^[0-9a-f]{6}$/i.exec(wishes.get("brand") ?? "")?.[0];
  const theme = wishes.get("theme");
  return {
    brand: digits ? ([0, 2, 4].map((at) => Number.parseInt(digits.slice(at, at + 2), 16)) as unknown as Rgb) : null,
    scheme: theme === "light" || theme === "dark" ? theme : null,
  };
}

function mix(from: Rgb, to: Rgb, share: number): Rgb {
  return [0, 1, 2].map((at) => (from[at] ?? 0) + ((to[at] ?? 0) - (from[at] ?? 0)) * share) as unknown as Rgb;
}

/** The wizard's variables for one scheme. */
export function brandVariables(brand: Rgb, scheme: "light" | "dark"): Record<string, string> {
  const { sheet, soft } = GROUNDS[scheme];
  const fill = contrast(brand, sheet) >= VISIBLE ? brand : readableShade(brand, sheet);
  const softened = mix(sheet, fill, soft);
  const text = cssRgb(readableShade(fill, sheet, softened));
  const hover = cssRgb(mix(fill, scheme === "light" ? [0, 0, 0] : WHITE, 0.1));
  return {
    "--brand": cssRgb(fill),
    "--brand-text": text,
    "--on-brand": cssRgb(readableOn(fill)),
    "--soft": cssRgb(softened),
    "--mantine-color-anchor": text,
    "--mantine-color-bridge-filled": cssRgb(fill),
    "--mantine-color-bridge-filled-hover": hover,
    "--mantine-color-bridge-light": cssRgb(softened),
    "--mantine-color-bridge-light-hover": cssRgb(mix(sheet, fill, soft * 1.6)),
    "--mantine-color-bridge-light-color": text,
    "--mantine-color-bridge-outline": text,
  };
}
