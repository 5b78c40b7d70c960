/**
 * Ada and Bo at a real relay, in a fresh sphere for every case; their wires and clocks are true again after it.
 */

import { afterAll, afterEach, beforeAll } from "vitest";

import * as inbox from "../../src/client/inbox.ts";
import * as keys from "../../src/client/keys.ts";
import { cursor, move } from "../../src/client/store.ts";
import { type TestRelay, startRelay } from "../relay.ts";
import { type Member, clear, signUp, together } from "./members.ts";

export interface Pair {
  readonly relay: TestRelay;
  readonly ada: Member;
  readonly bo: Member;
  readonly sph: string;
}

/** Call once in a file; what it answers makes the sphere of the next case. */
export function pair(): () => Promise<Pair> {
  let relay: TestRelay;
  let ada: Member;
  let bo: Member;
  beforeAll(async () => {
    relay = await startRelay();
    ada = await signUp(relay, "ada");
    bo = await signUp(relay, "bo");
  });
  afterEach(async () => {
    for (const one of [ada, bo]) {
      one.wire.fate = () => "sent";
      one.wire.alter = (_, answer) => answer;
      one.skew = 0;
    }
    await clear(ada, bo);
  });
  afterAll(() => relay.stop());
  return async () => ({ relay, ada, bo, sph: await together("Harbour", ada, bo) });
}

/** A letter of one device put into another's hands without the relay. */
export async function hand(from: Member, to: Member, sph: string, k: string, members: Record<string, unknown>): Promise<void> {
  const jws = await keys.letter(from.ctx, sph, k, members as Parameters<typeof keys.letter>[3]);
  const at = await cursor(to.ctx.store, inbox.STREAM);
  await inbox.take(to.ctx, { pos: at + 1, k: "p2p", sph, jws });
  await to.ctx.store.step(async (tx) => move(tx, inbox.STREAM, at));
}
