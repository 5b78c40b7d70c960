/**
 * What a grid-v2 conversation is made of, as plain data with a form for an encrypted store.
 *
 * Spec: GRID-050, GRID-053, GRID-054.
 */

import type { Bytes } from "../crypto.ts";
import { FormatError } from "../errors.ts";
import { b64d, b64e } from "../protocol/encoding.ts";
import { type Jwk, identityId } from "../protocol/ids.ts";
import { shape } from "../protocol/shape.ts";
import { CONTENTS, INVITE, TYPS } from "./envelope.ts";
import * as places from "./places.ts";
import * as ratchets from "./ratchet.ts";

/** Places whose H(SI) is kept. */
export const REMEMBERED = 1000;
const LIMIT = TYPS.get(INVITE)!.limit;
const HELD = shape({ compact: `text:${LIMIT}`, scalar: "bytes:0-48", left: "int" });
const LINK = shape({ place: "int", h: "bytes:32" });
const THREAD = shape({
  th: "bytes:16",
  me: "jwk",
  them: "jwk",
  invite: `text:${LIMIT}`,
  opening: "bytes:32",
  receipts: "bytes:32",
  ratchet: "object",
  sent: "int",
  links: `list:${REMEMBERED + 1}:object`,
  runs: `list:${places.MAX_RUNS}:object`,
  seen: `list:${REMEMBERED}:object`,
  arrived: "object",
  arrived_at: "int",
  behind: "bool",
  nickname: "text:128",
  relay: "text:512",
});

/**
 * An own invitation: the scalar of its key, empty once it is used up or over, and how many answers it still takes
 * (`left`; 0 with a scalar: any number).
 */
export interface Held {
  readonly compact: string;
  readonly scalar: Bytes;
  readonly left: number;
}

export interface HeldRow {
  compact: string;
  scalar: string;
  left: number;
}

/** Plain JSON values for an encrypted store. */
export function dumpHeld(held: Held): HeldRow {
  return { compact: held.compact, scalar: b64e(held.scalar), left: held.left };
}

/** Inverse of `dumpHeld`. Throws FormatError. */
export function loadHeld(row: unknown): Held {
  HELD(row);
  const { compact, scalar, left } = row as HeldRow;
  return { compact, scalar: b64d(scalar), left };
}

/**
 * What one side holds of the other's chain: everything up to place `up`, whose H(SI) is `h` (base64url), and the
 * stretches `more` above it (GRID-053).
 */
export interface Report {
  readonly up: number;
  readonly h: string;
  readonly more: readonly places.Gap[];
}

/** A stretch of places as it travels. */
export type Stretch = { a: number; b: number };

export type ReportRow = { up: number; h: string; more?: Stretch[] };

/** As it travels. */
export function reportContent({ up, h, more }: Report): ReportRow {
  return more.length === 0 ? { up, h } : { up, h, more: more.map(([a, b]) => ({ a, b })) };
}

/** Inverse of `reportContent`. Throws FormatError, for stretches that do not ascend too. */
export function readReport(value: unknown): Report {
  CONTENTS.report(value);
  const { up, h, more = [] } = value as ReportRow;
  return { up, h, more: readStretches(more, up + 2) };
}

/** Stretches as they travel: each from `least`, or after the one before it. Throws FormatError. */
export function readStretches(rows: readonly Stretch[], least: number): places.Gap[] {
  let from = least;
  return rows.map((one) => {
    CONTENTS.stretch(one);
    if (one.a < from || one.b < one.a) throw new FormatError("stretches ascend");
    from = one.b + 1;
    return [one.a, one.b];
  });
}

/** Whether a report says that `place` arrived. */
export function reportHas(report: Pick<Report, "up" | "more">, place: number): boolean {
  return place <= report.up || report.more.some(([first, last]) => first <= place && place <= last);
}

/** A place and H(SI) of the token there. */
export interface Link {
  readonly place: number;
  readonly h: string;
}

/**
 * A conversation.
 *
 * `th` is its name; `me` and `them` the signing keys; `invite` the invitation it began with and `opening` H(SI) of its
 * answer (base64url); `receipts` the key of receipts. `sent` is the place of the last own token and `links` those the
 * other has not said to hold, with the last one it has. `runs` is what is held of the other's chain and `seen` the latest
 * of it. `arrived` is the other's newest report, made at `arrivedAt`. `behind`: the other holds own tokens that this
 * state has not written.
 */
export interface Thread {
  readonly th: string;
  readonly me: Jwk;
  readonly them: Jwk;
  readonly invite: string;
  readonly opening: string;
  readonly receipts: Bytes;
  readonly ratchet: ratchets.Ratchet;
  readonly sent: number;
  readonly links: readonly Link[];
  readonly runs: places.Runs;
  readonly seen: readonly Link[];
  readonly arrived: Report;
  readonly arrivedAt: number;
  readonly behind: boolean;
  readonly nickname: string;
  readonly relay: string;
}

/** One's own name. */
export function mine(thread: Thread): string {
  return identityId(thread.me);
}

/** The other's name. */
export function theirs(thread: Thread): string {
  return identityId(thread.them);
}

/** H(SI) that is kept for a place. */
export function linkAt(links: readonly Link[], place: number): string | undefined {
  return links.find((one) => one.place === place)?.h;
}

/** Places of the other's chain that have not come, as [first, last] (GRID-011). */
export function missing(thread: Thread): places.Gap[] {
  return places.gaps(thread.runs);
}

/** Places of the other's chain that do not follow what is held before them (GRID-011). */
export function breaks(thread: Thread): number[] {
  return places.breaks(thread.runs);
}

/** What is held of the other's chain (GRID-053). */
export function reportOf({ runs }: Thread): Report {
  const [{ last: up, h }, ...above] = runs;
  const more: [number, number][] = [];
  for (const { first, last } of above.filter((run) => run.first > up + 1)) {
    const before = more.at(-1);
    if (before !== undefined && before[1] + 1 === first) before[1] = last;
    else more.push([first, last]);
  }
  return { up, h, more: more.slice(0, 64) };
}

export interface ThreadRow {
  th: string;
  me: Jwk;
  them: Jwk;
  invite: string;
  opening: string;
  receipts: string;
  ratchet: ratchets.RatchetRow;
  sent: number;
  links: Link[];
  runs: places.Run[];
  seen: Link[];
  arrived: ReportRow;
  arrived_at: number;
  behind: boolean;
  nickname: string;
  relay: string;
}

/** Plain JSON values for an encrypted store. */
export function dump(thread: Thread): ThreadRow {
  const { arrivedAt, ...plain } = thread;
  return {
    ...plain,
    receipts: b64e(thread.receipts),
    ratchet: ratchets.dump(thread.ratchet),
    links: [...thread.links],
    runs: places.dump(thread.runs),
    seen: [...thread.seen],
    arrived: reportContent(thread.arrived),
    arrived_at: arrivedAt,
  };
}

/** Inverse of `dump`. Throws FormatError. */
export function load(value: unknown): Thread {
  THREAD(value);
  const { arrived_at: arrivedAt, ...row } = value as ThreadRow;
  [...row.links, ...row.seen].forEach(LINK);
  return {
    ...row,
    receipts: b64d(row.receipts),
    ratchet: ratchets.load(row.ratchet),
    runs: places.load(row.runs),
    arrived: readReport(row.arrived),
    arrivedAt,
  };
}
