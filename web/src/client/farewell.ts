/**
 * Learning of one's own removal without having seen what came before it.
 *
 * A removed member may read the log no more, so entries it had not fetched stay unseen and the removal cannot be chained
 * to its own head. The entry alone still proves itself: signed by a device that is active in the last state held, whose
 * owner may remove this member, or by another own device that left for all. Anything less is the relay's word only, and
 * changes nothing. Spec: CLT-030.
 */

import { CheckFailed, VersionTooOld } from "../errors.ts";
import type { Entry } from "../protocol/entry.ts";
import { verifyEd25519 } from "../protocol/jws.ts";
import { rowOf } from "../protocol/roles.ts";
import { type SphereState, author as authorOf } from "../protocol/state.ts";
import type { Context } from "./context.ts";
import * as people from "./people.ts";
import { type Replica, known, saveNote } from "./replica.ts";
import { type Tx, setMeta } from "./store.ts";

const LOWER = ["member", "guest"];

/** Whether one of these entries proves the removal; then the sphere's status says so, in the caller's step. */
export async function take(ctx: Context, rep: Replica, shown: readonly Entry[], tx: Tx): Promise<boolean> {
  const { state } = known(rep);
  for (const one of shown) {
    if (one.sph !== state.sph || one.seq <= state.seq + 1) continue;
    const how = await ends(state, one, ctx.id);
    if (how === undefined) continue;
    rep.note.status = how;
    saveNote(tx, rep);
    setMeta(tx, "stateDirty", true);
    const by = await people.nameOf(tx, state, state.devices.get(one.kid)!.owner);
    tx.events.push({ event: "Removed", sph: rep.sph, by });
    return true;
  }
  return false;
}

/** What an entry proves of this member. */
async function ends(state: SphereState, one: Entry, me: string): Promise<"removed" | "left" | undefined> {
  const author = authorOf(state, one.kid);
  const mine = state.members.get(me);
  if (author === undefined || mine === undefined) return undefined;
  try {
    await verifyEd25519(one.envelope, state.devices.get(one.kid)!.dk);
    const row = rowOf(one.op, one.body);
    if (author.id === me) return row.op === "leave" ? "left" : undefined;
    if (row.op !== "remove" || one.body["id"] !== me) return undefined;
    const word = row.may[author.role];
    return word === "yes" || (word === "below" && LOWER.includes(mine.role)) ? "removed" : undefined;
  } catch (error) {
    if (error instanceof CheckFailed || error instanceof VersionTooOld) return undefined;
    throw error;
  }
}
