/**
 * Keys from before the history policy's reach: asked for by a person, handed on by a person.
 *
 * Programs ask and answer by themselves only within the policy (`keys`). What lies beyond it is a wish: its letter looks
 * the same, but it goes to people who may say yes, waits there, and nothing is sent before one of them has said so.
 *
 * As `src/cloister/client/older.py`. Spec: CLT-041.
 */

import { type Device, type SphereState, activeDevices } from "../protocol/state.ts";
import { MODERATORS } from "../sphere/payload.ts";
import { type Context, now } from "./context.ts";
import { granted, unreadable } from "./key_rules.ts";
import * as keys from "./keys.ts";
import * as people from "./people.ts";
import type { KeyWish } from "./records.ts";
import { type Note, type Replica, known, saveNote, statusOf } from "./replica.ts";
import type { Tx } from "./store.ts";

/** Wishes kept at once, the last one of each device. */
const MAX_WISHES = 64;

interface Wish {
  readonly dv: string;
  readonly ns: readonly number[];
  readonly at: number;
  /** Of the letter. */
  readonly iat: number;
}

/** Epochs that a letter asks for, and when it was written. */
interface Asked {
  readonly ns: readonly number[];
  readonly iat: number;
}

type Notes = Note & {
  /** In the order they came. */
  wishes?: readonly Wish[];
  /** Of each device, the `iat` of the last letter that was answered. */
  answered?: Readonly<Record<string, number>>;
};

const kept = (rep: Replica): readonly Wish[] => (rep.note as Notes).wishes ?? [];

/** Epochs of rows that cannot be read here and that the policy does not give. Newest first. */
export async function wanted(ctx: Context, rep: Replica): Promise<number[]> {
  if (rep.state === undefined || statusOf(rep) !== "active") return [];
  const given = granted(rep, ctx.dv);
  const closed = await unreadable(ctx.store, rep.sph);
  return closed.filter((n) => !rep.keys.has(n) && !given.has(n)).sort((one, other) => other - one);
}

/** Who may say yes, own devices first: owners and admins, and for an own device its owner. */
function answerers(ctx: Context, state: SphereState): Device[] {
  const order = (one: Device): readonly number[] => [
    one.owner === ctx.id ? 0 : 1, state.members.get(one.owner)!.role === "owner" ? 0 : 1, one.since,
  ];
  const found = activeDevices(state).filter((one) => one.dv !== ctx.dv && may(state, one.owner, ctx.id));
  return found.sort((one, other) => keys.lower(order(one), order(other)));
}

/** Whether a member may hand on what the policy does not give to devices of `asker`. */
function may(state: SphereState, member: string, asker: string): boolean {
  return member === asker || MODERATORS.includes(state.members.get(member)?.role ?? "");
}

/** Wish for every older key that is missing; the devices asked. Called on a person's word only. */
export async function ask(ctx: Context, rep: Replica): Promise<string[]> {
  const ns = (await wanted(ctx, rep)).slice(0, keys.MAX_NS);
  const chosen = answerers(ctx, known(rep).state).map((one) => one.dv).slice(0, keys.ASKED);
  if (ns.length === 0 || chosen.length === 0) return [];
  await ctx.relay.post(chosen, await keys.letter(ctx, rep.sph, "ask", { ns }));
  return chosen;
}

/**
 * Keep a wish for epochs beyond the policy that are here, and tell of it; inside a step. A letter that is shown again after
 * it was answered, or an earlier one, is none.
 */
export async function note(ctx: Context, rep: Replica, device: Device, asked: Asked, tx: Tx): Promise<void> {
  const { state } = known(rep);
  const { ns, iat } = asked;
  const given = granted(rep, device.dv);
  const beyond = [...new Set(ns)].filter((n) => !given.has(n) && rep.keys.has(n)).sort((one, other) => one - other);
  if (beyond.length === 0 || state.delivery === "live" || !may(state, ctx.id, device.owner)) return;
  const before = kept(rep).find((one) => one.dv === device.dv);
  if (iat <= ((rep.note as Notes).answered?.[device.dv] ?? -1) || iat < (before?.iat ?? 0)) return;
  const others = kept(rep).filter((one) => one.dv !== device.dv);
  (rep.note as Notes).wishes = [...others, { dv: device.dv, ns: beyond, at: now(ctx), iat }].slice(-MAX_WISHES);
  saveNote(tx, rep);
  if (before?.ns.join() === beyond.join()) return;
  const name = await people.nameOf(tx, state, device.owner);
  tx.events.push({ event: "KeysWished", sph: rep.sph, id: device.owner, name, ns: beyond });
}

/** Wishes that wait for this person's yes, oldest first; one for each member. */
export async function wishes(ctx: Context, rep: Replica): Promise<KeyWish[]> {
  if (rep.state === undefined) return [];
  const { state } = known(rep);
  const found = new Map<string, KeyWish>();
  for (const { dv, ns, at } of kept(rep)) {
    const device = state.devices.get(dv);
    if (device?.status !== "active" || !may(state, ctx.id, device.owner)) continue;
    const all = new Set([...ns, ...(found.get(device.owner)?.ns ?? [])]);
    const name = await people.nameOf(ctx.store, state, device.owner);
    found.set(device.owner, { sph: rep.sph, id: device.owner, name, ns: [...all].sort((one, other) => one - other), at });
  }
  return [...found.values()].sort((one, other) => one.at - other.at);
}

/**
 * A person's yes to the keys `shown`: hand those to that member's devices that asked for them; what was asked besides waits
 * on. How many keys went. Throws the sphere's stop, and StaleHead while an entry may be missing here: the wish stays then.
 */
export async function give(ctx: Context, rep: Replica, id: string, shown: readonly number[]): Promise<number> {
  keys.requireShown(ctx, rep, id);
  const { state } = known(rep);
  let sent = 0;
  for (const { dv, ns } of kept(rep)) {
    const device = state.devices.get(dv);
    if (device?.owner !== id || !may(state, ctx.id, id)) continue;
    const meant = ns.filter((n) => shown.includes(n));
    if (device.status === "active") sent += await keys.handOn(ctx, rep, device, meant, true);
    await answered(ctx, rep, dv, ns.filter((n) => !shown.includes(n)));
  }
  return sent;
}

/** Forget what a member wished for; nothing is sent. */
export async function decline(ctx: Context, rep: Replica, id: string): Promise<void> {
  const { state } = known(rep);
  for (const { dv } of kept(rep)) if ((state.devices.get(dv)?.owner ?? id) === id) await answered(ctx, rep, dv, []);
}

/**
 * The wish of one device is answered but for `rest`. Once all of it is, that letter and earlier ones are nothing to be asked
 * about any more.
 */
function answered(ctx: Context, rep: Replica, dv: string, rest: readonly number[]): Promise<void> {
  return ctx.store.step(async (tx) => {
    const note = rep.note as Notes;
    const wish = kept(rep).find((one) => one.dv === dv)!;
    const others = kept(rep).filter((one) => one !== wish);
    note.wishes = rest.length === 0 ? others : [...others, { ...wish, ns: rest }];
    if (rest.length === 0) {
      const active = new Set(activeDevices(known(rep).state).map((one) => one.dv));
      const all = Object.entries({ ...note.answered, [dv]: wish.iat });
      note.answered = Object.fromEntries(all.filter(([one]) => active.has(one)));
    }
    saveNote(tx, rep);
  });
}
