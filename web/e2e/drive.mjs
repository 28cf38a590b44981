/**
 * Walks through the pages as a customer does and checks what only a browser can show: windows, frames, focus, the
 * keyboard, storage that is forbidden, redirects. `npm run drive [-- part of a name]`.
 */

import assert from "node:assert/strict";
import { serve } from "../mock/server.mjs";
import { launch, openPage, violations } from "./browser.mjs";

const { server, origin } = await serve();
const browser = await launch();
const host = (more = "prefix=proxy") => `${origin}/mock/host?${more}`;
const card = (page, name) => page.locator("li.card", { hasText: name });
const connect = (page, name) => card(page, name).getByRole("button", { name: /^Connect/ });
const ready = (page) => page.locator("li.card").first().waitFor();
const focused = (page) =>
  page.evaluate(() => {
    let at = document.activeElement;
    while (at?.shadowRoot?.activeElement) at = at.shadowRoot.activeElement;
    return at?.getAttribute("aria-label") || at?.textContent?.trim() || at?.id || at?.tagName;
  });
const said = (page, role) => page.locator(`portal-integrations .aside[role=${role}]`).textContent();

async function makeFlow(template, body = {}) {
  const answer = await fetch(
    `${origin}/mock/flow?template=${template}&body=${encodeURIComponent(JSON.stringify(body))}`,
  );
  return answer.json();
}

/** Everything the widget told, from before it was there. */
async function listen(page) {
  await page.addInitScript(() => {
    window.told = [];
    for (const name of [
      "ready",
      "loaderror",
      "connect-start",
      "connect-waiting",
      "connect-success",
      "connect-cancel",
      "connect-error",
      "activated",
      "paused",
      "resumed",
      "removed",
      "attention",
      "wizard-step",
      "dirty",
      "close",
    ]) {
      document.addEventListener(`bridge:${name}`, (event) => window.told.push([name, event.detail]));
    }
  });
}
const told = (page) => page.evaluate(() => window.told);
const names = async (page) => (await told(page)).map(([name]) => name);

async function walkNewsletter(wizard) {
  await wizard.getByRole("button", { name: "Get started" }).click();
  await wizard.getByLabel("Server").fill("mail.example");
  await wizard.getByLabel("Access key").fill("k-1");
  await wizard.getByRole("button", { name: "Save and continue" }).click();
  await wizard.getByRole("button", { name: "Finish and switch on" }).click();
}

const walks = {
  async "a set-up in a pop-up ends as an active card and closes its window"(page) {
    await listen(page);
    await page.goto(host());
    await ready(page);
    const [popup] = await Promise.all([page.waitForEvent("popup"), connect(page, "newsletter").click()]);
    await popup.getByRole("button", { name: "Get started" }).waitFor();
    assert.equal(new URL(popup.url()).hash, "", "the secret is taken out of the address");
    const gone = popup.waitForEvent("close");
    await walkNewsletter(popup);
    await card(page, "newsletter").getByText("Active").waitFor();
    await gone;
    const events = await told(page);
    for (const name of ["ready", "connect-start", "connect-waiting", "connect-success", "activated", "wizard-step"]) {
      assert.ok(
        events.some(([one]) => one === name),
        `bridge:${name} is told`,
      );
    }
    assert.doesNotMatch(JSON.stringify(events), /flow\/|#|mail\.example|k-1/, "no address, secret or value is told");
    assert.match(await focused(page), /is on$/, "focus is on the new switch");
  },

  async "a closed window ends nothing and opens again at the same step"(page) {
    await listen(page);
    await page.goto(host());
    await ready(page);
    let [popup] = await Promise.all([page.waitForEvent("popup"), connect(page, "newsletter").click()]);
    await popup.getByRole("button", { name: "Get started" }).click();
    await popup.getByLabel("Server").waitFor();
    await popup.close();
    await page.getByText("Closed? Every step").first().waitFor();
    await page.getByRole("button", { name: "I finished" }).click();
    await card(page, "newsletter").getByText("Not finished yet").waitFor();
    [popup] = await Promise.all([page.waitForEvent("popup"), page.getByRole("button", { name: "Try again" }).click()]);
    await popup.getByRole("heading", { level: 1, name: "Newsletter account" }).waitFor();
    await popup.close();
    await page.getByRole("button", { name: "Cancel" }).click();
    assert.ok((await names(page)).includes("connect-cancel"));
    await connect(page, "newsletter").waitFor();
  },

  async "a blocked window becomes a link that comes back finished"(page) {
    await page.addInitScript(() => {
      window.open = () => null;
    });
    await page.goto(host());
    await ready(page);
    await connect(page, "newsletter").click();
    await page.getByRole("link", { name: "Open the set-up here instead" }).click();
    await walkNewsletter(page);
    await page.waitForURL(/mock\/host/);
    await card(page, "newsletter").getByText("Active").waitFor();
  },

  async "redirect mode leaves and comes back finished"(page) {
    await listen(page);
    await page.goto(host("prefix=proxy&mode=redirect"));
    await ready(page);
    await connect(page, "newsletter").click();
    await page.waitForURL(/\/flow\//);
    await walkNewsletter(page);
    await page.waitForURL(/mock\/host/);
    await card(page, "newsletter").getByText("Active").waitFor();
    assert.ok((await names(page)).includes("connect-success"));
  },

  async "a frame works where storage is forbidden, and gives focus back"(page) {
    await page.addInitScript(() => {
      for (const name of ["sessionStorage", "localStorage"]) {
        Object.defineProperty(window, name, {
          get() {
            throw new DOMException("denied", "SecurityError");
          },
        });
      }
    });
    await page.goto(host("prefix=proxy&mode=iframe"));
    await ready(page);
    await connect(page, "newsletter").click();
    const frame = page.frameLocator("portal-integrations iframe");
    await walkNewsletter(frame);
    await frame.getByText("This window closes by itself.").waitFor();
    await page.locator("dialog").waitFor({ state: "detached" });
    await card(page, "newsletter").getByText("Active").waitFor();
    await page.waitForFunction(() => document.querySelector("portal-integrations").shadowRoot.activeElement);
    assert.match(await focused(page), /is on$/);
  },

  async "a frame with unsaved answers asks before it closes, and the page may refuse"(page) {
    await listen(page);
    await page.goto(host("prefix=proxy&mode=iframe"));
    await ready(page);
    await connect(page, "newsletter").click();
    const frame = page.frameLocator("portal-integrations iframe");
    await frame.getByRole("button", { name: "Get started" }).click();
    await frame.getByLabel("Server").fill("mail.example");
    await page.waitForFunction(() => window.told.some(([name, { dirty }]) => name === "dirty" && dirty));
    await page.getByRole("button", { name: "Close", exact: true }).click();
    await page.getByText("not saved yet").waitFor();
    assert.equal(await focused(page), "Keep going");
    await page.getByRole("button", { name: "Keep going" }).click();
    await page.evaluate(() =>
      document.addEventListener("bridge:close", (event) => event.preventDefault(), { once: true }),
    );
    await page.getByRole("button", { name: "Close", exact: true }).click();
    assert.equal(await page.getByText("not saved yet").count(), 0, "the page's veto counts");
    await page.getByRole("button", { name: "Close", exact: true }).click();
    await page.getByRole("button", { name: "Close anyway" }).click();
    await page.getByText("Closed? Every step").first().waitFor();
  },

  async "the question before removing keeps Tab inside, obeys Escape and gives focus back"(page) {
    await listen(page);
    await page.goto(host("prefix=states"));
    await ready(page);
    const trash = card(page, "newsletter").getByRole("button", { name: /^Remove/ });
    await trash.focus();
    await page.keyboard.press("Enter");
    await page.getByRole("alertdialog", { name: "Remove “Add new contacts to your newsletter”?" }).waitFor();
    assert.equal(await focused(page), "Keep it", "the harmless answer has the focus");
    await page.keyboard.press("Tab");
    assert.equal(await focused(page), "Remove");
    await page.keyboard.press("Tab");
    assert.equal(await focused(page), "Keep it");
    await page.keyboard.press("Shift+Tab");
    assert.equal(await focused(page), "Remove");
    await page.keyboard.press("Escape");
    await page.getByRole("alertdialog").waitFor({ state: "detached" });
    assert.match(await focused(page), /^Remove Add new contacts/);
    await page.keyboard.press("Enter");
    await page.getByRole("alertdialog").getByRole("button", { name: "Remove" }).click();
    await connect(page, "newsletter").waitFor();
    await page.waitForFunction(() => document.querySelector("portal-integrations").shadowRoot.activeElement);
    assert.match(await focused(page), /^Connect Add new contacts/);
    assert.ok((await names(page)).includes("removed"));
  },

  async "switching by keyboard is told and announced"(page) {
    await listen(page);
    await page.goto(host("prefix=states"));
    await ready(page);
    const toggle = card(page, "newsletter").getByRole("switch");
    await toggle.focus();
    await page.keyboard.press("Space");
    await page.waitForFunction(() => window.told.some(([name]) => name === "paused"));
    assert.equal(await toggle.getAttribute("aria-checked"), "false");
    await page.waitForTimeout(120);
    assert.match(await said(page, "status"), /is paused/);
    await page.keyboard.press("Space");
    await page.waitForFunction(() => window.told.some(([name]) => name === "activated"));
    assert.match(await focused(page), /newsletter is on$/, "the switch keeps the focus while the card changes");
  },

  async "a failure to load is told, announced and repaired by trying again"(page) {
    await listen(page);
    let broken = true;
    await page.route("**/api/bridge/integrations/", (route) =>
      broken ? route.fulfill({ status: 503, body: "<html>" }) : route.continue(),
    );
    await page.goto(host());
    await page.getByRole("button", { name: "Try again" }).waitFor();
    const [name, detail] = (await told(page))[0];
    assert.deepEqual([name, detail], ["loaderror", { code: "http-503", retryable: true }]);
    broken = false;
    await page.getByRole("button", { name: "Try again" }).click();
    await ready(page);
    assert.ok((await names(page)).includes("ready"));
  },

  async "a brand colour of any lightness stays readable, and translations replace phrases"(page) {
    await page.addInitScript(() => {
      addEventListener("DOMContentLoaded", () => {
        const sheet = new CSSStyleSheet();
        sheet.replaceSync("portal-integrations{--bridge-color-primary:oklch(0.9 0.18 100)}");
        document.adoptedStyleSheets = [sheet];
        const early = document.querySelector("portal-integrations");
        early.translations = { de: { "card.connect": "Verbinden" } };
        early.setAttribute("lang", "de-AT");
      });
    });
    await page.goto(host());
    await ready(page);
    const button = card(page, "newsletter").getByText("Verbinden");
    const [ink, ground] = await button.evaluate((one) => [
      getComputedStyle(one).color,
      getComputedStyle(one).backgroundColor,
    ]);
    assert.equal(ink, "rgb(10, 12, 20)", `dark text on ${ground}`);
  },

  async "the widget asks nobody but its prefix and its script"(page) {
    const asked = [];
    page.on("request", (request) => asked.push(new URL(request.url())));
    await page.goto(host("prefix=states"));
    await ready(page);
    await page.waitForTimeout(300);
    assert.ok(asked.every(({ origin: to }) => to === origin));
    const paths = asked.map(({ pathname }) => pathname.split("/").slice(0, 4).join("/"));
    assert.deepEqual([...new Set(paths)].sort(), [
      "/mock/host",
      "/mock/host.css",
      "/portal/static/js",
      "/states/api/bridge",
    ]);
  },

  async "a reload continues in the same tab, another tab needs the link"(page) {
    const { url } = await makeFlow(1, { autoActivate: true });
    await page.goto(url);
    await page.getByLabel("Test key").check();
    await page.getByRole("button", { name: "Save and continue" }).click();
    await page.getByRole("heading", { level: 1, name: "Where orders go" }).waitFor();
    await page.reload();
    await page.getByRole("heading", { level: 1, name: "Where orders go" }).waitFor();
    const other = await page.context().newPage();
    await other.goto(url.split("#")[0]);
    await other.getByRole("heading", { level: 1, name: "This link has expired" }).waitFor();
    await other.goto(`${origin}/demo`);
    await other.goto(url);
    await other.getByRole("heading", { level: 1, name: "Where orders go" }).waitFor();
  },

  async "a page change moves focus to the heading and is announced"(page) {
    const { url } = await makeFlow(1);
    await page.goto(url);
    await page.getByRole("button", { name: "Get started" }).click();
    await page.getByRole("heading", { level: 1, name: "Your shop" }).waitFor();
    assert.equal(await focused(page), "Your shop");
    assert.equal(await page.locator("p.aside[role=status]").last().textContent(), "Step 1 of 4: Your shop");
    assert.match(await page.title(), /^Step 1 of 4: Your shop – Send new orders/);
  },

  async "wrong answers are summed up on top, linked, and tied to their fields"(page) {
    const { url } = await makeFlow(1, { autoActivate: true });
    await page.goto(url);
    await page.getByLabel("Test key").check();
    await page.getByRole("button", { name: "Save and continue" }).click();
    const address = page.getByLabel("API address");
    await address.fill("shop.example");
    await page.getByRole("button", { name: "Save and continue" }).click();
    await page.getByRole("alert").waitFor();
    assert.match(await focused(page), /^One answer needs another look/, "the summary has the focus");
    await page.getByRole("link", { name: /API address/ }).click();
    assert.equal(await page.evaluate(() => document.activeElement.id), "f-u1");
    assert.equal(await address.getAttribute("aria-invalid"), "true");
    const tied = await address.evaluate((one) =>
      one
        .getAttribute("aria-describedby")
        .split(" ")
        .map((id) => document.getElementById(id)?.textContent)
        .join(" "),
    );
    assert.match(tied, /not a complete address/);
    assert.match(tied, /Where orders are sent/);
    await address.fill("https://shop.example/x");
    assert.equal(await page.getByRole("alert").count(), 0, "a corrected answer is no longer complained about");
    await page.getByLabel("Note for the warehouse").fill("refused");
    await page.getByRole("button", { name: "Save and continue" }).click();
    await page.getByRole("link", { name: /did not accept this/ }).waitFor();
  },

  async "an item is inserted where the cursor was, by keyboard alone"(page) {
    const { url } = await makeFlow(1, { autoActivate: true });
    await page.goto(url);
    await page.getByLabel("Test key").check();
    await page.getByRole("button", { name: "Save and continue" }).click();
    const title = page.getByRole("textbox", { name: "Title of the order" });
    const words = async () => (await title.textContent()).replaceAll("\u200b", "");
    assert.equal(await words(), "Order Order id, New order", "what the template has is a chip already");
    await title.press("End");
    await title.press("Backspace");
    assert.equal(await words(), "Order ", "Backspace takes a chip out");
    await title.pressSequentially("for : thanks");
    for (let left = 0; left < ": thanks".length; left += 1) await title.press("ArrowLeft");
    await page.keyboard.press("Tab");
    await page.keyboard.press("Enter");
    await page.getByPlaceholder("Search items").waitFor();
    await page.keyboard.type("customer n");
    await page.keyboard.press("Enter");
    await page.waitForFunction(() => document.activeElement?.id === "f-t1");
    await page.keyboard.type("!");
    assert.equal(await words(), "Order for Customer name, New order!: thanks");
    for (const key of ["ArrowLeft", "ArrowLeft", "Delete"]) await title.press(key);
    assert.equal(await words(), "Order for !: thanks", "one press steps over a chip, Delete takes it out");
    await title.pressSequentially("{{1.total}} ");
    await page.getByLabel("API address").fill("https://shop.example/x");
    assert.equal(await words(), "Order for Order total, New order !: thanks", "what is typed becomes a chip");
    const [request] = await Promise.all([
      page.waitForRequest(/\/steps\/where$/),
      page.getByRole("button", { name: "Save and continue" }).click(),
    ]);
    assert.equal(request.postDataJSON().values.t1, "Order for {{1.total}} !: thanks");
  },

  async "Enter in a line sends the step, in a note it breaks the line; pasted expressions become chips"(page) {
    const { url } = await makeFlow(1, { autoActivate: true });
    await page.goto(url);
    await page.getByLabel("Test key").check();
    await page.getByRole("button", { name: "Save and continue" }).click();
    await page.getByLabel("API address").fill("https://shop.example/x");
    const note = page.getByRole("textbox", { name: "Note for the warehouse" });
    await note.pressSequentially("one");
    await note.press("Enter");
    await note.pressSequentially("two ");
    await note.evaluate((one) => {
      const data = new DataTransfer();
      data.setData("text/plain", "for {{1.customer.name}}");
      one.dispatchEvent(new ClipboardEvent("paste", { clipboardData: data, bubbles: true, cancelable: true }));
    });
    await note.locator(".chip").waitFor();
    const title = page.getByRole("textbox", { name: "Title of the order" });
    await title.focus();
    const [request] = await Promise.all([page.waitForRequest(/\/steps\/where$/), title.press("Enter")]);
    assert.equal(request.postDataJSON().values.m1, "one\ntwo for {{1.customer.name}}");
  },

  async "answers can be seen and changed after the end, in the same window and from the card"(page) {
    await page.goto(host());
    await ready(page);
    let [popup] = await Promise.all([page.waitForEvent("popup"), connect(page, "Send new orders").click()]);
    await popup.getByRole("button", { name: "Get started" }).click();
    await popup.getByLabel("Test key").check();
    await popup.getByRole("button", { name: "Save and continue" }).click();
    await popup.getByLabel("API address").fill("https://shop.example/old");
    await popup.getByRole("button", { name: "Save and continue" }).click();
    await popup.getByRole("button", { name: "Save and continue" }).click();
    await popup.getByRole("button", { name: "Continue", exact: true }).click();
    await popup.getByRole("button", { name: "Finish and switch on" }).click();
    await popup.getByRole("heading", { level: 1, name: "All set" }).waitFor();
    await popup.waitForTimeout(3500);
    assert.equal(popup.isClosed(), false, "a window with an address to copy stays");
    await popup.reload();
    await popup.getByRole("heading", { level: 1, name: "All set" }).waitFor();
    await popup.getByRole("button", { name: "Change the answers" }).click();
    await popup.getByRole("heading", { level: 1, name: "Settings" }).waitFor();
    await popup.getByRole("button", { name: "Change Where orders go" }).click();
    await popup.getByLabel("API address").fill("https://shop.example/new");
    await popup.getByRole("button", { name: "Done" }).click();
    await popup.getByRole("button", { name: "Save changes" }).click();
    await popup.getByRole("heading", { level: 1, name: "Saved" }).waitFor();
    let gone = popup.waitForEvent("close");
    await popup.getByRole("button", { name: "Close" }).click();
    await gone;

    const settings = card(page, "Send new orders").getByRole("button", { name: /^Settings/ });
    [popup] = await Promise.all([page.waitForEvent("popup"), settings.click()]);
    await popup.getByText("https://shop.example/new").waitFor();
    assert.equal(await popup.getByRole("button", { name: "Save changes" }).count(), 0, "nothing was changed");
    gone = popup.waitForEvent("close");
    await popup.getByRole("button", { name: "Close" }).click();
    await gone;
    await card(page, "Send new orders").getByText("Continue in the window").waitFor({ state: "detached" });
    assert.match(await focused(page), /^Settings|^Send new orders|is on$/, "focus is on the card");
    await card(page, "Send new orders").getByText("Active").waitFor();
  },

  async "a frame that never answers offers a window, and then windows are used at once"(page) {
    await page.route("**/flow/**", (route) =>
      route.request().frame() === page.mainFrame() || !route.request().frame().parentFrame()
        ? route.continue()
        : route.fulfill({ status: 200, contentType: "text/html", body: "<h1>Refused to connect</h1>" }),
    );
    await page.goto(host("prefix=proxy&mode=iframe"));
    await ready(page);
    await connect(page, "newsletter").click();
    const offer = page.getByRole("button", { name: "Open it in a window" });
    await offer.waitFor();
    const [popup] = await Promise.all([page.waitForEvent("popup"), offer.click()]);
    await page.locator("dialog").waitFor({ state: "detached" });
    await walkNewsletter(popup);
    await card(page, "newsletter").getByText("Active").waitFor();
    const [next] = await Promise.all([page.waitForEvent("popup"), connect(page, "won deals").click()]);
    await next.getByRole("button", { name: "Get started" }).waitFor();
    await next.close();
  },

  async "a field with a condition appears with it and is not sent without it"(page) {
    const { url } = await makeFlow(1, { autoActivate: true });
    await page.goto(url);
    await page.getByLabel("Test key").check();
    await page.getByRole("button", { name: "Save and continue" }).click();
    await page.getByLabel("API address").fill("https://shop.example/x");
    await page.getByLabel("Delivery").selectOption({ label: "Pick-up by the customer" });
    await page.getByLabel("Pick-up store").fill("Old town");
    await page.getByLabel("Delivery").selectOption({ label: "Express" });
    assert.equal(await page.getByLabel("Pick-up store").count(), 0);
    const [request] = await Promise.all([
      page.waitForRequest(/\/steps\/where$/),
      page.getByRole("button", { name: "Save and continue" }).click(),
    ]);
    assert.deepEqual(request.postDataJSON().values, {
      u1: "https://shop.example/x",
      t1: "Order {{1.id}}",
      m1: null,
      p1: "express",
      b1: false,
    });
    assert.ok(request.headers()["flow-secret"]);
  },

  async "a refused key is said beside its field, an accepted one is created once"(page) {
    const { url } = await makeFlow(1, { autoActivate: true });
    await page.goto(url);
    await page.getByLabel("Create a new one").check();
    await page.getByLabel("API key").fill("wrong");
    await page.getByRole("button", { name: "Save and continue" }).click();
    await page.getByRole("link", { name: /did not accept this key/ }).click();
    assert.equal(await page.evaluate(() => document.activeElement.id), "f-k1_create_key");
    await page.getByLabel("API key").fill("right");
    let created = 0;
    page.on("request", (request) => {
      created += request.url().endsWith("/components") ? 1 : 0;
    });
    await page.getByRole("button", { name: "Save and continue" }).click();
    await page.getByRole("heading", { level: 1, name: "Where orders go" }).waitFor();
    await page.getByRole("button", { name: "Back" }).click();
    assert.equal(await page.getByLabel("HTTP API key").isChecked(), true, "the new key is chosen");
    assert.equal(created, 1);
  },

  async "the last page goes back to web addresses only"(page) {
    for (const [redirectUri, follows] of [
      [`${origin}/demo`, true],
      ["javascript:document.title='bad'", false],
    ]) {
      const { url } = await makeFlow(3, { autoActivate: true, redirectUri });
      await page.goto("about:blank");
      await page.goto(url);
      await page.getByLabel("Server").fill("mail.example");
      await page.getByLabel("Access key").fill("k");
      await page.getByRole("button", { name: "Save and continue" }).click();
      await page.getByRole("button", { name: "Finish and switch on" }).click();
      if (follows) await page.waitForURL(`${origin}/demo`);
      else await page.getByText("You can close this window.").first().waitFor();
    }
  },

  async "the demo shows a sent order arriving, and what each module did"(page) {
    await fetch(`${origin}/mock/reset?always`);
    await page.goto(`${origin}/demo`);
    await page.getByRole("button", { name: "Send a sample order" }).click();
    await page.getByText("Working on the order…").waitFor();
    await page.getByText("2 operations in 318 ms").waitFor();
    await page.getByRole("button", { name: /2 operations in 318 ms/ }).click();
    await page.getByText("New order → Send to the shop").waitFor();
    await page.getByRole("link", { name: "Orders" }).click();
    await page.getByRole("heading", { level: 1, name: "Orders" }).waitFor();
  },
};

const wanted = process.argv[2] ?? "";
let failed = 0;
for (const [name, walk] of Object.entries(walks)) {
  if (!name.includes(wanted)) continue;
  await fetch(`${origin}/mock/reset`);
  const { context, page, errors } = await openPage(browser, { width: 1100, theme: "light" });
  try {
    await walk(page);
    if (!page.isClosed()) assert.deepEqual(await violations(page), [], "the page's policy is kept");
    assert.deepEqual(errors, [], "the console is silent");
    console.log(`ok   ${name}`);
  } catch (cause) {
    failed += 1;
    console.log(
      `FAIL ${name}\n     ${String(cause?.message ?? cause)
        .split("\n")
        .slice(0, 6)
        .join("\n     ")}`,
    );
  }
  await context.close();
}
await browser.close();
server.close();
server.closeAllConnections();
process.exitCode = failed > 0 ? 1 : 0;
