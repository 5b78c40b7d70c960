/**
 * Keeps the application's files, so that it starts without network. Written to `/service-worker.js` by the build, which
 * puts in the list of files with their digests; a file with another digest is not kept.
 *
 * Keeps nothing of the API and nothing that was asked for while running; asks by path alone, so that what stands behind
 * `#` in an address (an invitation) goes nowhere. Spec: WEB-014.
 */

import { type Build, PAGE, cacheName, isStale, kindOf, precache } from "./client/offline.ts";

interface Extended {
  waitUntil(work: Promise<unknown>): void;
}

interface Fetched extends Extended {
  readonly request: Request;
  respondWith(answer: Promise<Response>): void;
}

interface Scope {
  readonly location: { readonly origin: string };
  addEventListener(kind: "install" | "activate", ear: (event: Extended) => void): void;
  addEventListener(kind: "fetch", ear: (event: Fetched) => void): void;
}

/** Put in by the build. */
const build = JSON.parse("@build@") as Build;
/** Milliseconds after which the kept page is shown. */
const PATIENCE = 4000;

const scope = globalThis as unknown as Scope;
const { origin: own } = scope.location;

async function install(): Promise<void> {
  const kept = await caches.open(cacheName(build));
  await Promise.all(precache(build).map(async ({ path, integrity }) => {
    await kept.put(path, await fetch(path, { integrity, cache: "no-cache", credentials: "omit" }));
  }));
}

async function activate(): Promise<void> {
  for (const name of await caches.keys()) if (isStale(name, build)) await caches.delete(name);
}

async function keptOr(path: string, otherwise: () => Promise<Response>): Promise<Response> {
  const kept = await caches.open(cacheName(build));
  return (await kept.match(path)) ?? otherwise();
}

async function page(path: string): Promise<Response> {
  const stop = new AbortController();
  const timer = setTimeout(() => stop.abort(), PATIENCE);
  try {
    const answer = await fetch(path, { credentials: "omit", redirect: "error", signal: stop.signal });
    // A proxy whose relay is away: the page as it was kept says so better.
    return answer.status < 500 ? answer : await keptOr(PAGE, async () => answer);
  } catch {
    return keptOr(PAGE, async () => Response.error());
  } finally {
    clearTimeout(timer);
  }
}

scope.addEventListener("install", (event) => event.waitUntil(install()));
scope.addEventListener("activate", (event) => event.waitUntil(activate()));
scope.addEventListener("fetch", (event) => {
  const { method, mode, url } = event.request;
  const { origin, pathname: path } = new URL(url);
  const kind = kindOf({ method, mode, origin, path }, own, build);
  if (kind === "page") event.respondWith(page(path));
  else if (kind === "file") event.respondWith(keptOr(path, () => fetch(path, { credentials: "omit" })));
});
