/**
 * Leaves out of the worker what the table of operations says for readers; programs read the rest (ROLE-001).
 */

import type { Plugin } from "vite";

const FILE = "/src/cloister/protocol/roles.json";
const PROSE: readonly string[] = ["about", "words", "fields", "needs", "then"];

/** The table without its prose; every other member as it is, in its order. */
export function terse(table: string): string {
  const read = JSON.parse(table) as { readonly ops: Record<string, object> };
  const without = (row: object): object => Object.fromEntries(Object.entries(row).filter(([name]) => !PROSE.includes(name)));
  const ops = Object.fromEntries(Object.entries(read.ops).map(([op, row]) => [op, without(row)]));
  return JSON.stringify({ ...without(read), ops });
}

export function tersed(): Plugin {
  return {
    name: "cloister-table",
    enforce: "pre",
    transform(code, id) {
      return id.split("?")[0]!.endsWith(FILE) ? { code: terse(code), map: null } : undefined;
    },
  };
}
