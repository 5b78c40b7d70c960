/**
 * What the service worker does with a request: the page from the network or else as it was kept, listed files as kept,
 * everything else untouched. Knows paths; the address after `#` is never read. Spec: WEB-014.
 */

/** What a build says of itself: a name that changes with any file, and the digest of each. */
export interface Build {
  readonly name: string;
  readonly files: Readonly<Record<string, string>>;
}

/** Addresses that show the page. */
const PAGES = ["/", "/j", "/p"];
export const PAGE = "/";
const PREFIX = "cloister-files-";

export const cacheName = (build: Build): string => PREFIX + build.name;

/** Kept by an earlier build of this application. */
export const isStale = (name: string, build: Build): boolean => name.startsWith(PREFIX) && name !== cacheName(build);

/** What is fetched when a build is installed: address and the digest it must have. */
export function precache({ files }: Build): { path: string; integrity: string }[] {
  return Object.entries(files).map(([path, integrity]) => ({ path: path === "index.html" ? PAGE : `/${path}`, integrity }));
}

/** `page`: network first. `file`: as kept. undefined: not ours, above all nothing of the API. */
export function kindOf(
  request: { readonly method: string; readonly mode: string; readonly origin: string; readonly path: string },
  own: string,
  { files }: Build,
): "page" | "file" | undefined {
  const { method, mode, origin, path } = request;
  if (method !== "GET" || origin !== own) return undefined;
  if (mode === "navigate") return PAGES.includes(path) ? "page" : undefined;
  return path.startsWith("/assets/") && Object.hasOwn(files, path.slice(1)) ? "file" : undefined;
}
