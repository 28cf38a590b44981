/** Opens the window a wizard is shown in. The other place, a frame, belongs to the widget's own dialog. */

import type { Place } from "./setup";

const WIDTH = 600;
const HEIGHT = 780;

/** Opens a blank window at once, inside the click; null when the browser refuses. */
export function openWindow(name: string, words: string): Place | null {
  const left = Math.max(0, Math.round(screenX + (outerWidth - WIDTH) / 2));
  const top = Math.max(0, Math.round(screenY + (outerHeight - HEIGHT) / 2));
  const opened = window.open("", name, `popup,width=${WIDTH},height=${HEIGHT},left=${left},top=${top}`);
  if (!opened) return null;
  try {
    opened.document.title = words;
    opened.document.body.textContent = words;
  } catch {
    // A window of this name may already show the wizard, which is another origin: then there is nothing to write.
  }
  return {
    kind: "window",
    show(url) {
      opened.location.replace(url);
      opened.focus();
    },
    closed: () => opened.closed,
    close: () => opened.close(),
    isSource: (source) => source === opened,
  };
}
