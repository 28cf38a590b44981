/**
 * Keeps the ids of this tab's unfinished flows, so that a reload of the host page does not lose one. Ids only: a
 * secret is never stored. Where storage is forbidden (frames, private windows) nothing is kept.
 */

export interface FlowMemory {
  all(): Map<number, string>;
  remember(template: number, flow: string): void;
  forget(template: number): void;
}

/** For what a reload need not take up again. */
export const noMemory: FlowMemory = { all: () => new Map(), remember: () => {}, forget: () => {} };

export function tabMemory(base: string): FlowMemory {
  const key = `make-bridge:flows:${base}`;
  const all = (): Map<number, string> => {
    try {
      return new Map(JSON.parse(sessionStorage.getItem(key) ?? "[]") as [number, string][]);
    } catch {
      return new Map();
    }
  };
  const store = (flows: Map<number, string>): void => {
    try {
      sessionStorage.setItem(key, JSON.stringify([...flows]));
    } catch {
      // Then a reload forgets; the flow itself is kept by the server.
    }
  };
  return {
    all,
    remember: (template, flow) => store(all().set(template, flow)),
    forget: (template) => {
      const flows = all();
      if (flows.delete(template)) store(flows);
    },
  };
}
