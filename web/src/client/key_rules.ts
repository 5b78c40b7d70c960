/**
 * Which epoch keys this device needs, and which a device may have. Spec: CLT-017.
 */

import * as entries from "../protocol/entry.ts";
import { epochNumber } from "../protocol/state.ts";
import { type Context, now } from "./context.ts";
import type { MessageRow } from "./message_row.ts";
import type { EntryRow } from "./notices.ts";
import { type Replica, known } from "./replica.ts";
import type { Reader } from "./store.ts";

const DAY = 86_400;

/** Epochs of which rows wait that cannot be read. */
async function unreadable(from: Reader, sph: string): Promise<number[]> {
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
  const found: number[] = [];
  for (const n of wanted) if (!rep.keys.has(n) && (await permitted(ctx, rep, ctx.dv, n))) found.push(n);
  return found.sort((one, other) => other - one);
}

/** Whether the history policy gives epoch `n` to the active device `dv` (EPO history rule, CLT-017). */
export async function permitted(ctx: Context, rep: Replica, dv: string, n: number): Promise<boolean> {
  const { state, history } = known(rep);
  const device = state.devices.get(dv);
  if (device?.status !== "active" || n < 1 || n > epochNumber(state)) return false;
  const began = history.epoch(n).seq;
  const policy = state.policy.history;
  if (policy === "all") return true;
  if (policy === "none") return history.active(dv, began);
  // A member's history begins with the entry that admitted it; devices added later see as far.
  const own = state.members.get(device.owner)!.devices.map((one) => state.devices.get(one)!);
  const since = Math.min(...own.filter((one) => one.status !== "left").map((one) => one.since));
  if (began > since || history.active(dv, began)) return true;
  if (!policy.startsWith("days:")) return false;
  const row = await ctx.store.get<EntryRow>("entry", [rep.sph, since]);
  const admitted = row === undefined ? now(ctx) : entries.decode(row.jws).iat;
  return n < epochNumber(state) && history.epoch(n + 1).iat >= admitted - Number(policy.slice("days:".length)) * DAY;
}
