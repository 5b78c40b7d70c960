/**
 * Which epoch keys this device needs, and which a device may have. Spec: CLT-015, CLT-017, CLT-021, SHR-006.
 */

import { StaleHead } from "../errors.ts";
import { epochNumber } from "../protocol/state.ts";
import * as share from "../sphere/share.ts";
import * as claims from "./claims.ts";
import type { Context } from "./context.ts";
import type { MessageRow } from "./message_row.ts";
import * as organisation from "./organisation.ts";
import { type Replica, known, stopOf } from "./replica.ts";
import * as stops from "./stops.ts";
import type { Reader } from "./store.ts";

/** Seconds after which a question that nobody answered is put to others. */
export const ASK_AGAIN = 600;
/** Shares one device is answered with in ASK_AGAIN seconds: two questions, and none without end. */
export const ANSWERED = 512;

/** What was asked of an epoch: last and first time, and whom. */
export interface Asked {
  at: number;
  first: number;
  of: string[];
}

type Handed = Record<string, { at: number; n: number }>;

/** How many shares each device was answered with in the last ASK_AGAIN seconds, and since when (CLT-017). */
export function handed(rep: Replica, now: number): Handed {
  const rows = Object.entries((rep.note["handed"] as Handed | undefined) ?? {});
  return Object.fromEntries(rows.filter(([, row]) => now - row.at < ASK_AGAIN));
}

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

/**
 * Whether no key goes to a member now: the sphere is stopped, or an entry of its log may be missing here (CLT-015,
 * CLT-021). Own devices are not kept from keys that only this one may have.
 */
export function withheld(ctx: Context, rep: Replica, member: string): boolean {
  return member !== ctx.id && (stopOf(rep) !== undefined || claims.gap(ctx, rep));
}

/** Throw why no key goes to a member now: the sphere's stop, or StaleHead. */
export function requireShown(ctx: Context, rep: Replica, member: string): void {
  if (!withheld(ctx, rep, member)) return;
  stops.requireNone(rep);
  throw new StaleHead("a member has seen an entry that the relay does not show here");
}

/** The epochs that the history policy gives an active device without a person's word (SHR-006, CLT-017). */
export function granted(rep: Replica, dv: string): Set<number> {
  const { state, history } = known(rep);
  const device = state.devices.get(dv);
  return new Set(device === undefined ? [] : share.granted(history, device.owner, dv));
}
