/**
 * Spheres of an organisation: their keys come from the organisation's, not from shares.
 *
 * Whoever was in it when its key m was made can derive every key that names m, also somebody who was removed from the
 * sphere alone: that is the price, and it is said beside the sphere. So the sphere follows the organisation: a new key
 * there brings a new one here before the next word. Knows both logs; asks nobody. Spec: EPO-004, CLT-062.
 */

import { CheckFailed, NotFound, UsageError } from "../errors.ts";
import { epochNumber, isMember } from "../protocol/state.ts";
import { type EpochKey, check, deriveOrg } from "../sphere/epoch.ts";
import { type Context, replica } from "./context.ts";
import * as expiry from "./expiry.ts";
import { type Note, type Replica, known, saveNote, sendingKey, statusOf } from "./replica.ts";

/** Of an organisation: keys that its spheres lack. Of a sphere: its epoch that named a key the organisation has not. */
type Notes = Note & { lacking?: Record<string, number[]>; beyond?: number };

/** The organisation of a sphere, if it has one and this device knows its log. */
export async function of(ctx: Context, rep: Replica): Promise<Replica | undefined> {
  const sph = rep.state?.org ?? "";
  if (sph === "") return undefined;
  try {
    const found = await replica(ctx, sph);
    return found.state?.kind === "org" ? found : undefined;
  } catch (error) {
    if (error instanceof NotFound) return undefined;
    throw error;
  }
}

/** What the next key of a sphere is derived from: the organisation's running one, if it is here. */
export async function key(ctx: Context, rep: Replica): Promise<EpochKey | undefined> {
  const org = await of(ctx, rep);
  return org === undefined ? undefined : sendingKey(org);
}

/** The running key of an organisation one wants to make a sphere of. Throws NotFound, UsageError. */
export async function requireKey(ctx: Context, sph: string): Promise<EpochKey> {
  const org = await replica(ctx, sph);
  if (org.state?.kind !== "org" || statusOf(org) !== "active") {
    throw new UsageError("that is not an organisation this account is in");
  }
  const found = sendingKey(org);
  if (found === undefined) throw new UsageError("the organisation's key is not here yet");
  return found;
}

/**
 * Keys of a sphere that are not here and can be derived now. What they need of the organisation's keys is noted there, so
 * that they are asked for (CLT-017).
 */
export async function derived(ctx: Context, rep: Replica): Promise<EpochKey[]> {
  const org = await of(ctx, rep);
  if (org === undefined) return [];
  const found: EpochKey[] = [];
  const lacking = new Set<number>();
  for (const one of known(rep).history.epochs()) {
    if (rep.keys.has(one.n) || one.n <= expiry.shredded(rep) || one.m === undefined) continue;
    const root = org.keys.get(one.m);
    if (root === undefined) {
      lacking.add(one.m);
      continue;
    }
    try {
      found.push(check(deriveOrg(root, one.prev, rep.sph, one.n).secret, one, rep.sph));
    } catch (error) {
      // Its author derived it otherwise, so nobody has it: the next one is made anew.
      if (!(error instanceof CheckFailed)) throw error;
    }
  }
  const notes = org.note as Notes;
  const needed = [...lacking].sort((one, other) => one - other);
  if (String(needed) !== String(notes.lacking?.[rep.sph] ?? [])) {
    await ctx.store.step(async (tx) => {
      notes.lacking = { ...notes.lacking, [rep.sph]: needed };
      saveNote(tx, org);
    });
  }
  return found;
}

/** Keys of an organisation that its spheres need on this device. */
export function lacking(rep: Replica): number[] {
  return Object.values((rep.note as Notes).lacking ?? {}).flat();
}

/** Whether a sphere's running epoch names a key that the organisation's log does not have, as far as it was read. */
function beyond(org: Replica, rep: Replica): boolean {
  const m = rep.state?.epoch?.m;
  return m !== undefined && m > epochNumber(known(org).state);
}

/**
 * Whether such an epoch was not answered yet: the relay may hide a part of the organisation's log, or a member may have
 * named a key that does not exist. A new key that the relay takes at the end of that log tells (CLT-062).
 */
export function doubted(org: Replica, rep: Replica): boolean {
  return beyond(org, rep) && (rep.note as Notes).beyond !== epochNumber(known(rep).state);
}

/** The organisation has a new key since a sphere's running epoch named one that it does not have. */
export async function answered(ctx: Context, rep: Replica): Promise<void> {
  await ctx.store.step(async (tx) => {
    (rep.note as Notes).beyond = epochNumber(known(rep).state);
    saveNote(tx, rep);
  });
}

/**
 * Whether the organisation has a newer key than the one a sphere's running key comes from, here or not, or the running key
 * is one that nobody can derive, because its author made it otherwise or from a key that does not exist.
 */
export async function behind(ctx: Context, rep: Replica): Promise<boolean> {
  const org = await of(ctx, rep);
  const m = rep.state?.epoch?.m;
  if (org === undefined || m === undefined) return false;
  if (beyond(org, rep)) return !doubted(org, rep);
  return m < epochNumber(known(org).state) || (org.keys.has(m) && sendingKey(rep) === undefined);
}

/** Nobody is let into a sphere whose key they cannot derive. Throws UsageError. */
export async function requireMember(ctx: Context, rep: Replica, member: string): Promise<void> {
  const org = await of(ctx, rep);
  const found = org?.state?.members.get(member);
  if (org !== undefined && (found === undefined || !isMember(found))) {
    throw new UsageError("they are not in the organisation whose key this sphere uses: let them in there first");
  }
}
