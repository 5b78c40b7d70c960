/**
 * Digits people compare: safety numbers of two identities, codes of a log's head. Spec: DIG-001 to DIG-003.
 */

import { FormatError } from "../errors.ts";
import { kdf, lp } from "./encoding.ts";
import { raw } from "./ids.ts";

const NONE = new Uint8Array(0);

/** Five digits for each five bytes, groups joined by a space (DIG-001). */
export function digits(data: Uint8Array): string {
  const groups: string[] = [];
  for (let at = 0; at + 5 <= data.length; at += 5) {
    const value = data.subarray(at, at + 5).reduce((sum, byte) => sum * 256 + byte, 0);
    groups.push(String(value % 100_000).padStart(5, "0"));
  }
  return groups.join(" ");
}

/** 60 digits of two identities, the same on both sides (DIG-002). Throws FormatError. */
export function safetyNumber(one: string, other: string): string {
  for (const id of [one, other]) if (!id.startsWith("id-") || raw(id).length !== 32) throw new FormatError("DIG-002");
  const [lo, hi] = one < other ? [one, other] : [other, one];
  return digits(kdf(lp(lo, hi), NONE, "sas", NONE, 60));
}

/** 30 digits of a log entry's digest (DIG-003). Throws FormatError. */
export function headCode(digest: Uint8Array): string {
  if (digest.length !== 32) throw new FormatError("DIG-003");
  return digits(kdf(digest, NONE, "head", NONE, 30));
}
