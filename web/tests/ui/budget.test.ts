/**
 * What a visit costs: the page's first JavaScript and styles, and its worker's, as they travel.
 */

import { readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { gzipSync } from "node:zlib";

import { svelte } from "@sveltejs/vite-plugin-svelte";
import { build } from "vite";
import type { Rolldown } from "vite";
import { beforeAll, expect, test } from "vitest";

import { terse, tersed } from "../../tools/table.ts";
import { together } from "../../tools/worker.ts";
import { picked } from "../../tools/words.ts";

const WEB = join(dirname(fileURLToPath(import.meta.url)), "../..");
const KB = 1000;
let files: Map<string, Rolldown.OutputChunk | Rolldown.OutputAsset>;

beforeAll(async () => {
  const made = (await build({
    root: WEB, configFile: false, logLevel: "silent", plugins: [picked(), svelte({ configFile: join(WEB, "svelte.config.js") })],
    worker: {
      format: "es", plugins: () => [tersed()], rolldownOptions: { output: { codeSplitting: { groups: [together(WEB)] } } },
    },
    build: { write: false, cssCodeSplit: false, target: "es2022", assetsInlineLimit: 0, modulePreload: { polyfill: false } },
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

test("all styles, in one file: at most 20 kB", () => {
  const styles = [...files.values()].filter((one) => one.fileName.endsWith(".css"));
  expect(styles).toHaveLength(1);
  expect(styles.reduce((sum, one) => sum + gzipSync((one as Rolldown.OutputAsset).source).length, 0)).toBeLessThanOrEqual(20 * KB);
});

test("what is not needed at once is not loaded at once", () => {
  const boot = weight("index");
  for (const later of ["Settings", "Admin", "Palette", "People", "Security", "Sphere"]) expect(weight("index", later)).toBeGreaterThan(boot);
});

/** Bytes on the way of a file of the worker, which the page's build carries as it is. */
function carried(name: string): number {
  const found = [...files.keys()].filter((one) => one.startsWith(`assets/${name}-`) && one.endsWith(".js"));
  expect(found).toHaveLength(1);
  return gzipSync((files.get(found[0]!) as Rolldown.OutputAsset).source).length;
}

test("the worker, in one file, with its password function: at most 120 kB", () => {
  expect(carried("worker")).toBeGreaterThan(50 * KB);
  expect(carried("worker") + carried("argon2")).toBeLessThanOrEqual(120 * KB);
});

test("what a worker does not need at once is not in that file", () => {
  for (const later of ["sphere", "resend", "invited", "acts", "live_transfer", "older", "doctor", "export"]) {
    expect(carried(later)).toBeGreaterThan(0);
  }
});

test("the worker's table of operations lacks what is for readers, and nothing else", () => {
  const table = readFileSync(join(WEB, "../src/cloister/protocol/roles.json"), "utf8");
  const { about, words, fields, ops, ...rest } = JSON.parse(table) as { ops: Record<string, object> } & Record<string, unknown>;
  expect([about, words, fields].every((one) => one !== undefined)).toBe(true);
  const short = JSON.parse(terse(table)) as typeof rest & { ops: Record<string, object> };
  expect({ ...short, ops: {} }).toEqual({ ...rest, ops: {} });
  for (const [op, row] of Object.entries(ops)) {
    const prose = Object.entries(row).filter(([name]) => !(name in short.ops[op]!));
    expect(prose.every(([name, text]) => ["needs", "then"].includes(name) && typeof text === "string")).toBe(true);
    expect(row).toMatchObject(short.ops[op]!);
  }
});
