/**
 * A password made here: groups of letters and digits that cannot be mistaken for one another.
 */

import type { Rng } from "../crypto.ts";

/** 31 characters, none of which looks like another. */
const LETTERS = "abcdefghjkmnpqrstuvwxyz23456789";
const GROUPS = 5;
const LENGTH = 4;

/** Twenty characters in groups of four, about 99 bits. */
export function freshPassword(rng: Rng): string {
  const out: string[] = [];
  while (out.length < GROUPS * LENGTH) {
    // Bytes from 31 × 8 on would make some letters likelier.
    for (const byte of rng(32)) if (byte < 248 && out.length < GROUPS * LENGTH) out.push(LETTERS[byte % 31]!);
  }
  return Array.from({ length: GROUPS }, (_, at) => out.slice(at * LENGTH, (at + 1) * LENGTH).join("")).join("-");
}
