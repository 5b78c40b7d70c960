/**
 * Addresses inside the page: the fragment, so that no path reaches a log and a server, a static site and one file share it.
 *
 * Pure: text to route and back. An invitation's secret is read once from the address it came by and is no route.
 * Spec: WEB-022, WEB-023.
 */

export type SettingsPage = "" | "devices" | "sessions" | "password" | "pin" | "display" | "keys" | "browser";
export type AdminPage = "" | "health" | "people" | "signup";

export type Route =
  | { readonly name: "home" | "missing" | (typeof PLAIN)[number] }
  | { readonly name: "sphere"; readonly sph: string; readonly thread: string; readonly mid: string }
  | { readonly name: "people" | "invite"; readonly sph: string }
  /** A public sphere as anybody reads it; `at` names it and the entry that it is pinned to. */
  | { readonly name: "public"; readonly at: string }
  /** `mid`: the server's view of that message is shown. */
  | { readonly name: "security"; readonly sph: string; readonly mid: string }
  | { readonly name: "settings"; readonly page: SettingsPage }
  | { readonly name: "admin"; readonly page: AdminPage };

const PLAIN = ["welcome", "setup", "signin", "join", "inbox", "spheres", "you", "new"] as const;
const SETTINGS: readonly string[] = ["", "devices", "sessions", "password", "pin", "display", "keys", "browser"];
const ADMIN: readonly string[] = ["", "health", "people", "signup"];
const ID = /^[A-Za-z0-9_-]{1,128}$/;
const PINNED = /^sp-[A-Za-z0-9_-]{1,64}~\d{1,16}~[A-Za-z0-9_-]{1,64}$/;

/** What a fragment (`#/…`) names. Whatever is not understood is `missing`, never an error. */
export function parse(fragment: string): Route {
  const [first = "", ...rest] = fragment.replace(/^#\/?/, "").split("/");
  if (first === "" && rest.length === 0) return { name: "home" };
  if (first === "s") return sphere(rest);
  if (first === "p" && rest.length === 1 && PINNED.test(rest[0]!)) return { name: "public", at: rest[0]! };
  const page = rest.length <= 1 ? (rest[0] ?? "") : undefined;
  if (first === "settings" && page !== undefined && SETTINGS.includes(page)) return { name: first, page: page as SettingsPage };
  if (first === "admin" && page !== undefined && ADMIN.includes(page)) return { name: first, page: page as AdminPage };
  const name = PLAIN.find((one) => one === first);
  return name !== undefined && rest.length === 0 ? { name } : { name: "missing" };
}

function sphere([sph = "", what, one = "", mid = "", ...more]: string[]): Route {
  if (!ID.test(sph) || more.length > 0 || (mid !== "" && what !== "security")) return { name: "missing" };
  if (what === undefined) return { name: "sphere", sph, thread: "", mid: "" };
  if (what === "t" && ID.test(one)) return { name: "sphere", sph, thread: one, mid: "" };
  if (what === "m" && ID.test(one)) return { name: "sphere", sph, thread: "", mid: one };
  if (what === "security" && (one === "" || (one === "seen" && ID.test(mid)))) return { name: "security", sph, mid };
  if ((what === "people" || what === "invite") && one === "") return { name: what, sph };
  return { name: "missing" };
}

/** The fragment of a route, for `href`. */
export function href(route: Route): string {
  switch (route.name) {
    case "home":
    case "missing":
      return "#/";
    case "sphere":
      if (route.thread !== "") return `#/s/${route.sph}/t/${route.thread}`;
      return route.mid === "" ? `#/s/${route.sph}` : `#/s/${route.sph}/m/${route.mid}`;
    case "security":
      return route.mid === "" ? `#/s/${route.sph}/security` : `#/s/${route.sph}/security/seen/${route.mid}`;
    case "public":
      return `#/p/${route.at}`;
    case "people":
    case "invite":
      return `#/s/${route.sph}/${route.name}`;
    case "settings":
    case "admin":
      return route.page === "" ? `#/${route.name}` : `#/${route.name}/${route.page}`;
    default:
      return `#/${route.name}`;
  }
}

/** Routes for people without an account here; all others wait until there is one. */
export function outside(route: Route): boolean {
  return ["welcome", "setup", "signin", "join"].includes(route.name);
}

/** Whether an address is a link: an invitation (/j), whose fragment holds the secret, or for reading (/p), with none. */
export function isLink(path: string, fragment: string): boolean {
  return /^\/[jp]\/?$/.test(path) && fragment.length > 1 && !fragment.startsWith("#/");
}

/** The link by which anybody reads a public sphere, and the part of it that is its place in the page. */
export function publicLink(origin: string, at: string): string {
  return `${origin}/p#${at}`;
}

export interface Address { readonly pathname: string; readonly hash: string; readonly href: string }

/** What an address brings: an invitation, and what is to stand in the address (and this entry of the history) instead. */
export function arrival({ pathname, hash, href: whole }: Address): { readonly link: string; readonly instead?: string } {
  if (pathname.startsWith("/p") && PINNED.test(hash.slice(1))) return { link: "", instead: `/#/p/${hash.slice(1)}` };
  if (isLink(pathname, hash)) return { link: whole, instead: "/#/join" };
  return pathname === "/" ? { link: "" } : { link: "", instead: `/${hash}` };
}
