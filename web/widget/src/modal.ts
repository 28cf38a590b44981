/**
 * The two dialogs: the question before something is deleted, and in iframe mode the wizard's frame. Both are the
 * browser's own modal dialog, which makes the rest of the page inert; focus is given back to what opened them.
 */

import { type Branch, h } from "../../src/dom";
import type { Say } from "./copy";
import type { Entry } from "./entry";
import { icon } from "./icons";
import type { Place } from "./setup";
import { button, note } from "./view";

const SANDBOX = "allow-scripts allow-forms allow-same-origin allow-popups allow-popups-to-escape-sandbox";

export interface ModalPorts {
  tree: ShadowRoot;
  /** Draws the widget now, the open dialog included. */
  paint(): void;
  say(): Say;
  focus(name: string): void;
  remove(entry: Entry): Promise<void>;
  /** The page may keep a frame open; `dirty` says that something typed would be lost. */
  mayClose(dirty: boolean): boolean;
}

export interface Modal {
  dirty: Set<string>;
  askRemove(entry: Entry): void;
  openFrame(entry: Entry): Place;
  /** Escape, or a button that closes. */
  askToClose(): void;
  trap(event: KeyboardEvent): void;
  draw(): Branch | null;
}

interface Shown {
  entry: Entry;
  frame: boolean;
  /** The frame's address; it outlives the set-up, so that the wizard's last page stays to be read. */
  url?: string;
  asking?: boolean;
}

export function createModal({ tree, paint, say, focus, remove, mayClose }: ModalPorts): Modal {
  let shown: Shown | null = null;
  let opener: HTMLElement | null = null;
  const dialog = () => tree.querySelector("dialog");

  const open = (entry: Entry, frame: boolean) => {
    opener = tree.activeElement as HTMLElement | null;
    shown = { entry, frame };
    paint();
    dialog()?.showModal();
  };

  const close = () => {
    if (!shown) return;
    const { key } = shown.entry;
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

  const drawFrame = ({ entry, url, asking }: Shown, t: Say): Branch => {
    const title = t("setup.frame", { name: entry.name });
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
      url
        ? h("iframe", { title, src: url, sandbox: SANDBOX, allow: "clipboard-write" })
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
        show(url) {
          if (mine) mine.url = url;
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
    /** Tab stays inside, also where a browser would let it wander to its own buttons. */
    trap(event) {
      const stops = [...(dialog()?.querySelectorAll<HTMLElement>("button,iframe") ?? [])];
      const [from, to] = event.shiftKey ? [stops[0], stops.at(-1)] : [stops.at(-1), stops[0]];
      if (event.key !== "Tab" || !to || tree.activeElement !== from) return;
      event.preventDefault();
      to.focus();
    },
    draw: () => shown && (shown.frame ? drawFrame(shown, say()) : drawRemove(shown.entry, say())),
  };
  return modal;
}
