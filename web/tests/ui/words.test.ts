/**
 * The catalogue of the page: every id the page uses has a text, no text is left over, all keep one voice, arguments are
 * filled and isolated, and a longer language changes words only. Rules: ERR-003, WEB-021.
 */

import { readFileSync, readdirSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

import { afterEach, describe, expect, test } from "vitest";

import { PSEUDO } from "../../src/ui/pseudo.ts";
import { CATALOGUE, cut, isolated, pieces, say, size, useLocale } from "../../src/ui/words.ts";
import { kept } from "../../tools/words.ts";

const WEB = join(dirname(fileURLToPath(import.meta.url)), "../..");
const OWN = JSON.parse(readFileSync(join(WEB, "../src/cloister/words_app.json"), "utf8")) as Record<string, unknown>;
const FILES = readdirSync(join(WEB, "src/ui"), { recursive: true, encoding: "utf8" }).filter((name) => /\.(svelte|ts)$/.test(name));
const SOURCE = FILES.map((name) => readFileSync(join(WEB, "src/ui", name), "utf8")).join("\n");
const FORBIDDEN = /\b(please|oops|sorry|invalid|illegal|unable to decrypt|failed to decrypt|epoch|ciphertext|custody|relay)\b|!/i;

/** Texts, and families of them whose last part is data: `health.${name}`. */
const LITERAL = new Set([...SOURCE.matchAll(/"([a-z][\w-]*(?:\.[\w-]+)+)"/gi)].map((found) => found[1]!));
const FAMILY = [...SOURCE.matchAll(/`([a-z][\w-]*\.[\w.-]*)\$\{/gi)].map((found) => found[1]!);
const OF_STATE = ["evicted.", "other-tab.", "failed.", "unsupported.", "welcome."];

function texts(entry: unknown): string[] {
  if (typeof entry === "string") return [entry];
  return Object.values(entry as Record<string, string | string[]>).flat();
}

afterEach(() => useLocale(undefined));

describe("the catalogue", () => {
  test("every id in the source has a text, and the page carries it", () => {
    const said = [...SOURCE.matchAll(/\b(?:say|pieces)\(\s*"([^"]+)"|<Words id="([^"]+)"/g)].map((found) => found[1] ?? found[2]!);
    expect(said.length).toBeGreaterThan(100);
    expect(said.filter((id) => !(id in CATALOGUE))).toEqual([]);
    expect(said.filter((id) => !(id in OWN) && !kept(id))).toEqual([]);
  });

  test("no text is left over", () => {
    const used = (id: string): boolean => LITERAL.has(id) || [...FAMILY, ...OF_STATE].some((start) => id.startsWith(start)) || id.startsWith("app.");
    expect(Object.keys(OWN).filter((id) => !used(id))).toEqual([]);
  });

  test("control: an id nobody uses is noticed", () => {
    expect(LITERAL.has("setup.create")).toBe(true);
    expect(LITERAL.has("nobody.asks")).toBe(false);
  });

  test.each(Object.entries(OWN))("%s keeps the voice", (_id, entry) => {
    for (const text of texts(entry)) {
      expect(text).not.toMatch(FORBIDDEN);
      expect(text).toBe(text.trim());
      expect(text).not.toContain("  ");
    }
    if (typeof entry === "object" && entry !== null && "of" in entry) expect(Object.keys(entry)).toEqual(["of", "one", "other"]);
    else if (typeof entry === "object" && entry !== null) {
      const { why, next, you, actions } = entry as { why: string; next: string; you: string; actions: string[] };
      for (const part of [why, next, you]) expect(part).toMatch(/[.}]$/);
      expect(actions.length).toBeLessThanOrEqual(2);

    }
  });
});

describe("arguments", () => {
  test("are filled, with plurals and grouped numbers", () => {
    expect(say("offline.waiting", { n: 1 })).toBe("One message waits here, encrypted, and goes when you are back.");
    expect(say("offline.waiting", { n: 1240 })).toContain("1,240 messages");
    expect(() => say("offline.waiting", {})).toThrow();
    expect(() => say("nobody.asks")).toThrow();
  });

  test("from somebody else cannot turn the line", () => {
    expect(isolated("Ada")).toBe("Ada");
    expect(isolated("نور")).toBe("\u2068نور\u2069");
    expect(isolated("ad\u202ea")).toBe("\u2068ada\u2069");
    expect(say("lock.who", { login: "\u2067x", device: "y" })).toBe("\u2068x\u2069 · y");
  });

  test("are not templates themselves", () => {
    expect(say("lock.who", { login: "{device}", device: "y" })).toBe("{device} · y");
    expect(cut("a {{b}} {c}")).toEqual([{ text: "a " }, { text: "{" }, { text: "b" }, { text: "}" }, { text: " " }, { name: "c" }]);
  });

  test("sizes", () => {
    expect([0, 999, 1000, 2_100_000, 1_400_000_000].map(size)).toEqual(["0 bytes", "999 bytes", "1.0 KB", "2.1 MB", "1.4 GB"]);
  });
});

describe("another language", () => {
  test("is two fifths longer and keeps its arguments", () => {
    const plain = say("setup.title");
    useLocale(PSEUDO);
    expect(say("setup.title").length).toBeGreaterThanOrEqual(Math.floor(plain.length * 1.4));
    expect(pieces("lock.who", { login: "a", device: "b" }).filter((one) => "name" in one)).toHaveLength(2);
  });
});
