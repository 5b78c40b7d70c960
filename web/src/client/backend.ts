/**
 * Where sealed rows lie: the browser's database, or memory. Knows order and durability; sees no content.
 *
 * Keys are ordered as IndexedDB orders them: numbers, then texts by code unit, then tuples part by part.
 */

import type { Bytes } from "../crypto.ts";
import type { Key, Range } from "./store.ts";
import type { Table } from "./tables.ts";

export type Part = string | number;
/** A key, or an end of a range: the empty tuple as last part comes after every number and text. */
export type Bound = Part | readonly (Part | readonly [])[];

export interface Span {
  readonly low: Bound | undefined;
  readonly high: Bound | undefined;
  readonly reverse: boolean;
  readonly limit: number | undefined;
}

export interface Stored {
  readonly key: Key;
  readonly box: Bytes;
  readonly indexes: Readonly<Record<string, readonly Part[]>>;
}

export type Found = Stored;

export interface Backend {
  get(table: Table, key: Key): Promise<Stored | undefined>;
  /** Rows in the order of the keys or of an index. */
  range(table: Table, index: string | undefined, bounds: Span): Promise<readonly Found[]>;
  count(table: Table, index: string | undefined, bounds: Span): Promise<number>;
  /** All of it durably, or nothing. Throws DiskTrouble. */
  write(puts: readonly (readonly [Table, Stored])[], drops: readonly (readonly [Table, Key])[]): Promise<void>;
  /** Drop every row of every table. */
  clear(): Promise<void>;
  close(): Promise<void>;
}

const AFTER: readonly [] = [];

/** The ends of a range: a tuple as upper end has all below it. */
export function span(range: Range): Span {
  const { prefix, from, to, reverse = false, limit } = range;
  const below = (end: Key): Bound => (typeof end === "object" ? [...end, AFTER] : end);
  const last = typeof prefix === "string" ? `${prefix}\uffff` : prefix === undefined ? undefined : below(prefix);
  return { low: from ?? prefix, high: to === undefined ? last : below(to), reverse, limit };
}

function rank(value: Part | readonly []): number {
  return typeof value === "number" ? 0 : typeof value === "string" ? 1 : 2;
}

function compareParts(one: Part | readonly [], other: Part | readonly []): number {
  if (rank(one) !== rank(other)) return rank(one) - rank(other);
  if (rank(one) === 2) return 0;
  return one < other ? -1 : one > other ? 1 : 0;
}

export function compare(one: Bound, other: Bound): number {
  if (typeof one !== "object" || typeof other !== "object") {
    if (typeof one === "object" || typeof other === "object") return typeof one === "object" ? 1 : -1;
    return compareParts(one, other);
  }
  for (let at = 0; at < Math.min(one.length, other.length); at += 1) {
    const order = compareParts(one[at]!, other[at]!);
    if (order !== 0) return order;
  }
  return one.length - other.length;
}

export function same(one: Bound, other: Bound | undefined): boolean {
  return other !== undefined && compare(one, other) === 0;
}

/** Whether a place lies in a range. */
export function within(at: Bound | undefined, { low, high }: Span): boolean {
  if (at === undefined) return false;
  return (low === undefined || compare(at, low) >= 0) && (high === undefined || compare(at, high) <= 0);
}
