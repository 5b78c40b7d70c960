/**
 * What a verified entry means to this device: notes, pins, marks and the events that tell of it.
 *
 * Runs inside the step that stores the entry. Reads the state before and after; verifies nothing again.
 * Spec: CLT-009, CLT-022, CLT-037, CLT-042.
 */

import type { Entry } from "../protocol/entry.ts";
import { type SphereState, epochNumber } from "../protocol/state.ts";
import { type Context, now } from "./context.ts";
import type { ModeChanged } from "./events.ts";
import * as heads from "./heads.ts";
import * as people from "./people.ts";
import type { Switch } from "./records.ts";
import { type Note, type Replica, known } from "./replica.ts";
import * as stops from "./stops.ts";
import type { Tx } from "./store.ts";

const NAMED = ["add", "remove", "role"];
const SETTINGS = ["delivery", "custody", "policy", "meta", "invite", "revoke-invite"];
const MEETING = ["create", "add", "identity"];

type Notes = Note & {
  /** The last reason for a new key: operation and name. */
  why?: { op: string; who: string };
  /** When each epoch began, by number. */
  began?: Record<string, number>;
  /** When this device first saw the running epoch, by its own clock. */
  beganHere?: { n: number; at: number };
  /** Messages read under the running key. */
  count?: number;
  modeSeen?: string;
  switched?: Switch;
  /** When encryption was turned off, while it is off. */
  clearSince?: number;
  welcome?: string[];
};

/** Owner of the device that signed an entry. */
export function signer(state: SphereState, one: Entry): string {
  return state.devices.get(one.kid)!.owner;
}

/** Whom an entry is about: the member it names, else its signer. */
export function target(state: SphereState, one: Entry): string {
  return NAMED.includes(one.op) ? (one.body["id"] as string) : signer(state, one);
}

/** Take note of `one`; `rep` already holds the state after it. */
export async function entry(ctx: Context, rep: Replica, before: SphereState | undefined, one: Entry, tx: Tx): Promise<void> {
  const { state } = known(rep);
  const note = rep.note as Notes;
  const { change } = state;
  const about = target(state, one);
  const byLink = one.op === "add" && one.body["jti"] !== undefined;
  const { sph } = rep;
  const name = (id: string): Promise<string> => people.nameOf(tx, state, id);
  if (MEETING.includes(change.op)) await meet(ctx, rep, state, about, byLink, tx);
  const by = await name(signer(state, one));
  if (change.hard && change.op !== "create" && change.op !== "mode") {
    note.why = { op: change.op, who: await name(about) };
  }
  if (change.op === "add") {
    tx.events.push({ event: "MemberAdded", sph, id: about, name: await name(about), by, byLink });
    // Who comes in for the first time has seen no stronger mode.
    if (about === ctx.id && before !== undefined && !before.members.has(ctx.id)) accept(rep, state.mode);
    if (about === ctx.id && ["asked", "removed", "left"].includes(note.status)) note.status = "active";
    const request = await tx.get<{ mine: boolean }>("request", change.join);
    if (request !== undefined && !request.mine) tx.drop("request", change.join);
  } else if (change.op === "remove" || change.op === "leave") {
    await gone(ctx, rep, state, about, by, tx);
  } else if (change.op === "role") {
    const { role } = state.members.get(about)!;
    tx.events.push({ event: "RoleChanged", sph, id: about, name: await name(about), role, by });
  } else if (change.op.startsWith("device ")) {
    await device(ctx, rep, state, about, tx);
  } else if (change.op === "epoch") {
    const { why } = note;
    delete note.why;
    const n = epochNumber(state);
    note.began = { ...note.began, [n]: Math.min(state.epoch!.iat, now(ctx)) };
    note.beganHere = { n, at: Math.floor(ctx.clock()) };
    note.count = 0;
    tx.events.push({ event: "NewKey", sph, n, by, why: said(why), here: rep.keys.has(n) });
  } else if (change.op === "checkpoint") {
    heads.take(rep, one);
  } else if (change.op === "mode" && before !== undefined) {
    tx.events.push(modeChanged(rep, before.mode, by, one.iat));
  } else if (SETTINGS.includes(change.op)) {
    tx.events.push({ event: "SphereChanged", sph, what: change.op, by });
  }
}

/** How much a mode keeps from the relay: texts written under a stronger one are not sent under a weaker one unasked. */
export const MODES: Record<string, number> = { e2ee: 2, open: 1, public: 0 };

/** Until a weaker mode was answered for, a person counts as knowing the stronger one (CLT-016, CLT-042). */
function modeChanged(rep: Replica, before: string, by: string, at: number): ModeChanged {
  const note = rep.note as Notes;
  const mode = known(rep).state.mode as Switch["mode"];
  const seen = note.modeSeen ?? before;
  if (MODES[mode]! < MODES[seen]!) Object.assign(note, { modeSeen: seen, switched: { mode, by, at } satisfies Switch });
  else accept(rep, mode);
  if (before === "e2ee") note.clearSince = at;
  const since = mode === "e2ee" ? (note.clearSince ?? 0) : 0;
  if (mode === "e2ee") delete note.clearSince;
  return { event: "ModeChanged", sph: rep.sph, mode, by, at, since };
}

/** The mode this person knows of: a stronger one than the sphere's while a switch waits for an answer. */
export function seenMode(rep: Replica): string {
  return (rep.note as Notes).modeSeen ?? known(rep).state.mode;
}

/**
 * The person knows of `mode`; a switch to a weaker one than that still waits for an answer (CLT-042). The caller saves the
 * notes; false when there was nothing to know.
 */
export function accept(rep: Replica, mode: string): boolean {
  const note = rep.note as Notes;
  if (note.modeSeen === undefined) return false;
  if (MODES[mode]! <= MODES[known(rep).state.mode]!) {
    delete note.switched;
    delete note.modeSeen;
  } else if (MODES[mode]! < MODES[note.modeSeen]!) note.modeSeen = mode;
  return true;
}

const WHY: Record<string, (who: string) => string> = {
  remove: (who) => `${who} was removed`,
  leave: (who) => `${who} left`,
  "device revoke": (who) => `a device of ${who} was removed`,
  identity: (who) => `${who} has a new identity`,
  mark: (who) => `${who} asked for it`,
};

function said(why: { op: string; who: string } | undefined): string {
  return why === undefined ? "" : (WHY[why.op]?.(why.who) ?? "");
}

async function meet(ctx: Context, rep: Replica, state: SphereState, id: string, byLink: boolean, tx: Tx): Promise<void> {
  if (id === ctx.id) return;
  const what = await people.meet(tx, state.members.get(id)!, byLink);
  if (what === undefined) return;
  const name = await people.nameOf(tx, state, id);
  const confirmed = (await people.pin(tx, id))?.was === true;
  tx.events.push({ event: "IdentityChanged", sph: rep.sph, id, name, confirmed });
  if (confirmed) stops.raiseNow(ctx, rep, "C_KEY_CHANGED", `${name}: ${what}`, { id, what }, tx);
}

async function gone(ctx: Context, rep: Replica, state: SphereState, id: string, by: string, tx: Tx): Promise<void> {
  const left = state.change.op === "leave";
  if (id === ctx.id) {
    rep.note.status = state.closed ? "closed" : left ? "left" : "removed";
    tx.events.push({ event: "Removed", sph: rep.sph, by });
  } else {
    const ban = state.members.get(id)!.role === "banned";
    tx.events.push({ event: "MemberRemoved", sph: rep.sph, id, name: await people.nameOf(tx, state, id), by, left, ban });
  }
  tx.put("meta", "stateDirty", true); // a device made later must not be shown the log from before (CLT-029)
}

async function device(ctx: Context, rep: Replica, state: SphereState, id: string, tx: Tx): Promise<void> {
  const { change } = state;
  const what = change.op.slice("device ".length);
  const dv = change.on[0] ?? change.off[0] ?? change.by;
  tx.events.push({ event: "DeviceChanged", sph: rep.sph, id, name: await people.nameOf(tx, state, id), dv, what });
  if (what === "revoke") {
    // Revoked anywhere is revoked everywhere (CLT-007): the owner's other devices carry it on at the next sync.
    const held = (await tx.get<string[]>("meta", "revoked")) ?? [];
    if (!held.includes(dv)) tx.put("meta", "revoked", [...held, dv]);
  }
  if (what === "add" && id === ctx.id && dv !== ctx.dv) {
    const note = rep.note as Notes;
    note.welcome = [...new Set([...(note.welcome ?? []), dv])].sort();
  }
}
