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
}

type Notes = Note & {
  /** In the order they came. */
  wishes?: readonly Wish[];
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

/** Keep a wish for epochs beyond the policy that are here, and tell of it; inside a step. */
export async function note(ctx: Context, rep: Replica, device: Device, ns: readonly number[], tx: Tx): Promise<void> {
  const { state } = known(rep);
  const given = granted(rep, device.dv);
  const beyond = [...new Set(ns)].filter((n) => !given.has(n) && rep.keys.has(n)).sort((one, other) => one - other);
  if (beyond.length === 0 || state.delivery === "live" || !may(state, ctx.id, device.owner)) return;
  const before = kept(rep).find((one) => one.dv === device.dv);
  const others = kept(rep).filter((one) => one.dv !== device.dv);
  (rep.note as Notes).wishes = [...others, { dv: device.dv, ns: beyond, at: now(ctx) }].slice(-MAX_WISHES);
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

/** A person's yes: hand the wished keys to that member's devices that asked. How many keys went. */
export async function give(ctx: Context, rep: Replica, id: string): Promise<number> {
  const { state } = known(rep);
  let sent = 0;
  for (const { dv, ns } of kept(rep)) {
    const device = state.devices.get(dv);
    if (device?.owner !== id || !may(state, ctx.id, id)) continue;
    if (device.status === "active") sent += await keys.handOn(ctx, rep, device, ns, true);
    await forget(ctx, rep, dv);
  }
  return sent;
}

/** Forget what a member wished for; nothing is sent. */
export async function decline(ctx: Context, rep: Replica, id: string): Promise<void> {
  const { state } = known(rep);
  for (const { dv } of kept(rep)) if ((state.devices.get(dv)?.owner ?? id) === id) await forget(ctx, rep, dv);
}

/** The wish of one device is answered. */
function forget(ctx: Context, rep: Replica, dv: string): Promise<void> {
  return ctx.store.step(async (tx) => {
    (rep.note as Notes).wishes = kept(rep).filter((one) => one.dv !== dv);
    saveNote(tx, rep);
  });
}
