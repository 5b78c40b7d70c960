/**
 * What a reader keeps of each device's chain: runs held without holes, and the gaps between them.
 *
 * Plain values, which a browser's store takes as they are. Spec: RUN-011 to RUN-013.
 */

import type { Policy } from "../protocol/state.ts";

const MOST_RUNS = 1001;
const DAY = 86_400;

/** Messages first … last, each naming the one before. Hashes are base64url. */
export interface Run {
  first: number;
  /** What the first names. */
  ph: string;
  firstLs: number;
  last: number;
  /** H of the last. */
  link: string;
  /** What the last names, and the ls of that one where it is known. */
  under: string;
  underLs: number;
  ls: number;
  tries: number;
  iat: number;
}

export interface Gap {
  first: number;
  last: number;
  /** Retention may have taken it (RUN-013). */
  silent: boolean;
}

export interface Chain {
  runs: readonly Run[];
  /** Up to here nothing is taken any more (RUN-012). */
  floor: number;
}

export const EMPTY: Chain = { runs: [], floor: 0 };

/** Index of the last run that begins at or below `seq`, -1 when there is none. */
export function below(runs: readonly Run[], seq: number): number {
  let [low, high] = [0, runs.length];
  while (low < high) {
    const middle = (low + high) >> 1;
    if (runs[middle]!.first <= seq) low = middle + 1;
    else high = middle;
  }
  return low - 1;
}

function joined(lower: Run, upper: Run): Run {
  const underLs = upper.first === upper.last ? lower.ls : upper.underLs;
  return { ...upper, underLs, first: lower.first, ph: lower.ph, firstLs: lower.firstLs };
}

/** Take the last message off a run; nothing is left of a run of one. */
function withoutTop(run: Run): Run[] {
  if (run.first === run.last) return [];
  const { under, underLs, iat } = run;
  return [{ ...run, last: run.last - 1, link: under, ls: underLs, under: "", underLs: 0, tries: 0, iat }];
}

/** Put one message, a run of its own, into its place; it joins its neighbours where the hashes meet (RUN-011). */
export function insert(runs: Run[], message: Run): void {
  let at = below(runs, message.first);
  if (at >= 0 && runs[at]!.last === message.first) {
    const rest = withoutTop(runs[at]!);
    runs.splice(at, 1, ...rest);
    at += rest.length - 1;
  }
  const lower = runs[at];
  if (lower !== undefined && lower.last === message.first - 1 && lower.link === message.ph) {
    runs[at] = joined(lower, message);
  } else {
    at += 1;
    runs.splice(at, 0, message);
  }
  const [here, upper] = [runs[at]!, runs[at + 1]];
  if (upper?.first === here.last + 1 && upper.ph === here.link) runs.splice(at, 2, joined(here, upper));
}

/** Give up the lowest runs beyond the most that are kept; the new floor (RUN-012). */
export function trim(runs: Run[], floor: number): number {
  const given = runs.splice(0, Math.max(0, runs.length - MOST_RUNS));
  return given.at(-1)?.last ?? floor;
}

/**
 * What is missing below and between the runs, ascending; `policy` is the present one (RUN-012, RUN-013). And behind them,
 * when somebody signed that the chain goes on to `upto` (CLT-037).
 */
export function gaps(chain: Chain, policy: Policy, now: number, upto = 0): Gap[] {
  const found: Gap[] = [];
  let before = { last: chain.floor, iat: 0 };
  const silent = (): boolean => policy.retention > 0 && before.iat <= now - policy.retention * DAY;
  for (const run of chain.runs) {
    if (run.first > before.last + 1) found.push({ first: before.last + 1, last: run.first - 1, silent: silent() });
    before = run;
  }
  if (upto > before.last) found.push({ first: before.last + 1, last: upto, silent: silent() });
  return found;
}
