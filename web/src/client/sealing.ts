/**
 * Values as sealed records: plain data to text, text under the store key, bound to its table and key.
 *
 * Plain data: what JSON carries, with bytes, maps and sets. A record moved to another place, or altered, does not open.
 * Spec: VLT-007, WEB-010.
 */

import { type Bytes, type Rng, aeadKey, aeadOpen, aeadSeal, concat } from "../crypto.ts";
import { VaultError } from "../errors.ts";
import { b64d, b64e, lp } from "../protocol/encoding.ts";
import type { Key } from "./store.ts";

const NONCE = 12;
const utf8 = new TextEncoder();
const text = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });
/** Begins the only member of an object that stands for bytes, a map, a set, or an object with such a member of its own. */
const MARK = "\u0000";

function tagged(this: unknown, _: string, value: unknown): unknown {
  if (typeof value !== "object" || value === null) return value;
  if (value instanceof Uint8Array) return { [`${MARK}b`]: b64e(value) };
  if (value instanceof Map) return { [`${MARK}m`]: [...value] };
  if (value instanceof Set) return { [`${MARK}s`]: [...value] };
  for (const name in value) if (name.startsWith(MARK)) return { [`${MARK}o`]: Object.entries(value) };
  return value;
}

function untagged(_: string, value: unknown): unknown {
  if (typeof value !== "object" || value === null) return value;
  const { [`${MARK}b`]: bytes, [`${MARK}m`]: map, [`${MARK}s`]: set, [`${MARK}o`]: object } = value as Record<string, unknown>;
  if (typeof bytes === "string") return b64d(bytes);
  if (Array.isArray(map)) return new Map(map as [unknown, unknown][]);
  if (Array.isArray(set)) return new Set(set as unknown[]);
  if (Array.isArray(object)) return Object.fromEntries(object as [string, unknown][]);
  return value;
}

/** A value as text; what it holds later does not change the text. */
export function freeze(value: unknown): string {
  return JSON.stringify(value, tagged);
}

/** A value of its own from that text. */
export function thaw(frozen: string): unknown {
  return frozen.includes("\\u0000") ? JSON.parse(frozen, untagged) : JSON.parse(frozen);
}

export interface Seal {
  seal(table: string, key: Key, frozen: string): Promise<Bytes>;
  /** Throws VaultError. */
  open(table: string, key: Key, box: Uint8Array): Promise<unknown>;
}

/** Sealing under the store key; the key is imported once and not extractable. */
export async function sealer(key: Uint8Array, rng: Rng): Promise<Seal> {
  const held = await aeadKey(key);
  const aad = (table: string, at: Key): Bytes => lp("store", table, JSON.stringify(at));
  return {
    seal: async (table, at, frozen) => {
      const nonce = rng(NONCE);
      return concat(nonce, await aeadSeal(held, nonce, utf8.encode(frozen), aad(table, at)));
    },
    open: async (table, at, box) => {
      try {
        return thaw(text.decode(await aeadOpen(held, box.subarray(0, NONCE), box.subarray(NONCE), aad(table, at))));
      } catch {
        throw new VaultError("a record of the store is damaged", { data: { table } });
      }
    },
  };
}
