/**
 * Pages put together: older and newer ones, the end read again, one row that changed. Pure; keys are never there twice.
 */

import type { Message, Row } from "../../client/records.ts";

/** The relay's position of a row; 0 for texts that wait, and for gaps, which stand at that of the row behind them. */
export function posOf(row: Row): number {
  return row.row === "message" ? row.message.pos : row.row === "notice" ? row.notice.pos : 0;
}

export function isWaiting(row: Row): boolean {
  return row.row === "message" && row.message.state === "waiting";
}

/** The position to ask for what is older than these. */
export function firstPos(rows: readonly Row[]): number | undefined {
  return rows.map(posOf).find((pos) => pos > 0);
}

/** The position to ask for what is newer than these. */
export function lastPos(rows: readonly Row[]): number | undefined {
  return rows.map(posOf).findLast((pos) => pos > 0);
}

function without(rows: readonly Row[], others: readonly Row[]): Row[] {
  const keys = new Set(others.map((row) => row.key));
  return rows.filter((row) => !keys.has(row.key));
}

export function withOlder(rows: readonly Row[], page: readonly Row[]): readonly Row[] {
  return page.length === 0 ? rows : [...without(page, rows), ...rows];
}

/** What follows the last row with a position, read anew: texts that waited are where they belong now, or gone. */
export function withNewer(rows: readonly Row[], page: readonly Row[]): readonly Row[] {
  const end = rows.findLastIndex((row) => posOf(row) > 0) + 1;
  const kept = without(rows.slice(0, end), page.filter((row) => posOf(row) > 0));
  const keys = new Set(kept.map((row) => row.key));
  return [...kept, ...page.filter((row) => !keys.has(row.key))];
}

/** Where the last `count` rows with a position begin: the position to read again from, so that what came late is in its place. */
export function tailPos(rows: readonly Row[], count: number): number {
  const placed = rows.map(posOf).filter((pos) => pos > 0);
  return placed[placed.length - 1 - count] ?? Math.max(0, (placed[0] ?? 1) - 1);
}

/** Everything after position `after`, read anew: late rows in their places, texts that waited where they belong, or gone. */
export function withTail(rows: readonly Row[], after: number, page: readonly Row[]): readonly Row[] {
  const kept = without(rows.slice(0, rows.findLastIndex((row) => posOf(row) > 0 && posOf(row) <= after) + 1), page);
  return [...kept, ...page];
}

/** A row as it is now; without it the row of that key goes. */
export function withRow(rows: readonly Row[], key: string, row: Row | undefined): readonly Row[] {
  const at = rows.findIndex((one) => one.key === key);
  if (at < 0) return rows;
  return row === undefined ? rows.toSpliced(at, 1) : rows.with(at, row);
}

/** A text just written, at the end, unless it is there already. */
export function withWritten(rows: readonly Row[], message: Message): readonly Row[] {
  if (rows.some((row) => row.key === message.cid)) return rows;
  return [...rows, { row: "message", key: message.cid, message, comments: 0, unreadComments: 0 }];
}

/** The row of a message by its mid. */
export function keyOf(rows: readonly Row[], mid: string): string | undefined {
  return rows.find((row) => row.row === "message" && row.message.mid === mid)?.key;
}
