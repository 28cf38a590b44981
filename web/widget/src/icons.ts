/** The widget's few icons, drawn as strokes in the text's colour; always beside words, so always hidden from readers. */

import { type Branch, h } from "../../src/dom";

const PATHS = {
  available: "M12 5v14M5 12h14",
  "setting-up": "M12 3a9 9 0 1 0 9 9",
  active: "M5 12.5l4.5 4.5L19 7.5",
  paused: "M9 6v12M15 6v12",
  attention: "M12 8v5M12 16.5v.01M10.3 4.2 2.9 17a2 2 0 0 0 1.7 3h14.8a2 2 0 0 0 1.7-3L13.7 4.2a2 2 0 0 0-3.4 0z",
  chevron: "M8 10l4 4 4-4",
  close: "M6 6l12 12M18 6L6 18",
  search: "M11 4a7 7 0 1 0 0 14 7 7 0 0 0 0-14zM16.2 16.2 20 20",
  remove: "M4.5 7h15M9.5 7V4.5h5V7M6.5 7l1 12.5h9l1-12.5M10.3 11v5M13.7 11v5",
  play: "M8 5.5v13l10.5-6.5z",
  settings: "M4 7h9M17.5 7H20M4 17h2.5M11 17h9M13 4.5v5h4.5v-5zM6.5 14.5v5H11v-5z",
  error: "M7 7l10 10M17 7L7 17",
  cloud: "M7 18.5a4.5 4.5 0 0 1-.5-9 6 6 0 0 1 11.4 1.6A3.8 3.8 0 0 1 17.5 18.5zM12 12v3M12 16.6v.01",
  plug: "M9 3v5M15 3v5M6.5 8h11v3a5.5 5.5 0 0 1-11 0zM12 16.5V21",
} as const;

export type IconName = keyof typeof PATHS;

export function icon(name: IconName, className = "icon"): Branch {
  return h(
    "svg",
    { class: className, viewBox: "0 0 24 24", "aria-hidden": "true", focusable: "false" },
    h("path", { d: PATHS[name] }),
  );
}
