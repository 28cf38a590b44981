/**
 * The flow's secret: it arrives in the address's fragment, which browsers send to nobody, is taken out of the
 * address at once, and lives in memory. The tab's storage keeps a copy so that a reload works; where storage is
 * forbidden (third-party frames, private windows) only the reload is lost.
 */

const PREFIX = "make-bridge:secret:";

function fromStorage(flowId: string): string | null {
  try {
    return sessionStorage.getItem(PREFIX + flowId);
  } catch {
    return null;
  }
}

function toStorage(flowId: string, secret: string): void {
  try {
    sessionStorage.setItem(PREFIX + flowId, secret);
  } catch {
    // See above: then a reload asks for the link again.
  }
}

export function flowIdOf(path: string): string | null {
  const id = /\/flow\/([^/]+)\/?$/.exec(path)?.[1];
  return id ? decodeURIComponent(id) : null;
}

/** A request for credentials is another kind of link, to the same page. */
export function handOverIdOf(path: string): string | null {
  const id = /\/hand-over\/([^/]+)\/?$/.exec(path)?.[1];
  return id ? decodeURIComponent(id) : null;
}

export function takeSecret(flowId: string): string | null {
  const fresh = location.hash.slice(1);
  if (!fresh) return fromStorage(flowId);
  history.replaceState(history.state, "", location.pathname + location.search);
  toStorage(flowId, fresh);
  return fresh;
}

/** Another flow in this place: its address becomes the page's, its secret is kept like the one before. */
export function followTo(publicUrl: string): { flowId: string; secret: string } | null {
  const address = new URL(publicUrl, location.href);
  const flowId = flowIdOf(address.pathname);
  const secret = address.hash.slice(1);
  if (!flowId || !secret) return null;
  history.replaceState(history.state, "", address.pathname + location.search);
  toStorage(flowId, secret);
  return { flowId, secret };
}

/** After the last page nothing needs it any more. */
export function dropSecret(flowId: string): void {
  try {
    sessionStorage.removeItem(PREFIX + flowId);
  } catch {
    // Then there was none.
  }
}
