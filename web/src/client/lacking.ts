/**
 * Which messages stay missing after everything the relay has was read. Whoever may hold them is asked by `resend.ts`, which
 * is loaded when there is something to ask for. Spec: CLT-052.
 */

import { Forbidden, RelayError, part } from "../errors.ts";
import { ascending } from "../protocol/state.ts";
import { EMPTY, gaps } from "../sphere/chains.ts";
import { type Context, now } from "./context.ts";
import * as heads from "./heads.ts";
import * as intake from "./intake.ts";
import type { MessageRow } from "./message_row.ts";
import { type Note, type Replica, known } from "./replica.ts";
import type { Reader } from "./store.ts";

/** Numbers in one question, which is the most a letter holds. */
export const MAX_SEQS = 256;

/** What was asked about one chain: when last, how often, up to which number, and whom. */
export interface Asked {
  at: number;
  n: number;
  top: number;
  of: string[];
}

export type Notes = Note & {
  resend?: Record<string, Asked>;
  resent?: Record<string, { at: number; n: number }>;
  lacks?: boolean;
  lacksNext?: number;
  gappy?: string[];
};

/**
 * What is missing of each device's chain and may be asked for: the newest numbers, at most 256 of each.
 *
 * Gaps that retention does not explain, ends that a checkpoint names, and frames whose signature failed.
 */
export async function wanted(ctx: Context, rep: Replica, from: Reader = ctx.store): Promise<Map<string, number[]>> {
  const { state } = known(rep);
  const ends = heads.shortOf(rep);
  const held = await intake.chains(from, rep.sph);
  const found = new Map<string, Set<number>>();
  for (const dv of new Set([...held.keys(), ...ends.keys()])) {
    if (dv === ctx.dv) continue;
    const ranges = gaps(held.get(dv) ?? EMPTY, state.policy, now(ctx), ends.get(dv) ?? 0).filter((one) => !one.silent);
    const numbers = new Set<number>();
    for (const { first, last } of ranges.reverse().slice(0, MAX_SEQS)) {
      for (let n = Math.max(first, last - MAX_SEQS + 1); n <= last; n += 1) numbers.add(n);
    }
    if (numbers.size > 0) found.set(dv, numbers);
  }
  const bounds = { prefix: [rep.sph, "quarantined"], reverse: true, limit: MAX_SEQS };
  const rows = await from.by<MessageRow>("message", "state", bounds);
  for (const [, { dv, seq, code }] of rows) {
    if (code === "C_SIG" && dv !== ctx.dv && state.devices.has(dv)) found.set(dv, (found.get(dv) ?? new Set()).add(seq));
  }
  const newest = (numbers: Set<number>): number[] => [...numbers].sort((one, other) => other - one).slice(0, MAX_SEQS);
  return new Map([...found].sort(([one], [other]) => ascending(one, other)).map(([dv, numbers]) => [dv, newest(numbers)]));
}

/** Ask about what stays missing after everything the relay has was read; a refusal waits for the next round. */
export async function heal(ctx: Context, rep: Replica): Promise<void> {
  if (rep.state === undefined || rep.note.status !== "active") return;
  const { resend, lacks } = rep.note as Notes;
  // With nothing missing and nothing asked for, the part that asks is not needed.
  if (resend === undefined && lacks === undefined && (await wanted(ctx, rep)).size === 0) return;
  try {
    const { ask } = await part(import("./resend.ts"));
    await ask(ctx, rep);
  } catch (error) {
    if (!(error instanceof Forbidden || error instanceof RelayError)) throw error;
  }
}

/** Whether something was missing when last looked at, and may be asked for again now. */
export function due(ctx: Context, rep: Replica): boolean {
  const { lacks, gappy = [], lacksNext = 0 } = rep.note as Notes;
  return (lacks === true || gappy.length > 0) && now(ctx) >= lacksNext;
}
