/** The pages of the console and the one that the address names. */

import { useSyncExternalStore } from "react";

/** `needs` is the permission without which the page would hold nothing but a refusal. */
export const PLACES = [
  { path: "/console/keys", title: "Portal keys" },
  { path: "/console/tokens", title: "API tokens" },
  { path: "/console/members", title: "Members", needs: "members:read" },
  { path: "/console/sessions", title: "My sessions" },
  { path: "/console/password", title: "My password" },
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
