/** What the console offers to whom. The server decides; this only leaves out what it would refuse. */

import type { Session } from "../wire";

/** Keys and tokens are the organization's. */
export function mayChange({ permissions }: Session): boolean {
  return permissions.includes("*") || permissions.includes("organizations:write");
}
