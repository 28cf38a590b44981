/**
 * The widget's colours: one table of tokens an integrator may set, for light and dark, and the colours that depend on
 * a brand colour nobody has tested for contrast. The result is the text of a style sheet, never a style attribute.
 */

import { cssRgb, parseRgb, type Rgb, readableOn, readableShade } from "../../src/contrast";

export type Scheme = "light" | "dark";

/** Our name, the name after `--bridge-` (`-` for none), light, dark. */
const TOKENS = `
primary color-primary #3457d5 #8fa6ff
surface color-surface #fff #1b1e29
elevated color-elevated #fff #232735
subtle color-subtle #f3f4f8 #272b39
text color-text #1a1d29 #eceef5
muted color-text-muted #5b6172 #a9afc1
line color-border #dfe2ea #353a4b
control - #858b9c #7d849a
good color-success #0a6b3d #6fdba4
good-bg - #e4f5ec #16352a
warn color-warning #8a4b00 #f6c177
warn-bg - #fdf1de #3a2c17
bad color-danger #b3261e #ff9d96
bad-bg - #fdeceb #431f20
on-bad - #fff #2b0b0a
shade - #14182812 #0000
`;

/** `auto` follows the page where the page declares a colour scheme, else the system. */
export function schemeOf(host: HTMLElement, systemIsDark: boolean): Scheme {
  const wishes = [host.getAttribute("theme")?.toLowerCase(), getComputedStyle(host).colorScheme];
  const wish = wishes.find((name) => name === "light" || name === "dark");
  return (wish as Scheme | undefined) ?? (systemIsDark ? "dark" : "light");
}

export function tokenRules(scheme: Scheme): string {
  const tokens = TOKENS.trim()
    .split("\n")
    .map((line) => {
      const [name, outer, light, dark] = line.split(" ");
      const color = scheme === "dark" ? dark : light;
      return `--${name}:${outer === "-" ? color : `var(--bridge-${outer},${color})`};`;
    });
  return `.root{color-scheme:${scheme};${tokens.join("")}}`;
}

/** Wider colour spaces (oklch, display-p3) are measured by painting one pixel. */
function paintedRgb(color: string): Rgb | null {
  const context = document.createElement("canvas").getContext("2d");
  if (!context) return null;
  context.fillStyle = color;
  context.fillRect(0, 0, 1, 1);
  return [...context.getImageData(0, 0, 1, 1).data] as unknown as Rgb;
}

/** The brand colour as six hexadecimal digits, for an address; null where it cannot be told. */
export function brandOf(probe: HTMLElement | null): string | null {
  const { color = "" } = probe ? getComputedStyle(probe) : {};
  const rgb = parseRgb(color) ?? (color ? paintedRgb(color) : null);
  return (
    rgb
      ?.map((part) => Math.round(part).toString(16).padStart(2, "0"))
      .slice(0, 3)
      .join("") ?? null
  );
}

/**
 * `probe` wears the brand colour as text, the card's surface as background and the subtle surface as border:
 * three computed colours for one element.
 */
export function derivedRules(probe: HTMLElement): string {
  const { color, backgroundColor, borderTopColor } = getComputedStyle(probe);
  const [primary, surface, subtle] = [color, backgroundColor, borderTopColor].map(
    (one) => parseRgb(one) ?? paintedRgb(one),
  );
  if (!primary || !surface || !subtle) return "";
  const onPrimary = cssRgb(readableOn(primary));
  const primaryText = cssRgb(readableShade(primary, surface, subtle));
  return `.root{--auto-on-primary:${onPrimary};--auto-primary-text:${primaryText}}`;
}
