/**
 * Proof of a fork: a second valid continuation from a common position. Spec: LOG-024.
 */

import { LogFork } from "../errors.ts";
import { b64e } from "./encoding.ts";
import { decode } from "./entry.ts";
import type { History } from "./history.ts";
import * as machine from "./machine.ts";
import type { SphereState } from "./state.ts";

/** All states of a log from entry 0. */
export async function replay(entries: readonly string[], attachments: ReadonlyMap<string, string>): Promise<SphereState[]> {
  const states: SphereState[] = [];
  for (const compact of entries) {
    const entry = decode(compact);
    const last = states.at(-1);
    states.push(last === undefined ? await machine.genesis(entry) : await machine.apply(last, entry, attachments));
  }
  return states;
}

/**
 * Follow a rival chain from `common`. Throws LogFork when it is valid and holds another entry where this log has one,
 * and what applying throws when it is not valid. Gives the state after its last entry otherwise.
 */
export async function prove(
  mine: History,
  common: SphereState,
  rival: readonly string[],
  attachments: ReadonlyMap<string, string>,
): Promise<SphereState> {
  let state = common;
  let differs: number | undefined;
  for (const compact of rival) {
    state = await machine.apply(state, decode(compact), attachments);
    if (state.seq <= mine.seq && b64e(mine.digest(state.seq)) !== b64e(state.digest)) differs ??= state.seq;
  }
  if (differs !== undefined) throw new LogFork("LOG-024", { data: { seq: differs } });
  return state;
}
