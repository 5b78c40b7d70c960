/**
 * Times as people read them. Takes unix seconds and the present moment; reads no clock by itself.
 */

import { say } from "./words.ts";

const CLOCK = new Intl.DateTimeFormat("en-GB", { hour: "2-digit", minute: "2-digit" });
const WEEKDAY = new Intl.DateTimeFormat("en", { weekday: "long" });
const DAY = new Intl.DateTimeFormat("en-GB", { day: "numeric", month: "long" });
const SHORT = new Intl.DateTimeFormat("en-GB", { day: "numeric", month: "short" });
const YEAR = new Intl.DateTimeFormat("en-GB", { day: "numeric", month: "long", year: "numeric" });
const DATE = new Intl.DateTimeFormat("en-CA", { year: "numeric", month: "2-digit", day: "2-digit" });

const DAYS = 86400;
const MINUTE = 60;
/** Days begin at a quarter of an hour everywhere. */
const QUARTER = 900;
const MOST = 10_000;

/** Formats one moment of each step of time once: thousands of rows ask for the same ones. */
function remembered(format: Intl.DateTimeFormat, step: number): (at: number) => string {
  const known = new Map<number, string>();
  return (at) => {
    const n = Math.floor(at / step);
    const found = known.get(n) ?? format.format(at * 1000);
    if (known.size >= MOST) known.clear();
    known.set(n, found);
    return found;
  };
}

/** 09:12 */
export const clock = remembered(CLOCK, MINUTE);

/** 2026-11-21, local; two moments are of one day when these are equal. */
export const date = remembered(DATE, QUARTER);

/** For the attribute of a time element. */
export function machine(at: number): string {
  return `${date(at)}T${clock(at)}`;
}

/** A heading between days: Today, Yesterday, Tuesday, 4 May, 4 May 2024. */
export function day(at: number, now: number): string {
  if (date(at) === date(now)) return say("time.day-today");
  if (date(at) === date(now - DAYS)) return say("time.day-yesterday");
  if (now - at < 6 * DAYS && at < now) return WEEKDAY.format(at * 1000);
  return date(at).slice(0, 4) === date(now).slice(0, 4) ? DAY.format(at * 1000) : YEAR.format(at * 1000);
}

/** In a list: now, 5 min, 09:12, Tuesday, 4 May. */
export function brief(at: number, now: number): string {
  const past = now - at;
  if (past >= 0 && past < 60) return say("time.now");
  if (past >= 0 && past < 3600) return say("time.minutes", { n: Math.floor(past / 60) });
  if (date(at) === date(now)) return clock(at);
  if (past >= 0 && past < 6 * DAYS) return WEEKDAY.format(at * 1000).slice(0, 3);
  return date(at).slice(0, 4) === date(now).slice(0, 4) ? SHORT.format(at * 1000) : YEAR.format(at * 1000);
}

/** Within a sentence: today 10:02, tomorrow 10:02, Friday 10:02, 4 May. */
export function until(at: number, now: number): string {
  if (date(at) === date(now)) return `${say("time.today")} ${clock(at)}`;
  if (date(at) === date(now + DAYS)) return `${say("time.tomorrow")} ${clock(at)}`;
  if (at > now && at - now < 6 * DAYS) return `${WEEKDAY.format(at * 1000)} ${clock(at)}`;
  return date(at).slice(0, 4) === date(now).slice(0, 4) ? DAY.format(at * 1000) : YEAR.format(at * 1000);
}
