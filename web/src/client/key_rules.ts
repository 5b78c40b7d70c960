/**
 * Which epoch keys this device needs, and which a device may have. Spec: CLT-017, SHR-006.
 */

import { epochNumber } from "../protocol/state.ts";
import * as share from "../sphere/share.ts";
import type { Context } from "./context.ts";
import type { MessageRow } from "./message_row.ts";
import * as organisation from "./organisation.ts";
import { type Replica, known } from "./replica.ts";
import type { Reader } from "./store.ts";

/** Epochs of rows here that wait for their key. */
export async function unreadable(from: Reader, sph: string): Promise<number[]> {
  const found: number[] = [];
  for (let n = 0; ; n = found.at(-1)! + 1) {
    const range = { prefix: [sph, "unreadable"], from: [sph, "unreadable", n], limit: 1 };
    const row = (await from.by<MessageRow>("message", "state", range))[0]?.[1];
    if (row === undefined) return found;
    found.push(row.ep);
  }
}

/**
 * Epochs whose key is needed here: of rows that cannot be read, of older ones the policy gives, and the running one.
 * Newest first.
 */
export async function missing(ctx: Context, rep: Replica): Promise<number[]> {
  if (rep.state === undefined || rep.note.status !== "active") return [];
  const wanted = new Set(await unreadable(ctx.store, rep.sph));
  const running = epochNumber(rep.state);
  if (running > 0) wanted.add(running);
  for (const n of organisation.lacking(rep)) wanted.add(n);
  const lacking = [...wanted].filter((n) => !rep.keys.has(n));
  if (lacking.length === 0) return [];
  const given = granted(rep, ctx.dv);
  return lacking.filter((n) => given.has(n)).sort((one, other) => other - one);
}

/** The epochs that the history policy gives an active device without a person's word (SHR-006, CLT-017). */
export function granted(rep: Replica, dv: string): Set<number> {
  const { state, history } = known(rep);
  const device = state.devices.get(dv);
  return new Set(device === undefined ? [] : share.granted(history, device.owner, dv));
}
