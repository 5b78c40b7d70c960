/**
 * A switch of mode is answered once by a person, not once by each of his devices (CLT-042).
 *
 * The answer is a setting of the account, bound to the entry that made the switch: it is no answer to a later one. As
 * `src/cloister/client/modes.py`.
 */

import { b64e } from "../protocol/encoding.ts";
import * as announce from "./announce.ts";
import { type Context, replica } from "./context.ts";
import * as memory from "./memory.ts";
import { type Replica, known, saveNote } from "./replica.ts";

/** Take an answer that another device of the account gave, or give the own one on; as the sphere's writer. */
export async function exchange(ctx: Context, sph: string): Promise<void> {
  const rep = await replica(ctx, sph);
  const { mode, modeAt } = known(rep).state;
  if (mode === "e2ee" || modeAt === 0) return;
  const name = `mode.${sph}`;
  const given = ((await memory.setting(ctx, name)) ?? { seq: 0 }) as { seq: number };
  if (announce.seenMode(rep) === mode) {
    if (given.seq < modeAt) await memory.setSetting(ctx, name, answer(rep));
    return;
  }
  if (JSON.stringify(given) !== JSON.stringify(answer(rep))) return;
  await ctx.store.step(async (tx) => {
    const held = await replica(ctx, sph, tx);
    announce.accept(held, mode);
    saveNote(tx, held);
  });
}

function answer(rep: Replica): { h: string; mode: string; seq: number } {
  const { state, history } = known(rep);
  return { h: b64e(history.digest(state.modeAt)), mode: state.mode, seq: state.modeAt };
}
