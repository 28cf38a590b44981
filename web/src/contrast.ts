/**
 * Colour arithmetic of WCAG 2: how readable one colour is on another, and what to write on a brand colour nobody
 * tested. Pure; the widget reads the colours of its page, the wizard is told one.
 */

export type Rgb = readonly [red: number, green: number, blue: number];

export const WHITE: Rgb = [255, 255, 255];
export const INK: Rgb = [10, 12, 20];
const BLACK: Rgb = [0, 0, 0];
/** WCAG 2.2 AA for text. */
export const READABLE = 4.5;

function channel(value: number): number {
  const part = value / 255;
  return part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4;
}

export function luminance([red, green, blue]: Rgb): number {
  return 0.2126 * channel(red) + 0.7152 * channel(green) + 0.0722 * channel(blue);
}

export function contrast(one: Rgb, other: Rgb): number {
  const [dark, light] = [luminance(one), luminance(other)].sort((a, b) => a - b) as [number, number];
  return (light + 0.05) / (dark + 0.05);
}

/** White where it can be read, else ink, else black: of white and black one always reaches 4.5 to 1. */
export function readableOn(background: Rgb): Rgb {
  return [WHITE, INK].find((ink) => contrast(ink, background) >= READABLE) ?? BLACK;
}

function mix(from: Rgb, to: Rgb, share: number): Rgb {
  const blend = (at: 0 | 1 | 2) => Math.round(from[at] + (to[at] - from[at]) * share);
  return [blend(0), blend(1), blend(2)];
}

/** The nearest shade of `color` that can be read on every one of `backgrounds`: the brand's hue, moved as little as needed. */
export function readableShade(color: Rgb, ...backgrounds: Rgb[]): Rgb {
  const [first = WHITE] = backgrounds;
  const target = luminance(first) > 0.4 ? BLACK : WHITE;
  for (let share = 0; share < 1; share += 0.05) {
    const shade = mix(color, target, share);
    if (backgrounds.every((background) => contrast(shade, background) >= READABLE)) return shade;
  }
  return target;
}

/** Reads what getComputedStyle gives for a colour in sRGB; null for the wider spaces. */
export function parseRgb(text: string): Rgb | null {
  const rgb = /^rgba?\(\s*([\d.]+)[\s,]+([\d.]+)[\s,]+([\d.]+)/.exec(text);
  if (rgb) return [Number(rgb[1]), Number(rgb[2]), Number(rgb[3])];
  const srgb = /^color\(srgb\s+([\d.e-]+)\s+([\d.e-]+)\s+([\d.e-]+)/.exec(text);
  if (srgb) return [Number(srgb[1]) * 255, Number(srgb[2]) * 255, Number(srgb[3]) * 255];
  return null;
}

export function cssRgb([red, green, blue]: Rgb): string {
  return `rgb(${Math.round(red)} ${Math.round(green)} ${Math.round(blue)})`;
}
