/**
 * Delivery in the background: one runner per sphere sends what waits, woken by new items, by the connection, by keys.
 *
 * Whoever writes waits for the store only. A runner ends when nothing more can be done now; whatever stays lies in the
 * outbox, so a reload loses nothing, and the next wake, the next round or the next start goes on (CLT-010). Trouble
 * stands on the items; a relay that asks for patience is tried again by itself after growing pauses, or after the
 * time it asks for.
 *
 * Spec: CLT-014, CLT-016, CLT-064, WEB-041.
 */

import { CloisterError } from "../errors.ts";
import type { Context } from "./context.ts";
import * as queue from "./queue.ts";
import * as syncing from "./syncing.ts";

const PATIENT = ["E_BUSY", "E_RATE", "E_INTERNAL"];
const FIRST_PAUSE = 1;
const LONGEST_PAUSE = 60;
/** No relay is waited for longer than this. */
const LONGEST_ASKED = 300;

interface State {
  /** Somebody woke it since its last look. */
  again: boolean;
  /** Ends a pause. */
  nudge: () => void;
}

interface Runner {
  readonly state: State;
  readonly done: Promise<void>;
}

const runners = new WeakMap<Context, Map<string, Runner>>();

function of(ctx: Context): Map<string, Runner> {
  const found = runners.get(ctx) ?? new Map<string, Runner>();
  runners.set(ctx, found);
  return found;
}

/** See to it that what waits in a sphere is sent; never throws and never waits. */
export function wake(ctx: Context, sph: string): void {
  const mine = of(ctx);
  const running = mine.get(sph);
  if (running !== undefined) {
    running.state.again = true;
    running.state.nudge();
    return;
  }
  const state: State = { again: false, nudge: () => {} };
  mine.set(sph, { state, done: run(ctx, sph, state) });
}

/** When every runner has come to its end: before a store is closed. */
export async function idle(ctx: Context): Promise<void> {
  const mine = of(ctx);
  while (mine.size > 0) await Promise.all([...mine.values()].map((one) => one.done));
}

async function run(ctx: Context, sph: string, state: State): Promise<void> {
  let pause = FIRST_PAUSE;
  try {
    do {
      state.again = false;
      const sent = await syncing.deliver(ctx, sph, syncing.tally());
      if (sent > 0) pause = FIRST_PAUSE;
      const first = await queue.next(ctx.store, sph);
      if (!state.again && first !== undefined && first.state !== "held" && PATIENT.includes(first.code)) {
        const woken = new Promise<void>((done) => (state.nudge = done));
        const asked = Math.min(LONGEST_ASKED, first.patience ?? 0);
        // What the relay asks for is waited out, whatever wakes; the own pause beyond it is not.
        if (asked > 0) await ctx.pause(asked);
        else await Promise.race([woken, ctx.pause(pause * (1 - ctx.rng(1)[0]! / 510))]);
        pause = Math.min(LONGEST_PAUSE, pause * 2);
        state.again = true;
      }
    } while (state.again);
  } catch (error) {
    // Locked meanwhile, or the disk is full: what waits is safe in the store and is seen to at the next wake.
    if (!(error instanceof CloisterError)) throw error;
  } finally {
    // In the same breath as the last look at `again`, so that no wake is lost.
    of(ctx).delete(sph);
  }
}
