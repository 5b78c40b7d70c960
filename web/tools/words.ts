/**
 * Leaves out of the page what only the terminal says: words.json is shared, and three quarters of it are commands' texts.
 *
 * Kept: faults by code and the families the page names. A text left out by mistake fails where it is asked for
 * (tests/ui/words.test.ts looks at every id the page uses).
 */

import type { Plugin } from "vite";

export const FAMILIES: readonly string[] = [
  "E_", "C_", "L_", "count.", "known.", "note.ticket", "outbox.", "question.", "status", "time.", "verify.", "word.", "admit.", "show.",
];

export function kept(id: string): boolean {
  return FAMILIES.some((one) => id.startsWith(one));
}

export function picked(): Plugin {
  return {
    name: "cloister-words",
    enforce: "pre",
    transform(code, id) {
      if (!id.split("?")[0]!.endsWith("/src/cloister/words.json")) return undefined;
      const all = JSON.parse(code) as Record<string, unknown>;
      const some = Object.fromEntries(Object.entries(all).filter(([key]) => kept(key)));
      return { code: JSON.stringify(some), map: null };
    },
  };
}
