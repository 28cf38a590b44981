/** What is written on a colour nobody tested can be read. */
import { expect, test } from "vitest";
import { contrast, parseRgb, READABLE, type Rgb, readableOn, readableShade, WHITE } from "../src/contrast";

const STEPS = [0, 51, 102, 153, 204, 255];
const CUBE: Rgb[] = STEPS.flatMap((red) => STEPS.flatMap((green) => STEPS.map((blue): Rgb => [red, green, blue])));

test("black on white is 21 to 1", () => {
  expect(contrast([0, 0, 0], WHITE)).toBeCloseTo(21, 5);
});

test("text on any colour reaches 4.5 to 1", () => {
  for (const color of CUBE) expect(contrast(readableOn(color), color), String(color)).toBeGreaterThanOrEqual(READABLE);
});

test("white is kept where white can be read", () => {
  expect(readableOn([52, 87, 213])).toEqual(WHITE);
  expect(readableOn([255, 212, 0])).not.toEqual(WHITE);
});

test("a shade of any colour can be read on light and on dark surfaces", () => {
  for (const color of CUBE) {
    for (const surfaces of [
      [WHITE, [243, 244, 248]],
      [
        [27, 30, 41],
        [39, 43, 57],
      ],
    ] as Rgb[][]) {
      const shade = readableShade(color, ...surfaces);
      for (const surface of surfaces)
        expect(contrast(shade, surface), `${color} on ${surface}`).toBeGreaterThanOrEqual(READABLE);
    }
  }
});

test("a colour that can be read already is not changed", () => {
  expect(readableShade([34, 57, 143], WHITE)).toEqual([34, 57, 143]);
});

test("computed colours are read in both notations, wider ones are left to be measured", () => {
  expect(parseRgb("rgb(10, 20, 30)")).toEqual([10, 20, 30]);
  expect(parseRgb("rgba(10 20 30 / 0.5)")).toEqual([10, 20, 30]);
  expect(parseRgb("color(srgb 1 0.5 0)")).toEqual([255, 127.5, 0]);
  expect(parseRgb("oklch(0.9 0.18 100)")).toBeNull();
});
