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

export function takeSecret(flowId: string): string | null {
  const fresh = location.hash.slice(1);
  if (!fresh) return fromStorage(flowId);
  history.replaceState(history.state, "", location.pathname + location.search);
  toStorage(flowId, fresh);
  return fresh;
}

/** After the last page nothing needs it any more. */
export function dropSecret(flowId: string): void {
  try {
    sessionStorage.removeItem(PREFIX + flowId);
  } catch {
    // Then there was none.
  }
}
