/**
 * One round with the relay: the account, the inbox, every sphere, the outbox.
 *
 * Each part stands for itself: a sphere that is refused, stopped or damaged is reported and does not keep the others from
 * being read. Being offline is a result, not an error. What a crash left open (commits, sealed messages, revocations) is
 * settled here first. As `src/cloister/client/syncing.py`. Spec: CLT-005, CLT-007, CLT-008, CLT-010, CLT-013, CLT-034.
 */

import {
  AuthFailed, Busy, CheckFailed, CloisterError, DeviceRetired, DeviceRevoked, DiskTrouble, Forbidden, Internal, LogFork,
  LogRollback, RateLimited, RelayError, Unreachable,
} from "../errors.ts";
import { b64e } from "../protocol/encoding.ts";
import { KEMS } from "../protocol/roles.ts";
import { type SphereState, activeDevicesOf, author, isMember } from "../protocol/state.ts";
import type { Intent } from "../sphere/intents.ts";
import * as commits from "./commits.ts";
import { type Context, replica } from "./context.ts";
import * as expiry from "./expiry.ts";
import * as inbox from "./inbox.ts";
import * as joining from "./joining.ts";
import * as keys from "./keys.ts";
import * as lacking from "./lacking.ts";
import { writer } from "./locks.ts";
import * as logbook from "./logbook.ts";
import * as memory from "./memory.ts";
import * as modes from "./modes.ts";
import * as outbox from "./outbox.ts";
import * as queue from "./queue.ts";
import type { SyncReport } from "./records.ts";
import * as renewing from "./renewing.ts";
import { type Note, type Replica, known, saveNote, statusOf } from "./replica.ts";
import * as stops from "./stops.ts";
import * as stream from "./stream.ts";
import { meta, setMeta } from "./store.ts";

/** What a round did so far. */
export interface Tally {
  messages: number;
  entries: number;
  sent: number;
  readonly faults: string[];
}

export function tally(): Tally {
  return { messages: 0, entries: 0, sent: 0, faults: [] };
}

async function report(ctx: Context, { messages, entries, sent, faults }: Tally, offline: boolean): Promise<SyncReport> {
  return { offline, messages, entries, sent, waiting: await ctx.store.count("outbox"), faults: [...new Set(faults)] };
}

/** One round. Throws DeviceRevoked and DiskTrouble only. */
export async function once(ctx: Context): Promise<SyncReport> {
  const counted = tally();
  try {
    await account(ctx, counted);
    counted.faults.push(...(await joining.poll(ctx)));
    await inbox.pull(ctx);
    await renewing.forgetOld(ctx);
    await renewing.begin(ctx);
    const spheres = await active(ctx);
    for (const [done, sph] of spheres.entries()) {
      ctx.act?.say("messages", done, spheres.length);
      await sphere(ctx, sph, counted);
      counted.sent += await deliver(ctx, sph, counted);
    }
    if ((await meta(ctx.store, "stateDirty")) !== undefined) await account(ctx, counted);
  } catch (error) {
    if (error instanceof Unreachable) return report(ctx, counted, true);
    if (error instanceof DeviceRevoked || error instanceof DiskTrouble || !(error instanceof CloisterError)) throw error;
    counted.faults.push(error.code);
  }
  return report(ctx, counted, false);
}

/** Spheres to keep in step. */
export async function active(ctx: Context): Promise<string[]> {
  const rows = await ctx.store.list<Note>("sphere");
  return rows.filter(([, note]) => note.status === "active" || note.status === "entering").map(([sph]) => sph as string);
}

/** Key log, state slot, slots (CLT-029). A state older than seen is a fault, and nothing is taken from it. */
export function account(ctx: Context, counted: Tally): Promise<void> {
  return writer(ctx, "account", async () => {
    try {
      const log = await memory.refreshKlog(ctx);
      await memory.exchange(ctx, log);
      if ((await meta(ctx.store, "mkDue")) !== undefined) counted.faults.push("L_MASTER_KEY");
      else if ((await meta(ctx.store, "slotsDue")) !== undefined) await keys.fetchSlots(ctx);
    } catch (error) {
      if (error instanceof AuthFailed || !(error instanceof CheckFailed || error instanceof RelayError)) throw error;
      counted.faults.push(error.code);
    }
  });
}

/** Everything about one sphere, as its writer. */
export function sphere(ctx: Context, sph: string, counted: Tally): Promise<void> {
  return writer(ctx, sph, async () => {
    try {
      await inStep(ctx, sph, counted);
    } catch (error) {
      if (error instanceof Forbidden) await refused(ctx, sph, counted);
      else if (error instanceof Unreachable || error instanceof DiskTrouble || error instanceof DeviceRevoked) throw error;
      else if (error instanceof CloisterError) counted.faults.push(error.code);
      else throw error;
    }
  });
}

/** No signed entry shows a removal: the relay merely refuses (CLT-030). */
async function refused(ctx: Context, sph: string, counted: Tally): Promise<void> {
  const rep = await replica(ctx, sph);
  if (statusOf(rep) === "entering" && rep.history === undefined && rep.note["floor"] === undefined) {
    // Heard of in a letter only, and the relay knows nothing of us there: a stray letter.
    await ctx.store.step(async (tx) => tx.drop("sphere", sph));
    ctx.replicas.delete(sph);
  } else if (statusOf(rep) === "active") {
    counted.faults.push("E_FORBIDDEN");
    await noted(ctx, sph, (note) => void (note["refused"] = true));
  }
}

/** Change the notes of a sphere, as they are now. */
function noted(ctx: Context, sph: string, change: (note: Note) => void): Promise<void> {
  return ctx.store.step(async (tx) => {
    const rep = await replica(ctx, sph, tx);
    change(rep.note);
    saveNote(tx, rep);
  });
}

async function inStep(ctx: Context, sph: string, counted: Tally): Promise<void> {
  let rep = await replica(ctx, sph);
  if (statusOf(rep) === "entering") {
    await enterDevice(ctx, rep);
    rep = await replica(ctx, sph);
    if (statusOf(rep) !== "active") return;
  }
  const before = rep.history?.seq ?? -1;
  try {
    await commits.settleAll(ctx, rep);
  } catch (error) {
    // A commit that has to wait (its pledge stays) keeps nobody from reading.
    if (![LogFork, LogRollback, Busy, Internal, RateLimited].some((kind) => error instanceof kind)) throw error;
    counted.faults.push((error as CloisterError).code);
  }
  if ((await ctx.store.get("sphere", sph)) === undefined) return;
  rep = await replica(ctx, sph);
  if (rep.history === undefined) return;
  await inbox.tellFork(ctx, rep);
  const holes = String(stream.leftOut(rep));
  counted.messages += await commits.fetchItems(ctx, rep);
  rep = await replica(ctx, sph);
  if (String(stream.leftOut(rep)) !== holes || stream.hiddenHead(rep) > 0) counted.faults.push("C_GAP");
  counted.entries += known(rep).history.seq - before;
  if (rep.note["refused"] !== undefined) await noted(ctx, sph, (note) => void delete note["refused"]);
  rep = await replica(ctx, sph);
  if (statusOf(rep) !== "active") return;
  await expiry.sweep(ctx, rep);
  await modes.exchange(ctx, sph);
  await ctx.store.step((tx) => keys.useSlots(ctx, rep, tx));
  await inbox.askHeads(ctx, await replica(ctx, sph));
  await revokeEverywhere(ctx, await replica(ctx, sph));
  await renew(ctx, await replica(ctx, sph));
  await keys.heal(ctx, await replica(ctx, sph));
  await lacking.heal(ctx, await replica(ctx, sph));
  if ((await joining.fetchRequests(ctx, await replica(ctx, sph))).length > 0) await joining.autoAdmit(ctx, sph);
}

/** Tell the sphere this device's new receiving key (CLT-034). */
async function renew(ctx: Context, rep: Replica): Promise<void> {
  const make = (held: Replica): Intent[] => {
    const device = known(held).state.devices.get(ctx.dv)!;
    const { kem, de } = ctx.keys;
    return b64e(device.de) === b64e(de) ? [] : [{ op: "device renew", kem, de }];
  };
  if ((await meta(ctx.store, "oldDe")) !== undefined && make(rep).length > 0) await commits.commit(ctx, rep, make);
}

/**
 * Send what waits in a sphere and store its new keys in slots; returns how many items were accepted.
 *
 * A key that somebody else has just made is in the inbox: fetched once, then tried again. With `counted` a retired device
 * is a fault of the round, else it is thrown.
 */
export async function deliver(ctx: Context, sph: string, counted?: Tally): Promise<number> {
  let sent = 0;
  try {
    for (let attempt = 0; attempt < 2; attempt += 1) {
      await writer(ctx, sph, async () => {
        sent += await outbox.flush(ctx, sph);
        if (statusOf(await replica(ctx, sph)) === "active") await storeSlots(ctx, sph);
      });
      if (attempt > 0 || !(await queue.items(ctx, sph)).some((one) => one.code === "C_KEY_UNKNOWN")) break;
      await inbox.pull(ctx);
    }
  } catch (error) {
    if (error instanceof DeviceRetired) {
      if (counted === undefined) throw error;
    } else if (!(error instanceof Unreachable || error instanceof RelayError)) throw error;
    counted?.faults.push(error.code);
  }
  return sent;
}

/** New keys into the account's slots, as the sphere's writer; what fails now is done at the next round. */
export async function storeSlots(ctx: Context, sph: string): Promise<void> {
  try {
    await keys.putSlots(ctx, await replica(ctx, sph));
  } catch (error) {
    if (!(error instanceof Unreachable || error instanceof RelayError)) throw error;
  }
}

/** The log has to contain the head that the account's state has seen (CLT-005). */
async function hasFloor(ctx: Context, rep: Replica): Promise<void> {
  const floor = rep.note["floor"] as { readonly seq: number; readonly h: string } | undefined;
  if (floor === undefined || floor.h === "") return;
  const { history } = known(rep);
  let error: CheckFailed | undefined;
  if (floor.seq > history.seq) error = new LogRollback("the log is shorter than the account has seen");
  else if (b64e(history.digest(floor.seq)) !== floor.h) {
    error = new LogFork("the log is not the one the account has seen", { data: { seq: floor.seq } });
  }
  if (error === undefined) return;
  await stops.note(ctx, rep.sph, error, { floor });
  throw error;
}

/**
 * A new device of a member introduces itself to a sphere (CLT-005): read the log, compare with what the account's state
 * has seen, add this device under the member's identity key.
 */
export async function enterDevice(ctx: Context, entering: Replica): Promise<void> {
  const { sph } = entering;
  await logbook.pull(ctx, entering);
  const rep = await replica(ctx, sph);
  await hasFloor(ctx, rep);
  const { state } = known(rep);
  const member = state.members.get(ctx.id);
  if (member === undefined || !isMember(member)) {
    await noted(ctx, sph, (note) => void (note.status = "removed"));
    return;
  }
  if (author(state, ctx.dv) === undefined && tooWeak(ctx, state)) return;
  if (author(state, ctx.dv) === undefined) {
    const cert = (await meta<string>(ctx.store, "cert"))!;
    const renewed = await memory.renewed(ctx);
    await commits.commit(ctx, rep, (held) =>
      author(known(held).state, ctx.dv) === undefined ? [{ op: "device add", cert, ...(renewed && { renew: renewed }) }] : []);
  }
  await noted(ctx, sph, (note) => void (note.status = "active"));
  await ctx.store.step(async (tx) => {
    const now = await replica(ctx, sph, tx);
    await keys.useSlots(ctx, now, tx);
    await keys.readMeta(ctx, now, tx);
    setMeta(tx, "stateDirty", true);
  });
}

/** Whether the policy keeps this device out for the kind of its receiving key; it waits for another (CLT-061). */
export function tooWeak(ctx: Context, { policy }: SphereState): boolean {
  return KEMS.indexOf(ctx.keys.kem) < KEMS.indexOf(policy.kem_min);
}

/** An own device that was revoked anywhere is revoked here too, with a new key (CLT-007). */
export async function revokeEverywhere(ctx: Context, rep: Replica): Promise<void> {
  const revoked = await memory.revoked(ctx.store);
  const gone = (held: Replica): string[] => {
    const { state } = known(held);
    const own = activeDevicesOf(state, state.members.get(ctx.id)!).map((one) => one.dv);
    return own.filter((dv) => revoked.has(dv) && dv !== ctx.dv);
  };
  const make = (held: Replica): Intent[] => {
    const { state } = known(held);
    const intents: Intent[] = gone(held).map((dv) => ({ op: "device revoke", dv }));
    const rotates = intents.length > 0 && state.mode === "e2ee" && state.members.get(ctx.id)!.role !== "guest";
    return rotates ? [...intents, { op: "epoch" }] : intents;
  };
  if (gone(rep).length === 0) return;
  try {
    await commits.commit(ctx, rep, make);
  } catch (error) {
    if (!(error instanceof Forbidden)) throw error;
  }
}

/** Slots and state after a new key; what cannot be done now is done at the next round. */
export async function afterKey(ctx: Context, sph: string): Promise<void> {
  try {
    await writer(ctx, sph, () => storeSlots(ctx, sph));
    await account(ctx, tally());
  } catch (error) {
    if (!(error instanceof Unreachable || error instanceof RelayError)) throw error;
  }
}
