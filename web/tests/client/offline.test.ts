/**
 * What the service worker keeps and answers, and the list the build puts into it (WEB-014). The browser itself plays it in
 * `tests/browser/test_offline.py`.
 */

import { describe, expect, test } from "vitest";

import { cacheName, isStale, kindOf, precache } from "../../src/client/offline.ts";
import { listed } from "../../tools/offline.ts";

const FILES = { "index.html": { integrity: "sha384-a" }, "assets/index-1.js": { integrity: "sha384-b" }, "service-worker.js": { integrity: "sha384-c" } };
const built = (files: Record<string, { integrity: string }>): string =>
  /JSON\.parse\((".*")\)/.exec(listed('const build = JSON.parse("@build@");', files))![1]!;
const build = JSON.parse(JSON.parse(built(FILES)) as string);
const OWN = "https://cloister.example";

const ask = (path: string, more: { method?: string; mode?: string; origin?: string } = {}): string | undefined =>
  kindOf({ method: "GET", mode: "cors", origin: OWN, path, ...more }, OWN, build);

describe("the list", () => {
  test("holds every file but the service worker, and its name changes with any of them", () => {
    expect(precache(build)).toEqual([
      { path: "/", integrity: "sha384-a" }, { path: "/assets/index-1.js", integrity: "sha384-b" },
    ]);
    const other = JSON.parse(JSON.parse(built({ ...FILES, "index.html": { integrity: "sha384-x" } })) as string);
    expect(other.name).not.toBe(build.name);
    expect(isStale(cacheName(other), build)).toBe(true);
    expect([isStale(cacheName(build), build), isStale("of-somebody-else", build)]).toEqual([false, false]);
  });

  test("a script without a place for it stops the build", () => {
    expect(() => listed("const build = {};", FILES)).toThrow("no place");
  });
});

describe("requests", () => {
  test("the page and listed files are answered", () => {
    for (const path of ["/", "/j", "/p"]) expect(ask(path, { mode: "navigate" })).toBe("page");
    expect(ask("/assets/index-1.js")).toBe("file");
  });

  test("nothing else: not the API, not another origin, not what changes something, not what is not listed", () => {
    for (const path of ["/v1/account", "/v1/spheres/x/items", "/healthz", "/files.json", "/service-worker.js", "/assets/other.js",
      "/assets/__proto__"]) expect(ask(path)).toBeUndefined();
    expect(ask("/v1/openapi.json", { mode: "navigate" })).toBeUndefined();
    expect(ask("/", { mode: "navigate", method: "POST" })).toBeUndefined();
    expect(ask("/assets/index-1.js", { origin: "https://elsewhere.example" })).toBeUndefined();
  });
});
