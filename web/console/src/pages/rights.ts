/** What the console offers to whom. The server decides; this only leaves out what it would refuse. */

import { PLACES } from "../places";
import type { Session } from "../wire";

type Place = (typeof PLACES)[number];

/** The pages that say something to this person. */
export function placesFor({ permissions }: Session): Place[] {
  return PLACES.filter(
    (place) => !("needs" in place) || permissions.includes("*") || permissions.includes(place.needs),
  );
}

/** Keys and tokens are the organization's. */
export function mayChange({ permissions }: Session): boolean {
  return permissions.includes("*") || permissions.includes("organizations:write");
}
