/** The pages of the console and the one that the address names. */

import { useSyncExternalStore } from "react";

export const PLACES = [
  { path: "/console/keys", title: "Portal keys" },
  { path: "/console/tokens", title: "API tokens" },
  { path: "/console/sessions", title: "My sessions" },
] as const;

export type Path = (typeof PLACES)[number]["path"];

const MOVED = "console:moved";

export function pathOf(pathname: string): Path {
  return PLACES.find(({ path }) => path === pathname)?.path ?? "/console/keys";
}

export function go(path: Path): void {
  history.pushState(null, "", path);
  dispatchEvent(new Event(MOVED));
}

export function usePath(): Path {
  return useSyncExternalStore(
    (changed) => {
      addEventListener("popstate", changed);
      addEventListener(MOVED, changed);
      return () => {
        removeEventListener("popstate", changed);
        removeEventListener(MOVED, changed);
      };
    },
    () => pathOf(location.pathname),
  );
}
