/**
 * Tells the page that opened the wizard to look again. Hints only: what happened is in the server's flow row, and
 * no value, id of a connection or secret leaves this page. A message goes to the exact origin that sent the
 * customer here, or nowhere.
 */

import type { FlowHint } from "../../src/api";

/** The host page's origin as the browser recorded it; null when it was withheld. */
export function originOf(referrer: string): string | null {
  try {
    const { origin, protocol } = new URL(referrer);
    return protocol === "http:" || protocol === "https:" ? origin : null;
  } catch {
    return null;
  }
}

/** Without an opener (a window it lost, a link) a page of the same origin may still be listening on the channel. */
export function sendHint(hint: FlowHint): void {
  const origin = hostOrigin();
  const target = window.parent === window ? (window.opener as Window | null) : window.parent;
  if (origin && target) {
    target.postMessage(hint, origin);
    return;
  }
  try {
    const channel = new BroadcastChannel("make-bridge");
    channel.postMessage(hint);
    channel.close();
  } catch {
    // The opener asks the server anyway.
  }
}

/** Where the wizard is shown: a frame's host is known to the browser also when the page hides where it is. */
function hostOrigin(): string | null {
  const framedBy = isFramed() ? (location.ancestorOrigins?.[0] ?? "") : "";
  return originOf(document.referrer) ?? originOf(framedBy);
}

/** Closes the window, or asks the page around the frame to; elsewhere it cannot. */
export function closeSelf(flow: string): void {
  if (isFramed()) sendHint({ type: "make-bridge:close", flow });
  else window.close();
}

export function canClose(): boolean {
  return isFramed() || isPopUp();
}

export function isFramed(): boolean {
  return window.parent !== window;
}

export function isPopUp(): boolean {
  return !isFramed() && window.opener !== null;
}

/** Only web addresses: a flow must not be able to send the customer to `javascript:` or `data:`. */
export function webAddress(address: string | null): string | null {
  if (!address) return null;
  try {
    const { protocol, href } = new URL(address);
    return protocol === "http:" || protocol === "https:" ? href : null;
  } catch {
    return null;
  }
}
