/**
 * The widget at work, from the moment its element is in the page until it leaves it: wires catalogue, set-ups,
 * dialogs and drawing together, listens for what the outside hints, and tells the outside what happened.
 */

import type { FlowHint, InitBody } from "../../src/api";
import { h, paint } from "../../src/dom";
import { createCatalogue } from "./catalogue";
import { portalClient } from "./client";
import { voice as voiceFor } from "./copy";
import type { PortalIntegrations } from "./element";
import type { Entry } from "./entry";
import { drawList, failureSentence, found } from "./list";
import { noMemory, tabMemory } from "./memory";
import { createModal } from "./modal";
import { openWindow } from "./places";
import { createSetup, isOver, type Setup } from "./setup";
import { setupWords } from "./setup-view";
import { brandOf, derivedRules, schemeOf, tokenRules } from "./theme";
import type { Acts } from "./view";

export const VERSION = "0.1.0";
const STALE_AFTER = 60_000;
const CLOSE_AFTER = 6000;
/** A region that is emptied first is read again even when the words are the same. */
const SAY_AFTER = 60;

export interface Widget {
  draw(): void;
  reload(): void;
  refreshTheme(): void;
  stop(): void;
}

export function mountWidget(host: PortalIntegrations, tree: ShadowRoot): Widget {
  const attribute = (name: string) => host.getAttribute(name);
  const prefix = attribute("urlorprefix");
  const zone = attribute("src") ?? "";
  const base = (prefix ?? `${zone.replace(/\/+$/, "")}/portal`).replace(/\/+$/, "");
  const stopping = new AbortController();
  const { signal } = stopping;
  const client = portalClient(base, async () => host.fetchSession?.(), signal);
  const memory = tabMemory(base);
  const spoken = new WeakMap<Setup, string>();
  const said = { polite: "", assertive: "" };
  const darkness = matchMedia("(prefers-color-scheme: dark)");
  let query = "";
  /** A frame stayed silent once on this page: from then on a window is opened at once. */
  let framesFail = false;
  let drawing = false;
  let seen = 0;

  const voice = () => voiceFor(host.closest("[lang]")?.getAttribute("lang") || "en", host.translations);
  const mode = () => {
    const wish = attribute("mode")?.toLowerCase();
    if (wish === "iframe") return framesFail ? "popup" : wish;
    return wish === "redirect" ? wish : "popup";
  };

  const tell = (name: string, detail: Record<string, unknown>) =>
    host.dispatchEvent(
      new CustomEvent(`bridge:${name}`, { bubbles: true, composed: true, cancelable: name === "close", detail }),
    );

  // ── drawing ─────────────────────────────────────────────────────────────────────────────────────────────

  const draw = () => {
    if (signal.aborted) return;
    const { say, locale } = voice();
    const view = {
      say,
      locale,
      acts,
      query,
      level: Number(attribute("heading-level")) || 3,
      opensWindow: mode() === "popup",
    };
    const root = h(
      "div",
      {
        class: "root",
        part: "root",
        role: "group",
        "aria-label": say("list.label"),
        "aria-busy": catalogue.phase === "loading" ? "true" : null,
        onkeydown: (event) => modal.trap(event as KeyboardEvent),
        oncancel: (event) => {
          event.preventDefault();
          modal.askToClose();
        },
      },
      h("span", { class: "probe", key: "probe", ontransitionend: refreshTheme }),
      ...drawList(catalogue, view),
      h("div", { class: "aside", role: "status", key: "polite" }, said.polite),
      h("div", { class: "aside", role: "alert", key: "assertive" }, said.assertive),
      modal.draw(),
    );
    paint(tree, [root]);
  };

  /** Several changes in one task are one drawing. */
  const changed = () => {
    if (drawing) return;
    drawing = true;
    queueMicrotask(() => {
      drawing = false;
      draw();
    });
  };

  const announce = (text: string, urgent = false) => {
    const region = urgent ? "assertive" : "polite";
    said[region] = "";
    changed();
    setTimeout(() => {
      said[region] = text;
      changed();
    }, SAY_AFTER);
  };

  /** Gives focus to the first of these places that exists: a card's own, in its order, or one named. */
  const focus = (name: string) => {
    const places = ["-setup", "-connect", "-switch", ""].map((part) =>
      tree.querySelector<HTMLElement>(`[data-focus="${CSS.escape(name + part)}"]`),
    );
    places.find(Boolean)?.focus();
  };

  /** Call the answer after a change: if what had the focus is gone, the focus moves to the place named. */
  const keepFocus = () => {
    const had = tree.activeElement;
    return (name: string) =>
      setTimeout(() => {
        if (had && !had.isConnected) focus(name);
      });
  };

  const refreshTheme = () => {
    const rules = tokenRules(schemeOf(host, darkness.matches));
    host.derived.replaceSync(rules);
    draw();
    const probe = tree.querySelector<HTMLElement>(".probe");
    if (probe) host.derived.replaceSync(rules + derivedRules(probe));
  };

  // ── set-up ──────────────────────────────────────────────────────────────────────────────────────────────

  /** Whoever finishes the set-up expects it to work: unless the page says otherwise, it is switched on. */
  const initBody = ({ name }: Entry, instanceableId: number, needsReturn: boolean): InitBody => {
    const body: InitBody = { scenario: host.scenario ?? { name, enable: true } };
    const redirectUri = attribute("redirect-uri") ?? (needsReturn ? location.href.split("#")[0] : null);
    if (redirectUri) body.redirectUri = redirectUri;
    if (host.hasAttribute("auto-activate")) body.autoActivate = true;
    if (host.hasAttribute("auto-finalize")) body.autoFinalize = true;
    const { prefill } = host;
    const chosen = typeof prefill === "function" ? prefill({ instanceableId, name }) : prefill;
    if (chosen) body.prefill = { hard: chosen.hard ?? {}, soft: chosen.soft ?? {} };
    return body;
  };

  /** Each phase is said once; what needs the customer is said at once. */
  const setupChanged = (entry: Entry) => {
    const { setup, key } = entry;
    changed();
    keepFocus()(key);
    if (!setup || spoken.get(setup) === setup.phase) return;
    const { phase } = setup;
    spoken.set(setup, phase);
    if (phase === "done" || phase === "cancelled") return;
    announce(voice().say(setupWords(setup), { name: entry.name }), ["failed", "expired", "blocked"].includes(phase));
  };

  const windowFor = (entry: Entry) => openWindow(`make-bridge-${entry.template ?? 0}`, voice().say("setup.opening"));

  /** The wizard is to look like this page: it is told the colour and the scheme that the cards have. */
  const dressed = (url: string): string => {
    const address = new URL(url);
    const brand = brandOf(tree.querySelector<HTMLElement>(".probe"));
    if (brand) address.searchParams.set("brand", brand);
    address.searchParams.set("theme", schemeOf(host, darkness.matches));
    return address.href;
  };

  const setupOf = (entry: Entry, changes = false): Setup => {
    const template = entry.template ?? 0;
    const how = mode();
    const setup = createSetup({
      client,
      template,
      changes,
      memory: changes ? noMemory : memory,
      dress: dressed,
      begin: (body) => (changes ? client.edit(entry.scenario ?? 0, body) : client.init(template, body)),
      open: how === "popup" ? () => windowFor(entry) : how === "iframe" ? () => modal.openFrame(entry) : null,
      body: (needsReturn) => {
        const body = initBody(entry, template, needsReturn);
        return changes ? (body.redirectUri ? { redirectUri: body.redirectUri } : null) : body;
      },
      leave: (url) => location.assign(url),
      changed: () => setupChanged(entry),
      tell: (what, detail) => tell(`connect-${what}`, { template, ...detail }),
      finished: async (flow) => {
        const refocus = keepFocus();
        await catalogue.settled(entry, flow);
        // A window says itself when it has been read; one that was sent on to the page's own address cannot.
        if (how === "popup" && attribute("redirect-uri")) setTimeout(setup.closePlace, CLOSE_AFTER);
        refocus(entry.key);
      },
      left: () => {
        const refocus = keepFocus();
        entry.setup = null;
        changed();
        refocus(entry.key);
      },
    });
    return setup;
  };

  const load = async () => {
    const first = catalogue.phase !== "ready";
    const { say } = voice();
    seen = Date.now();
    if (first) announce(say("list.loading"));
    await catalogue.load();
    const { failure, entries } = catalogue;
    if (failure) announce(failureSentence(failure, say), true);
    else if (first) announce(entries.length > 0 ? say("list.loaded", { n: entries.length }) : say("list.empty.title"));
    if (failure || !first) return;
    for (const [template, flow] of memory.all()) {
      const entry = entries.find((one) => one.template === template && !one.setup);
      if (!entry) continue;
      entry.setup = setupOf(entry);
      entry.setup.resume(flow);
      changed();
    }
  };

  const acts: Acts = {
    async reload() {
      const refocus = keepFocus();
      await load();
      refocus(catalogue.failure ? "retry" : (catalogue.entries[0]?.key ?? ""));
    },
    search(wanted) {
      query = wanted;
      const field = tree.querySelector("input");
      if (field && field.value !== wanted) {
        field.value = wanted;
        field.focus();
      }
      announce(voice().say("list.found", { n: found(catalogue.entries, wanted).length }));
    },
    connect(entry) {
      entry.note = null;
      entry.setup?.stop();
      entry.setup = setupOf(entry);
      void entry.setup.start();
    },
    settings(entry) {
      if ((entry.setup && !isOver(entry.setup.phase)) || entry.busy) return;
      entry.note = null;
      entry.setup = setupOf(entry, true);
      void entry.setup.start();
    },
    switchTo: (entry, active) => catalogue.switchTo(entry, active),
    run: (entry) => catalogue.run(entry),
    toggleRuns: (entry) => catalogue.toggleRuns(entry),
    loadRuns: (entry) => catalogue.loadRuns(entry),
    toggleRun: (entry, execution) => catalogue.toggleRun(entry, execution),
    askRemove: (entry) => modal.askRemove(entry),
    reopen: (entry) => entry.setup?.reopen(),
    check: (entry) => entry.setup?.check(),
    dismiss(entry) {
      entry.setup?.cancel();
      entry.setup = null;
      changed();
      keepFocus()(entry.key);
    },
  };

  // ── what the outside hints ──────────────────────────────────────────────────────────────────────────────

  const hinted = (hint: FlowHint) => {
    const entry = catalogue.entries.find(({ setup }) => setup?.flowId === hint.flow);
    if (!entry) return;
    const { flow, type } = hint;
    if (type === "make-bridge:done") entry.setup?.hint();
    if (type === "make-bridge:dirty") {
      modal.dirty[hint.dirty ? "add" : "delete"](flow);
      tell("dirty", { flow, dirty: hint.dirty === true });
    }
    if (type === "make-bridge:step") {
      tell("wizard-step", { flow, step: hint.step, index: hint.index, of: hint.of, template: entry.template });
    }
  };

  /** The customer is back on the page: look at once instead of after the pause. */
  const cameBack = () => {
    if (document.visibilityState !== "visible") return;
    for (const { setup } of catalogue.entries) setup?.hint();
    if (catalogue.phase === "ready" && Date.now() - seen > STALE_AFTER) void load();
  };

  const listen = () => {
    darkness.addEventListener("change", refreshTheme, { signal });
    addEventListener("online", () => void load(), { signal });
    addEventListener("focus", cameBack, { signal });
    document.addEventListener("visibilitychange", cameBack, { signal });
    addEventListener(
      "message",
      (event) => {
        if (modal.heard(event)) return;
        if (catalogue.entries.some(({ setup }) => setup?.accepts(event))) hinted(event.data as FlowHint);
      },
      { signal },
    );
    try {
      // Only reaches us when page and bridge share an origin; then it works for every kind of window.
      const channel = new BroadcastChannel("make-bridge");
      channel.onmessage = ({ data }) => hinted(data as FlowHint);
      signal.addEventListener("abort", () => channel.close());
    } catch {
      // Polling finds out a little later.
    }
  };

  const catalogue = createCatalogue({
    client,
    voice,
    changed,
    announce,
    tell: (name, detail) => tell(name, name === "ready" ? { version: VERSION, ...detail } : detail),
  });
  const modal = createModal({
    tree,
    paint: draw,
    say: () => voice().say,
    focus,
    announce: (text) => announce(text, true),
    elsewhere: (entry) => {
      framesFail = true;
      entry.setup?.reopen(() => windowFor(entry));
      changed();
    },
    remove: (entry) => catalogue.remove(entry),
    mayClose: (dirty) => tell("close", { dirty }),
  });

  listen();
  refreshTheme();
  void load();
  return {
    draw: changed,
    reload: acts.reload,
    refreshTheme,
    stop() {
      stopping.abort();
      catalogue.stop();
    },
  };
}
