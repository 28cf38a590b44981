/** Every state worth looking at, and how to get there. */

const host =
  (prefix, more = "") =>
  async (page, { origin, theme }) => {
    await page.goto(`${origin}/mock/host?prefix=${prefix}&theme=${theme}${more}`);
  };
const card = (page, name) => page.locator("li.card", { hasText: name });
const ready = (page) => page.locator("portal-integrations li.card").first().waitFor();

async function flow(page, { origin }, template, body = {}) {
  const answer = await fetch(
    `${origin}/mock/flow?template=${template}&body=${encodeURIComponent(JSON.stringify(body))}`,
  );
  const { url } = await answer.json();
  await page.goto(url);
}
const go = (page, name) => page.getByRole("button", { name, exact: true }).click();
const heading = (page, name) => page.getByRole("heading", { level: 1, name }).waitFor();

async function toWhere(page, view) {
  await flow(page, view, 1, { autoActivate: true });
  await page.getByLabel("Shop key (created 3 May)").check();
  await go(page, "Save and continue");
  await heading(page, "Where orders go");
}

async function toAddress(page, view) {
  await toWhere(page, view);
  await page.getByLabel("API address").fill("https://shop.example/api/orders");
  await go(page, "Save and continue");
  await heading(page, "Tell us about changes");
}

async function toCheck(page, view) {
  await toAddress(page, view);
  await go(page, "Save and continue");
  await heading(page, "Your address is ready");
  await go(page, "Continue");
  await heading(page, "Check and finish");
}

async function connectStates(page, mode, act) {
  await ready(page);
  await act(page, mode);
}

/** The window opens blank and stays: as when a provider takes its time. */
async function waiting(page, view) {
  await host("states")(page, view);
  await ready(page);
  const popup = page.waitForEvent("popup");
  await card(page, "Send new orders")
    .getByRole("button", { name: /^Connect/ })
    .click();
  await card(page, "Send new orders").getByText("Continue in the window").waitFor();
  return popup;
}

export const STATES = [
  { name: "widget-loading", show: host("slow") },
  {
    name: "widget-ready",
    show: async (page, view) => {
      await host("proxy")(page, view);
      await ready(page);
    },
  },
  {
    name: "widget-states",
    settle: 500,
    show: async (page, view) => {
      await host("states")(page, view);
      await page.getByText("Needs attention").nth(1).waitFor();
      await card(page, "newsletter")
        .getByRole("button", { name: /Recent runs/ })
        .click();
      await page.getByText("Ran by itself").first().waitFor();
      await card(page, "Nightly")
        .getByRole("button", { name: /Recent runs/ })
        .click();
    },
  },
  {
    name: "widget-empty",
    show: async (page, view) => {
      await host("empty")(page, view);
      await page.getByText("Nothing to connect yet").first().waitFor();
    },
  },
  {
    name: "widget-error",
    show: async (page, view) => {
      await host("broken")(page, view);
      await page.getByText("Details").click();
    },
  },
  {
    name: "widget-signin",
    show: async (page, view) => {
      await host("signin")(page, view);
      await page.getByText("Please sign in again").first().waitFor();
    },
  },
  {
    name: "widget-plan",
    show: async (page, view) => {
      await host("plan")(page, view);
      await page.getByText("Not included").first().waitFor();
    },
  },
  {
    name: "widget-offline",
    show: async (page, view) => {
      await page.route("**/api/bridge/**", (route) => route.abort());
      await page.addInitScript(() => Object.defineProperty(navigator, "onLine", { get: () => false }));
      await host("proxy")(page, view);
      await page.getByText("You are offline").first().waitFor();
    },
  },
  {
    name: "widget-search-none",
    show: async (page, view) => {
      await host("states")(page, view);
      await page.getByLabel("Search integrations").fill("fax");
      await page.getByText("No match").waitFor();
    },
  },
  {
    name: "widget-waiting",
    show: async (page, view) => {
      await waiting(page, view);
    },
  },
  {
    name: "widget-closed",
    show: async (page, view) => {
      const popup = await waiting(page, view);
      await popup.close();
      await page.getByText("Closed?").first().waitFor();
    },
  },
  {
    name: "widget-blocked",
    show: async (page, view) => {
      await page.addInitScript(() => {
        window.open = () => null;
      });
      await host("states")(page, view);
      await ready(page);
      await card(page, "Send new orders")
        .getByRole("button", { name: /^Connect/ })
        .click();
      await page.getByText("Open the set-up here instead").waitFor();
    },
  },
  {
    name: "widget-init-failed",
    show: async (page, view) => {
      await host("noinit")(page, view);
      await ready(page);
      await page.getByRole("button", { name: /^Connect/ }).click();
      await page.getByText("could not be opened").first().waitFor();
      await page.getByText("Details").click();
    },
  },
  {
    name: "widget-action-failed",
    show: async (page, view) => {
      await host("runfails")(page, view);
      await ready(page);
      await page.getByRole("switch").click();
      await page.getByText("could not be paused").first().waitFor();
      await page.getByRole("button", { name: /Recent runs/ }).click();
      await page.getByText("The recent runs could not be loaded.").first().waitFor();
    },
  },
  {
    name: "widget-run-result",
    show: async (page, view) => {
      await host("states")(page, view);
      await ready(page);
      await card(page, "newsletter")
        .getByRole("button", { name: /Run now/ })
        .click();
      await card(page, "newsletter").getByText("Finished:").first().waitFor();
    },
  },
  {
    name: "widget-remove",
    viewportOnly: true,
    show: async (page, view) => {
      await host("states")(page, view);
      await ready(page);
      await card(page, "newsletter")
        .getByRole("button", { name: /Remove/ })
        .click();
      await page.getByRole("alertdialog").waitFor();
    },
  },
  {
    name: "widget-frame",
    viewportOnly: true,
    settle: 600,
    show: async (page, view) => {
      await host("proxy", "&mode=iframe")(page, view);
      await connectStates(page, "iframe", async () => {
        await card(page, "Send new orders")
          .getByRole("button", { name: /^Connect/ })
          .click();
        await page.frameLocator("portal-integrations iframe").getByRole("button", { name: "Get started" }).waitFor();
      });
    },
  },
  {
    name: "widget-frame-dirty",
    viewportOnly: true,
    settle: 300,
    show: async (page, view) => {
      await host("proxy", "&mode=iframe")(page, view);
      await ready(page);
      await card(page, "newsletter")
        .getByRole("button", { name: /^Connect/ })
        .click();
      const frame = page.frameLocator("portal-integrations iframe");
      await frame.getByRole("button", { name: "Get started" }).click();
      await frame.getByLabel("Server").fill("mail.example");
      await page.waitForTimeout(150);
      await page.getByRole("button", { name: "Close", exact: true }).click();
      await page.getByText("not saved yet").waitFor();
    },
  },
  {
    name: "widget-run-failed",
    settle: 500,
    show: async (page, view) => {
      await host("states")(page, view);
      const invoices = card(page, "invoices");
      await invoices.getByRole("button", { name: /Recent runs/ }).click();
      await invoices.locator(".run-line").first().click();
      await invoices.getByText("It stopped at “Send to the shop”").waitFor();
      await invoices.locator(".run-line").nth(1).click();
      await invoices.locator(".run-line").first().click();
      await invoices.getByText("Details").click();
    },
  },
  {
    name: "widget-settings",
    show: async (page, view) => {
      await host("states")(page, view);
      await ready(page);
      const popup = page.waitForEvent("popup");
      await card(page, "newsletter")
        .getByRole("button", { name: /^Settings/ })
        .click();
      await popup;
      await card(page, "newsletter").getByText("Continue in the window").waitFor();
    },
  },
  {
    name: "widget-frame-silent",
    viewportOnly: true,
    show: async (page, view) => {
      await page.route("**/flow/**", (route) => route.fulfill({ status: 200, body: "<h1>Refused</h1>" }));
      await host("proxy", "&mode=iframe")(page, view);
      await ready(page);
      await card(page, "Send new orders")
        .getByRole("button", { name: /^Connect/ })
        .click();
      await page.getByRole("button", { name: "Open it in a window" }).waitFor();
    },
  },
  {
    name: "wizard-intro",
    show: async (page, view) => {
      await flow(page, view, 1);
      await heading(page, "Send new orders");
    },
  },
  {
    name: "wizard-key-existing",
    show: async (page, view) => {
      await flow(page, view, 1, { autoActivate: true });
      await heading(page, "Your shop");
    },
  },
  {
    name: "wizard-key-refused",
    show: async (page, view) => {
      await flow(page, view, 1, { autoActivate: true });
      await page.getByLabel("Create a new one").check();
      await page.getByLabel("API key").fill("wrong");
      await go(page, "Save and continue");
      await page.getByText("did not accept this key").first().waitFor();
    },
  },
  {
    name: "wizard-connection-new",
    show: async (page, view) => {
      await flow(page, view, 3, { autoActivate: true });
      await heading(page, "Newsletter account");
    },
  },
  {
    name: "wizard-mapping",
    show: async (page, view) => {
      await toWhere(page, view);
      await page.getByRole("button", { name: "Insert item" }).nth(1).click();
      await page.getByPlaceholder("Search items").fill("cu");
    },
  },
  {
    name: "wizard-chips",
    show: async (page, view) => {
      await toWhere(page, view);
      const note = page.getByRole("textbox", { name: "Note for the warehouse" });
      await note.pressSequentially("Gift for ");
      await page.getByRole("button", { name: "Insert item" }).nth(1).click();
      await page.getByPlaceholder("Search items").fill("customer n");
      await page.keyboard.press("Enter");
      await page.waitForFunction(() => document.activeElement?.id === "f-m1");
      await page.keyboard.type(": {{upper(1.shipping.city)}} and {{now}}");
      await page.getByLabel("API address").focus();
      await page.getByText("calculated").first().waitFor();
    },
  },
  {
    name: "wizard-errors",
    show: async (page, view) => {
      await toWhere(page, view);
      await page.getByLabel("API address").fill("shop.example");
      await page.getByRole("textbox", { name: "Title of the order" }).fill("");
      await page.getByLabel("Delivery").selectOption({ label: "Pick-up by the customer" });
      await go(page, "Save and continue");
      await page.getByText("3 answers need another look").waitFor();
    },
  },
  { name: "wizard-hook", show: toAddress },
  {
    name: "wizard-hook-ready",
    show: async (page, view) => {
      await toAddress(page, view);
      await go(page, "Save and continue");
      await heading(page, "Your address is ready");
    },
  },
  { name: "wizard-check", show: toCheck },
  {
    name: "wizard-check-trouble",
    show: async (page, view) => {
      await toCheck(page, view);
      await page.getByRole("button", { name: "Change Where orders go" }).click();
      await page.getByLabel("API address").fill("https://unreachable.example/orders");
      await go(page, "Save and continue");
      await page.getByText("may not work yet").waitFor();
    },
  },
  {
    name: "wizard-done",
    show: async (page, view) => {
      await toCheck(page, view);
      await go(page, "Finish and switch on");
      await heading(page, "All set");
    },
  },
  {
    name: "wizard-settings",
    show: async (page, view) => {
      await toCheck(page, view);
      await go(page, "Finish and switch on");
      await go(page, "Change the answers");
      await heading(page, "Settings");
    },
  },
  {
    name: "wizard-settings-changed",
    show: async (page, view) => {
      await toCheck(page, view);
      await go(page, "Finish and switch on");
      await go(page, "Change the answers");
      await go(page, "Change Where orders go");
      await page.getByLabel("API address").fill("https://shop.example/new");
      await go(page, "Done");
      await page.getByText("take effect when you save").waitFor();
    },
  },
  {
    name: "wizard-brand",
    show: async (page, view) => {
      const answer = await fetch(`${view.origin}/mock/flow?template=1&body={}`);
      const [address, secret] = (await answer.json()).url.split("#");
      await page.goto(`${address}?brand=ffd400&theme=${view.theme}#${secret}`);
      await go(page, "Get started");
      await heading(page, "Your shop");
    },
  },
  {
    name: "wizard-fields-plain",
    show: async (page, view) => {
      await flow(page, view, 2, { autoActivate: true });
      await heading(page, "Plain answers");
    },
  },
  {
    name: "wizard-fields-wrong",
    show: async (page, view) => {
      await flow(page, view, 2, { autoActivate: true });
      await page.getByLabel("Number", { exact: true }).fill("12");
      await page.getByLabel("Whole number").fill("1.5");
      await page.getByLabel("E-mail").fill("dana");
      await page.getByLabel("Contract number").fill("77");
      await go(page, "Save and continue");
      await page.getByText("5 answers need another look").waitFor();
    },
  },
  {
    name: "wizard-fields-groups",
    show: async (page, view) => {
      await flow(page, view, 2, { autoActivate: true });
      await page.getByRole("textbox", { name: "Text", exact: true }).fill("Hello");
      await go(page, "Save and continue");
      await heading(page, "Choices and lists");
      await page.getByRole("button", { name: /Add an entry/ }).click();
      await go(page, "Save and continue");
      await page.getByText("answers need another look").waitFor();
    },
  },
  {
    name: "wizard-expired",
    show: async (page, { origin }) => {
      await page.goto(`${origin}/flow/f00#nothing`);
      await heading(page, "This link has expired");
    },
  },
  {
    name: "wizard-unreachable",
    settle: 200,
    show: async (page, view) => {
      await page.route("**/flow-api/**", (route) =>
        route.fulfill({
          status: 503,
          contentType: "application/json",
          body: JSON.stringify({ detail: "The service is starting.", code: "unavailable", requestId: "5f0e9c" }),
        }),
      );
      await flow(page, view, 1);
      await heading(page, "The set-up could not be loaded");
      await page.getByText("Details").click();
    },
  },
  {
    name: "wizard-save-failed",
    show: async (page, view) => {
      await flow(page, view, 1, { autoActivate: true });
      await page.getByLabel("Test key").check();
      await page.route("**/steps/**", (route) => route.abort());
      await go(page, "Save and continue");
      await page.getByText("could not be saved").waitFor();
    },
  },
  {
    name: "demo",
    reset: "?always",
    settle: 400,
    show: async (page, { origin }) => {
      await page.goto(`${origin}/demo`);
      await ready(page);
      await page.getByText("Did not finish").waitFor();
    },
  },
  {
    name: "demo-sent",
    reset: "?always",
    settle: 300,
    show: async (page, { origin }) => {
      await page.goto(`${origin}/demo`);
      await ready(page);
      await page.getByRole("button", { name: "Send a sample order" }).click();
      await page.getByText("2 operations in 318 ms").waitFor();
      await page.locator(".run-line").first().click();
      await page.getByText("Output").first().click();
    },
  },
  {
    name: "demo-refused",
    show: async (page, { origin }) => {
      await page.goto(`${origin}/demo`);
      await ready(page);
      await page.getByRole("button", { name: "Send a sample order" }).click();
      await page.getByText("No integration is active yet").waitFor();
    },
  },
  {
    name: "demo-contacts",
    show: async (page, { origin }) => {
      await page.goto(`${origin}/demo#contacts`);
      await page.getByText("Aiko Tanaka").waitFor();
    },
  },
];
