/**
 * The rules of a sphere as people choose them. Pure. The log's policy is ROLE-017's; times there are seconds and days.
 */

import type { Policy } from "../../protocol/state.ts";
import { say } from "../words.ts";

export const DAY = 86_400;
/** What newcomers read. */
export const HISTORIES: readonly string[] = ["all", "since-join", "days:30", "none"];
/** How old a key gets, seconds. */
export const PERIODS: readonly number[] = [DAY, 7 * DAY, 30 * DAY, 0];
/** How long messages stay, days. */
export const KEEPS: readonly number[] = [0, 7, 30, 90, 365];

/** A history rule and what it means for a newcomer. */
export function historyName(history: string): { readonly label: string; readonly hint: string } {
  const [kind, days] = history.split(":");
  const name = kind === "days" ? "days" : history;
  return { label: say(`history.${name}`, { n: Number(days ?? 0) }), hint: say(`history-means.${name}`) };
}

/** The members that differ. */
export function changed(now: Policy, wanted: Policy): Partial<Policy> {
  const differ = Object.entries(wanted).filter(([name, value]) => now[name as keyof Policy] !== value);
  return Object.fromEntries(differ) as Partial<Policy>;
}
