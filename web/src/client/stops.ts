/**
 * Persistent stops: reasons for which nothing is sent in a sphere until they are resolved.
 *
 * Five faults stop sending: fork, rollback, invalid log, downgrade, key of a confirmed person changed. An operation of a
 * newer version makes the sphere read-only in the same way until the program is updated. A stop outlives restarts,
 * carries its evidence, and is never lifted by the relay: rollback and invalid log may be acknowledged once the log
 * shown contains what was seen, a changed key and a mode switched by its owner at once, a fork never (CLT-021).
 */

import * as errors from "../errors.ts";
import { CloisterError, UsageError } from "../errors.ts";
import { type Context, now, replica } from "./context.ts";
import { type Replica, saveNote, stopOf } from "./replica.ts";
import type { Tx } from "./store.ts";

const AT_ONCE = ["C_KEY_CHANGED", "C_DOWNGRADE"];
const ONCE_HEALED = ["C_LOG_ROLLBACK", "C_LOG_INVALID", "E_VERSION"];

export type Evidence = Record<string, unknown>;

/**
 * Record a stop; a fork is never replaced by a lesser one. Inside a step give its `tx`: the stop is then recorded when
 * the step has ended, however it ended.
 */
export async function note(ctx: Context, sph: string, error: CloisterError, evidence: Evidence, tx?: Tx): Promise<void> {
  const write = (): Promise<void> =>
    ctx.store.step(async (own) => {
      const rep = await replica(ctx, sph, own);
      if (rep.note.stop?.code === "C_LOG_FORK") return;
      raiseNow(ctx, rep, error.code, error.detail, evidence, own);
    });
  if (tx === undefined) await write();
  else tx.later(write);
}

/** Record a stop inside the caller's step. */
export function raiseNow(ctx: Context, rep: Replica, code: string, detail: string, evidence: Evidence, tx: Tx): void {
  const old = rep.note.stop;
  rep.note.stop = { code, detail, at: now(ctx), acknowledgeable: AT_ONCE.includes(code), data: { evidence } };
  saveNote(tx, rep);
  if (old?.code !== code) tx.events.push({ event: "Stopped", sph: rep.sph, stop: stopOf(rep)! });
}

/** The log shown contains everything seen: a rollback or an invalid log may now be acknowledged. */
export async function settle(ctx: Context, rep: Replica): Promise<void> {
  const stop = rep.note.stop;
  if (stop === undefined || stop.acknowledgeable || !ONCE_HEALED.includes(stop.code)) return;
  await ctx.store.step(async (tx) => {
    rep.note.stop = { ...stop, acknowledgeable: true };
    saveNote(tx, rep);
  });
}

/** Lift a stop. Throws UsageError when there is none of that code or it cannot be lifted. */
export async function acknowledge(ctx: Context, rep: Replica, code: string): Promise<void> {
  const { stop } = rep.note;
  if (stop === undefined || stop.code !== code || !stop.acknowledgeable) throw new UsageError("this stop cannot be lifted");
  await ctx.store.step(async (tx) => {
    delete rep.note.stop;
    saveNote(tx, rep);
  });
}

const KINDS = new Map(
  Object.values(errors)
    .filter((one): one is typeof CloisterError => typeof one === "function" && Object.hasOwn(one, "code"))
    .map((one) => [one.code, one]),
);

/** Throw the stop's own error when there is one (CLT-021). */
export function requireNone(rep: Replica): void {
  const { stop } = rep.note;
  if (stop === undefined) return;
  const Kind = KINDS.get(stop.code) ?? CloisterError;
  throw new Kind(stop.detail);
}
