/**
 * Photographs every state of the three pages, wide and narrow, light and dark, and runs axe on each. Ends with 1 when
 * axe, the page's policy or the console complains. `npm run look [-- part of a name]`; pictures go to $SHOTS.
 */

import { mkdir } from "node:fs/promises";
import { serve } from "../mock/server.mjs";
import { axe, launch, openPage, violations } from "./browser.mjs";
import { STATES } from "./states.mjs";

const SHOTS = process.env.SHOTS ?? "/tmp/shots";
const wanted = process.argv[2] ?? "";
const VIEWS = [
  { width: 1280, theme: "light" },
  { width: 1280, theme: "dark" },
  { width: 380, theme: "light" },
  { width: 380, theme: "dark" },
  { width: 1280, theme: "dark", forced: "active" },
];

await mkdir(SHOTS, { recursive: true });
const { server, origin } = await serve();
const browser = await launch();
const complaints = [];
let looked = 0;

async function look(state, view) {
  const name = `${state.name}-${view.width}-${view.forced ? "forced" : view.theme}`;
  const { context, page, errors } = await openPage(browser, view);
  try {
    await state.show(page, { origin, ...view });
    await page.evaluate(() => document.fonts.ready);
    await page.waitForTimeout(state.settle ?? 120);
    await page.screenshot({ path: `${SHOTS}/${name}.png`, fullPage: !state.viewportOnly });
    const wide = await page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth);
    if (wide > 0) complaints.push(`${name}: scrolls sideways by ${wide} px`);
    for (const found of await axe(page)) complaints.push(`${name}: axe ${found}`);
    for (const found of await violations(page)) complaints.push(`${name}: policy ${found}`);
    for (const found of errors) complaints.push(`${name}: console ${found}`);
    looked += 1;
  } catch (cause) {
    complaints.push(`${name}: ${String(cause).split("\n").slice(0, 4).join(" ")}`);
    await page.screenshot({ path: `${SHOTS}/${name}-failed.png` }).catch(() => {});
  }
  await context.close();
}

for (const state of STATES.filter(({ name }) => name.includes(wanted))) {
  for (const view of VIEWS) {
    await fetch(`${origin}/mock/reset${state.reset ?? ""}`);
    await look(state, view);
  }
}
await browser.close();
server.close();
server.closeAllConnections();
for (const complaint of complaints) console.log(complaint);
console.log(`${looked} pictures in ${SHOTS}, ${complaints.length} complaints`);
process.exitCode = complaints.length > 0 ? 1 : 0;
