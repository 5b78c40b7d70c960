/**
 * Which card stands where the composer was, and what it offers. Pure. Spec: WEB-063.
 */

import type { Stop } from "../../client/records.ts";
import type { Values } from "../words.ts";

export interface StopWords {
  /** A fault of the catalogue. */
  readonly code: string;
  readonly values: Values;
}

/** Stops that end once the history shown holds again what was seen, and somebody says so. */
const HEALS: readonly string[] = ["C_LOG_ROLLBACK", "C_LOG_INVALID", "E_VERSION"];

/** The words of a stop. The name of a changed person stands before the colon of its detail. */
export function stopWords(stop: Stop): StopWords {
  if (stop.code === "C_KEY_CHANGED") {
    const name = stop.detail.slice(0, Math.max(0, stop.detail.lastIndexOf(":")));
    return name === "" ? { code: "C_KEY_CHANGED", values: {} } : { code: "stop.key-changed", values: { name } };
  }
  if (stop.acknowledgeable && HEALS.includes(stop.code)) return { code: "stop.healed", values: {} };
  return { code: stop.code, values: {} };
}

/** Whether there is something to hand to somebody else. */
export function hasEvidence(stop: Stop): boolean {
  return stop.code.startsWith("C_LOG_");
}
