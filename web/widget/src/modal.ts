/**
 * The two dialogs: the question before something is deleted, and in iframe mode the wizard's frame. Both are the
 * browser's own modal dialog, which makes the rest of the page inert; focus is given back to what opened them.
 */

import type { FlowHint } from "../../src/api";
import { type Branch, h } from "../../src/dom";
import type { Say } from "./copy";
import type { Entry } from "./entry";
import { icon } from "./icons";
import type { Place } from "./setup";
import { button, note } from "./view";

/** A wizard says that it is there as soon as its script runs. A frame that was refused says nothing, ever. */
const SILENT_AFTER = 5000;
const SANDBOX = "allow-scripts allow-forms allow-same-origin allow-popups allow-popups-to-escape-sandbox";

export interface ModalPorts {
  tree: ShadowRoot;
  /** Draws the widget now, the open dialog included. */
  paint(): void;
  say(): Say;
  focus(name: string): void;
  remove(entry: Entry): Promise<void>;
  announce(text: string): void;
  /** Shows the wizard in a window, because its frame stays silent. Called inside the click. */
  elsewhere(entry: Entry): void;
  /** The page may keep a frame open; `dirty` says that something typed would be lost. */
  mayClose(dirty: boolean): boolean;
}

export interface Modal {
  dirty: Set<string>;
  askRemove(entry: Entry): void;
  openFrame(entry: Entry): Place;
  /** Escape, or a button that closes. */
  askToClose(): void;
  /** A message of the frame itself: it is there, or it is done. True when it was for us. */
  heard(event: MessageEvent): boolean;
  trap(event: KeyboardEvent): void;
  draw(): Branch | null;
}

interface Shown {
  entry: Entry;
  frame: boolean;
  /** A frame's title, as it was when it was opened. */
  title: string;
  /** The frame's address; it outlives the set-up, so that the wizard's last page stays to be read. */
  url?: string;
  asking?: boolean;
  ready?: boolean;
  silent?: boolean;
  waiting?: ReturnType<typeof setTimeout>;
}

export function createModal(ports: ModalPorts): Modal {
  const { tree, paint, say, focus, remove, mayClose } = ports;
  let shown: Shown | null = null;
  let opener: HTMLElement | null = null;
  const dialog = () => tree.querySelector("dialog");

  const open = (entry: Entry, frame: boolean) => {
    opener = tree.activeElement as HTMLElement | null;
    const title = say()(entry.setup?.changes ? "card.settings.label" : "setup.frame", { name: entry.name });
    shown = { entry, frame, title };
    paint();
    dialog()?.showModal();
  };

  const close = () => {
    if (!shown) return;
    const { key } = shown.entry;
    clearTimeout(shown.waiting);
    dialog()?.close();
    shown = null;
    paint();
    if (opener?.isConnected) opener.focus();
    else focus(key);
  };

  const confirm = async () => {
    if (!shown) return;
    await remove(shown.entry);
    close();
  };

  const keepGoing = () => {
    if (shown) shown.asking = false;
    paint();
    tree.querySelector("iframe")?.focus();
  };

  const isOurs = ({ source, origin }: MessageEvent) =>
    !!shown?.url &&
    !!source &&
    source === tree.querySelector("iframe")?.contentWindow &&
    origin === new URL(shown.url, location.href).origin;

  const expectWord = (mine: Shown) => {
    clearTimeout(mine.waiting);
    mine.waiting = setTimeout(() => {
      if (shown !== mine || mine.ready) return;
      mine.silent = true;
      paint();
      ports.announce(say()("setup.silent"));
    }, SILENT_AFTER);
  };

  const drawSilent = ({ entry }: Shown, t: Say): Branch =>
    h(
      "div",
      { class: "frame-silent", key: "silent" },
      h("p", {}, t("setup.silent")),
      h(
        "div",
        { class: "actions" },
        button("primary", () => ports.elsewhere(entry), {}, t("setup.silent.window")),
        button("quiet", close, {}, t("setup.act.cancel")),
      ),
    );

  const drawRemove = ({ name, busy }: Entry, t: Say): Branch =>
    h(
      "dialog",
      { key: "remove", part: "dialog", role: "alertdialog", "aria-labelledby": "title", "aria-describedby": "text" },
      h("p", { id: "title", class: "name" }, t("remove.title", { name })),
      h("p", { id: "text" }, t("remove.text")),
      h(
        "div",
        { class: "actions end" },
        button("quiet", close, { autofocus: true }, t("remove.cancel")),
        button("danger", confirm, { "aria-disabled": busy && "true" }, t("remove.confirm")),
      ),
    );

  const drawFrame = (frame: Shown, t: Say): Branch => {
    const { title, url, asking, silent } = frame;
    const label = t("setup.close");
    return h(
      "dialog",
      { key: "frame", class: "frame", part: "dialog", "aria-labelledby": "title" },
      h(
        "div",
        { class: "frame-bar" },
        h("p", { id: "title", class: "name" }, title),
        button("quiet square", modal.askToClose, { "aria-label": label, title: label }, icon("close")),
      ),
      asking &&
        note(
          "warn",
          h("p", {}, t("setup.dirty")),
          h(
            "div",
            { class: "actions" },
            button("primary", keepGoing, { "data-focus": "keep" }, t("setup.keep")),
            button("quiet", close, {}, t("setup.discard")),
          ),
        ),
      silent && drawSilent(frame, t),
      url
        ? h("iframe", {
            title,
            src: url,
            sandbox: SANDBOX,
            allow: "clipboard-write",
            // The wizard answers to the origin that shows it, also where the page tells nobody where it is.
            referrerpolicy: "origin",
            "data-silent": silent === true,
            tabindex: silent ? "-1" : null,
          })
        : h("p", { class: "frame-wait", role: "status" }, t("setup.opening")),
    );
  };

  const modal: Modal = {
    dirty: new Set(),
    askRemove: (entry) => {
      if (!entry.busy) open(entry, false);
    },
    openFrame(entry) {
      open(entry, true);
      const mine = shown;
      const closed = () => shown !== mine;
      return {
        kind: "frame",
        show(url) {
          if (mine) {
            mine.url = url;
            expectWord(mine);
          }
          paint();
        },
        closed,
        close: () => {
          if (!closed()) close();
        },
        isSource: (source) => !!source && source === tree.querySelector("iframe")?.contentWindow,
      };
    },
    askToClose() {
      if (!shown?.frame) {
        close();
        return;
      }
      const dirty = modal.dirty.has(shown.entry.setup?.flowId ?? "");
      if (!mayClose(dirty)) return;
      if (!dirty) {
        close();
        return;
      }
      shown.asking = true;
      paint();
      focus("keep");
    },
    heard(event) {
      if (!shown || !isOurs(event)) return false;
      const { type } = (event.data ?? {}) as Partial<FlowHint>;
      if (type === "make-bridge:ready") {
        shown.ready = true;
        shown.silent = false;
        paint();
      }
      if (type === "make-bridge:close") close();
      return type === "make-bridge:ready" || type === "make-bridge:close";
    },
    /** Tab stays inside, also where a browser would let it wander to its own buttons. */
    trap(event) {
      const stops = [...(dialog()?.querySelectorAll<HTMLElement>("button,iframe:not([data-silent])") ?? [])];
      const [from, to] = event.shiftKey ? [stops[0], stops.at(-1)] : [stops.at(-1), stops[0]];
      if (event.key !== "Tab" || !to || tree.activeElement !== from) return;
      event.preventDefault();
      to.focus();
    },
    draw: () => shown && (shown.frame ? drawFrame(shown, say()) : drawRemove(shown.entry, say())),
  };
  return modal;
}
