/**
 * Where the page is. The address is the only truth; a link that could not be shown yet stays in it until it can.
 *
 * An invitation is read once and at once taken out of the address and this entry of the history; until it is used it
 * lives in this variable only. Spec: WEB-022, WEB-023.
 */

import { arrival, href, isLink, parse } from "../router.ts";
import type { Route } from "../router.ts";

export const at = $state<{ route: Route; link: string; wanted: string }>({ route: { name: "home" }, link: "", wanted: "" });

/** The place the page has: what of `window` this needs. */
export interface Place {
  readonly location: Pick<Location, "pathname" | "hash" | "href">;
  readonly history: Pick<History, "replaceState">;
}

/** Reads the address the page came by; an invitation leaves it before anything else happens. */
export function arrive(place: Place = window): void {
  const { link, instead } = arrival(place.location);
  if (link !== "") at.link = link;
  if (instead !== undefined) place.history.replaceState(null, "", instead);
  at.route = parse(place.location.hash);
}

/** Follows the address; returns what ends it. */
export function follow(): () => void {
  const turned = (): void => {
    if (isLink(location.pathname, location.hash)) arrive();
    else at.route = parse(location.hash);
  };
  addEventListener("hashchange", turned);
  return () => removeEventListener("hashchange", turned);
}

export function go(to: Route | string, how: "push" | "replace" = "push"): void {
  const fragment = typeof to === "string" ? to : href(to);
  if (how === "replace") history.replaceState(null, "", fragment);
  else if (location.hash !== fragment) history.pushState(null, "", fragment);
  at.route = parse(fragment);
}

/** The invitation is used, or given up. */
export function dropLink(): void {
  at.link = "";
}
