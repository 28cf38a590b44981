/**
 * `<portal-integrations>`: the custom element an integrator puts into a page.
 *
 * Attributes: `urlOrPrefix` (the integrator's proxy), or `src` (the bridge itself, with `el.fetchSession`);
 * `mode` popup|iframe|redirect; `theme` auto|light|dark; `lang`; `heading-level`; `redirect-uri`,
 * `auto-activate`, `auto-finalize`. Properties: `prefill`, `scenario`, `translations`, `fetchSession`.
 * Everything that happens is told as a bubbling, composed `bridge:*` event without secrets or mapped values.
 */

import type { Prefill } from "../../src/api";
import type { Translations } from "./copy";
import { mountWidget, type Widget } from "./widget";
import css from "./widget.css?inline";

/** What to prefill, for all templates or by template: an uuid unknown to a template is refused by the server. */
export type PrefillSource = Prefill | ((template: { instanceableId: number; name: string }) => Prefill | undefined);
export type SessionSource = () => Promise<string>;

export class PortalIntegrations extends HTMLElement {
  static readonly observedAttributes = ["urlorprefix", "src", "theme", "lang", "mode", "heading-level"];

  /** Declared only: a field would overwrite what the page set before this class was defined. */
  declare scenario?: { name: string; enable: boolean };
  declare prefill?: PrefillSource;
  readonly derived = new CSSStyleSheet();
  #translations: Translations = {};
  #fetchSession: SessionSource | null = null;
  #widget: Widget | null = null;

  constructor() {
    super();
    const sheet = new CSSStyleSheet();
    sheet.replaceSync(css);
    this.attachShadow({ mode: "open" }).adoptedStyleSheets = [sheet, this.derived];
  }

  get translations(): Translations {
    return this.#translations;
  }

  set translations(value: Translations | null | undefined) {
    this.#translations = value ?? {};
    this.#widget?.draw();
  }

  get fetchSession(): SessionSource | null {
    return this.#fetchSession;
  }

  set fetchSession(value: SessionSource | null) {
    this.#fetchSession = value;
    this.#widget?.reload();
  }

  connectedCallback(): void {
    // Properties set before the script arrived hide the class's own accessors: hand them over.
    for (const name of ["translations", "fetchSession"] as const) {
      const early = Object.getOwnPropertyDescriptor(this, name)?.value as unknown;
      if (early === undefined) continue;
      Reflect.deleteProperty(this, name);
      Reflect.set(this, name, early);
    }
    this.#widget = mountWidget(this, this.shadowRoot as ShadowRoot);
  }

  disconnectedCallback(): void {
    this.#widget?.stop();
    this.#widget = null;
  }

  attributeChangedCallback(name: string): void {
    if (!this.#widget) return;
    if (name === "theme") this.refreshTheme();
    else if (name === "urlorprefix" || name === "src") {
      this.disconnectedCallback();
      this.connectedCallback();
    } else this.#widget.draw();
  }

  /** Reads the list again; the page calls it after it changed something itself. */
  reload(): void {
    this.#widget?.reload();
  }

  /** Measures the colours again; only needed after the page changed a `--bridge-*` token at run time. */
  refreshTheme(): void {
    this.#widget?.refreshTheme();
  }
}
