/**
 * What a visit costs: the page's first JavaScript and styles, as they travel.
 */

import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { gzipSync } from "node:zlib";

import { svelte } from "@sveltejs/vite-plugin-svelte";
import { build } from "vite";
import type { Rolldown } from "vite";
import { beforeAll, expect, test } from "vitest";

import { picked } from "../../tools/words.ts";

const WEB = join(dirname(fileURLToPath(import.meta.url)), "../..");
const KB = 1000;
let files: Map<string, Rolldown.OutputChunk | Rolldown.OutputAsset>;

beforeAll(async () => {
  const made = (await build({
    root: WEB, configFile: false, logLevel: "silent", plugins: [picked(), svelte({ configFile: join(WEB, "svelte.config.js") })],
    worker: { format: "es" }, build: { write: false, target: "es2022", assetsInlineLimit: 0, modulePreload: { polyfill: false } },
  })) as Rolldown.RolldownOutput;
  files = new Map(made.output.map((one) => [one.fileName, one]));
});

/** Bytes on the way for these entries and everything they import at once. */
function weight(...starts: readonly string[]): number {
  const seen = new Set<string>();
  const take = (name: string): void => {
    const one = files.get(name);
    if (one?.type !== "chunk" || seen.has(name)) return;
    seen.add(name);
    one.imports.forEach(take);
  };
  for (const [name, one] of files) if (one.type === "chunk" && starts.includes(one.name)) take(name);
  return [...seen].reduce((sum, name) => sum + gzipSync((files.get(name) as Rolldown.OutputChunk).code).length, 0);
}

test("boot and sign-in: at most 70 kB of JavaScript", () => {
  expect(weight("index")).toBeGreaterThan(20 * KB);
  expect(weight("index")).toBeLessThanOrEqual(70 * KB);
});

test("the first sphere: at most 150 kB of JavaScript", () => {
  const first = weight("index", "Shell", "Inbox", "SphereList", "Sphere", "Thread");
  expect(first).toBeGreaterThan(weight("index"));
  expect(first).toBeLessThanOrEqual(150 * KB);
});

test("all styles: at most 20 kB", () => {
  const styles = [...files.values()].filter((one) => one.fileName.endsWith(".css"));
  expect(styles.length).toBeGreaterThan(0);
  expect(styles.reduce((sum, one) => sum + gzipSync((one as Rolldown.OutputAsset).source).length, 0)).toBeLessThanOrEqual(20 * KB);
});

test("what is not needed at once is not loaded at once", () => {
  const boot = weight("index");
  for (const later of ["Settings", "Admin", "Palette", "People", "Security", "Sphere"]) expect(weight("index", later)).toBeGreaterThan(boot);
});
