/**
 * Which places of one side's chain are held: stretches without holes, and what is missing between them.
 *
 * A place is a number that counts one side's tokens of a conversation from 0, its opening. Links are H(SI) as base64url
 * text where a profile has them and empty where it has not. A stretch grows from both ends, so a gap heals in whatever
 * order its parts arrive. Spec: GRID-010, GRID-011.
 */

import { FormatError, Gap as GapError } from "../errors.ts";
import { shape } from "../protocol/shape.ts";

/** How many places above the highest held one may be missing. */
export const MAX_AHEAD = 1000;
export const MAX_RUNS = 1000;
const RUN = shape({ first: "int", ph: "bytes:0|32", last: "int", h: "bytes:0|32" });

/** Places `first` .. `last` are held and linked; `ph` is what the first one names, `h` the last one's H. */
export interface Run {
  readonly first: number;
  readonly ph: string;
  readonly last: number;
  readonly h: string;
}

/** Ascending from place 0; never empty. */
export type Runs = readonly [Run, ...Run[]];
/** First and last place that are missing. */
export type Gap = readonly [first: number, last: number];

/** Only the opening is held; `h` is its H. */
export function start(h = ""): Runs {
  return [{ first: 0, ph: "", last: 0, h }];
}

export const OPENING = start();

/** The highest place held. */
export function last(runs: Runs): number {
  return runs.at(-1)!.last;
}

/** The highest place up to which nothing is missing. */
export function upto(runs: Runs): number {
  return runs[0].last;
}

/** Whether `place` is held. */
export function holds(runs: Runs, place: number): boolean {
  return runs.some((run) => run.first <= place && place <= run.last);
}

/** Throw Gap for a place so far above, or in so many pieces, that it cannot be kept track of (GRID-011). */
export function check(runs: Runs, place: number): void {
  const missing = place - last(runs) - 1;
  if (missing > MAX_AHEAD || runs.length >= MAX_RUNS) {
    throw new GapError("too much is missing before this", { data: { missing } });
  }
}

/** With `place`, which is not held yet. It joins its neighbours where the links meet (GRID-010). */
export function put(runs: Runs, place: number, ph = "", h = ""): Runs {
  const under = runs.filter((run) => run.last < place);
  const over = runs.filter((run) => run.first > place);
  let made: Run = { first: place, ph, last: place, h };
  const [below, above] = [under.at(-1), over[0]];
  if (below !== undefined && meet(below, made)) {
    made = { ...made, first: below.first, ph: below.ph };
    under.pop();
  }
  if (above !== undefined && meet(made, above)) {
    made = { ...made, last: above.last, h: above.h };
    over.shift();
  }
  return [...under, made, ...over] as [Run, ...Run[]];
}

function meet(lower: Run, upper: Run): boolean {
  return lower.last + 1 === upper.first && lower.h === upper.ph;
}

function pairs(runs: readonly Run[]): [lower: Run, upper: Run][] {
  return runs.slice(1).map((upper, at) => [runs[at]!, upper]);
}

/** What is missing below the highest place, as [first, last], ascending (GRID-011). */
export function gaps(runs: Runs): Gap[] {
  const apart = pairs(runs).filter(([lower, upper]) => upper.first > lower.last + 1);
  return apart.map(([lower, upper]) => [lower.last + 1, upper.first - 1]);
}

/** Places whose link does not name the token held before them: the chain was written twice (GRID-011). */
export function breaks(runs: Runs): number[] {
  return pairs(runs).filter(([lower, upper]) => upper.first === lower.last + 1).map(([, upper]) => upper.first);
}

/** Plain JSON values for a store. */
export function dump(runs: Runs): Run[] {
  return runs.map(({ first, ph, last: end, h }) => ({ first, ph, last: end, h }));
}

/** Inverse of `dump`. Throws FormatError unless the runs ascend from place 0. */
export function load(rows: readonly unknown[]): Runs {
  rows.forEach(RUN);
  const runs = dump(rows as unknown as Runs);
  if (runs[0]?.first !== 0 || runs.some((run) => run.last < run.first)) throw new FormatError("runs begin at the opening");
  if (pairs(runs).some(([lower, upper]) => upper.first <= lower.last)) throw new FormatError("runs ascend");
  return runs as [Run, ...Run[]];
}
