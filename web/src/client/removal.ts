/**
 * Why the relay takes this device no more: what signed entries say of it, where they can still be read.
 *
 * A refusal is the relay's word. The removal of a device is signed: by the account's identity in the key log, by another
 * own device in a sphere's log. What this device has verified before counts, and logs of public spheres can be read
 * without signing in. Without such an entry the refusal is told as what it is. Spec: CLT-038.
 */

import { AuthFailed, CheckFailed, DeviceRevoked, RelayError, Unreachable, VersionTooOld } from "../errors.ts";
import * as entries from "../protocol/entry.ts";
import type { Entry } from "../protocol/entry.ts";
import { verifyEd25519 } from "../protocol/jws.ts";
import { author as authorOf } from "../protocol/state.ts";
import { type Context, now, replica, session as signIn } from "./context.ts";
import * as memory from "./memory.ts";
import { type Note, type Replica, known } from "./replica.ts";
import { meta, setMeta } from "./store.ts";

/** Meta: since when the relay refuses this device without a signed reason. */
export const SHUT_OUT = "shutOut";
const PAGES = 20;

/** A fresh device session. Throws DeviceRevoked when a signed entry says so, AuthFailed when only the relay does. */
export async function session(ctx: Context): Promise<string> {
  try {
    const token = await signIn(ctx);
    if ((await meta(ctx.store, SHUT_OUT)) !== undefined) await ctx.store.step(async (tx) => setMeta(tx, SHUT_OUT, undefined));
    return token;
  } catch (error) {
    if (!(error instanceof AuthFailed)) throw error;
    if (await proven(ctx)) throw new DeviceRevoked("this device was removed from the account");
    await ctx.store.step(async (tx) => setMeta(tx, SHUT_OUT, now(ctx)));
    throw error;
  }
}

/** Whether a verified entry removes this device; what is found is kept. */
async function proven(ctx: Context): Promise<boolean> {
  if ((await memory.revoked(ctx.store)).has(ctx.dv)) return true;
  for (const [sph, note] of await ctx.store.list<Note>("sphere")) {
    if (note.status !== "active") continue;
    const rep = await replica(ctx, String(sph));
    if (rep.state?.mode !== "public" || !(await shown(ctx, rep))) continue;
    await ctx.store.step(async (tx) => {
      setMeta(tx, "revoked", [...new Set([...(await memory.revoked(tx)), ctx.dv])].sort());
    });
    return true;
  }
  return false;
}

/** Whether the log of a public sphere shows the removal after the own head. */
async function shown(ctx: Context, rep: Replica): Promise<boolean> {
  let start = known(rep).history.seq;
  try {
    for (let page = 0; page < PAGES; page += 1) {
      const found = (await ctx.relay.publicLog(rep.sph, start)).entries.map(entries.decode);
      for (const one of found) if (await removes(ctx, rep, one)) return true;
      const last = found.at(-1)?.seq ?? start;
      if (last <= start) return false;
      start = last;
    }
  } catch (error) {
    const passing = [RelayError, Unreachable, CheckFailed, VersionTooOld].some((kind) => error instanceof kind);
    if (!passing) throw error;
  }
  return false;
}

/** The entry alone proves itself, as in CLT-030: signed by another device of this account, active in the last state held. */
async function removes(ctx: Context, rep: Replica, one: Entry): Promise<boolean> {
  const { state } = known(rep);
  const author = authorOf(state, one.kid);
  if (one.sph !== state.sph || one.seq <= state.seq || author?.id !== ctx.id || one.kid === ctx.dv) return false;
  try {
    await verifyEd25519(one.envelope, state.devices.get(one.kid)!.dk);
    return one.op === "device" && one.body["act"] === "revoke" && one.body["dv"] === ctx.dv;
  } catch (error) {
    if (error instanceof CheckFailed) return false;
    throw error;
  }
}
