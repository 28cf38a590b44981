/** The wizard's icons: strokes in the text's colour, hidden from screen readers because words stand beside them. */

import type { ReactNode } from "react";

const PATHS = {
  check: "M5 12.5l4.5 4.5L19 7.5",
  warn: "M12 8v5M12 16.5v.01M10.3 4.2 2.9 17a2 2 0 0 0 1.7 3h14.8a2 2 0 0 0 1.7-3L13.7 4.2a2 2 0 0 0-3.4 0z",
  info: "M12 11v5.5M12 7.5v.01M12 3.5a8.5 8.5 0 1 0 0 17 8.5 8.5 0 0 0 0-17z",
  plus: "M12 5v14M5 12h14",
  remove: "M6 6l12 12M18 6L6 18",
  back: "M14.5 6l-6 6 6 6",
  copy: "M9 9h10v11H9zM15 9V4H5v11h4",
  insert: "M4 7h10M4 12h6M4 17h6M17 11v8M13 15h8",
  cloud: "M7 18.5a4.5 4.5 0 0 1-.5-9 6 6 0 0 1 11.4 1.6A3.8 3.8 0 0 1 17.5 18.5zM12 12v3M12 16.6v.01",
  clock: "M12 7v5l3.5 2M12 3.5a8.5 8.5 0 1 0 0 17 8.5 8.5 0 0 0 0-17z",
} as const;

export type GlyphName = keyof typeof PATHS;

export function Glyph({ name, size = 18 }: { name: GlyphName; size?: number }): ReactNode {
  return (
    <svg className="glyph" width={size} height={size} viewBox="0 0 24 24" aria-hidden="true" focusable="false">
      <path d={PATHS[name]} />
    </svg>
  );
}
