/**
 * Epoch keys on this device: keep them, store them for the own account, ask for missing ones, hand them on.
 *
 * A key is whatever matches the commitment in the verified log, by whichever way it came: share, slot, link blob, own
 * device. Handing on happens unasked only to devices that the log lists as active, and only as deep as the history policy
 * allows (CLT-017). Slots are written only for synced spheres, and by nobody while a revocation is unfinished (CLT-007).
 */

import * as slotNames from "../account/slot_names.ts";
import * as slots from "../account/slots.ts";
import { CheckFailed, CloisterError, Conflict, Forbidden, RelayError } from "../errors.ts";
import { type JsonObject, b64d, b64e } from "../protocol/encoding.ts";
import * as entries from "../protocol/entry.ts";
import * as jws from "../protocol/jws.ts";
import * as p2p from "../protocol/p2p.ts";
import { rank } from "../protocol/roles.ts";
import { type Device, activeDevices, epochNumber, wrapsExpected } from "../protocol/state.ts";
import * as epoch from "../sphere/epoch.ts";
import type { EpochKey } from "../sphere/epoch.ts";
import * as meta from "../sphere/meta.ts";
import * as share from "../sphere/share.ts";
import { type Context, now, signer } from "./context.ts";
import * as expiry from "./expiry.ts";
import * as intake from "./intake.ts";
import { ANSWERED, ASK_AGAIN, type Asked, granted, handed, missing, withheld } from "./key_rules.ts";
import * as memory from "./memory.ts";
import * as organisation from "./organisation.ts";
import type { EntryRow } from "./notices.ts";
import * as renewing from "./renewing.ts";
import { type EpochRow, type Note, type Replica, known, saveNote } from "./replica.ts";
import { type Tx, meta as valueOf } from "./store.ts";

export { ASK_AGAIN, type Asked, granted, missing, requireShown, withheld } from "./key_rules.ts";

/** Devices asked at once: enough that one is likely online, few enough not to be answered tenfold. */
export const ASKED = 4;
export const MAX_NS = 256;
/** Slots looked up one by one; a device that lacks more fetches them all. */
const MAX_SLOTS = 16;
const REMEMBERED = 64;

type Notes = Note & {
  title?: string;
  topic?: string;
  icon?: string;
  asked?: Record<string, Asked>;
  welcome?: string[];
  linksTried?: Record<string, number>;
};

/** Store keys that matched their commitment and open what waited for them; inside a step. The numbers of new ones. */
export async function keep(ctx: Context, rep: Replica, found: readonly EpochKey[], tx: Tx): Promise<number[]> {
  const fresh = found.filter((key) => !rep.keys.has(key.n) && key.n > expiry.shredded(rep));
  for (const key of fresh) {
    rep.keys.set(key.n, key);
    tx.put("epochKey", [rep.sph, key.n], { secret: key.secret, slot: 0 } satisfies EpochRow);
  }
  const ns = fresh.map((key) => key.n);
  if (ns.length > 0) {
    await readMeta(ctx, rep, tx);
    await intake.reopen(ctx, rep, ns, tx);
  }
  return ns;
}

/** Title, topic and icon in force, opened if the key is here; keeps them in the notes. Undefined when they cannot be. */
export async function readMeta(_ctx: Context, rep: Replica, tx: Tx): Promise<meta.Opened | undefined> {
  const { state } = known(rep);
  if (state.meta === undefined) return undefined;
  const row = await tx.get<EntryRow>("entry", [rep.sph, state.meta.seq]);
  const { kid, seq, prev, ep } = entries.decode(row!.jws);
  try {
    const opened = await meta.open(state.meta.body, { kid, sph: rep.sph, seq, prev, ep }, rep.keys.get(state.meta.ep));
    const { title, topic, icon } = opened.text;
    Object.assign(rep.note, { title, topic, icon });
    saveNote(tx, rep);
    return opened;
  } catch (error) {
    if (error instanceof CheckFailed) return undefined;
    throw error;
  }
}

// --- letters ---------------------------------------------------------------------------------------------------------

/** A letter of this device (LOG-025). */
export function letter(ctx: Context, sph: string, k: string, members: JsonObject): Promise<string> {
  const body = { k, sph, iat: now(ctx), jti: b64e(ctx.rng(16)), ...members };
  return jws.sign("sph-p2p+1", { kid: ctx.dv }, body, signer(ctx));
}

/** The epoch key in a share sent to this device (SHR-004). Throws CheckFailed. */
export async function openShare(ctx: Context, rep: Replica, compact: string): Promise<EpochKey> {
  const secrets = (await renewing.receiving(ctx)).map((own) => own.deSeed);
  return share.open(compact, known(rep).history, { id: ctx.id, dv: ctx.dv }, ctx.keys.kem, secrets, rep.sph);
}

/**
 * Ask holders for missing keys; the devices asked. Own devices first, then the epoch's author, then those who have been
 * here longest. Nobody is asked twice within ten minutes unless `again`.
 */
export async function ask(ctx: Context, rep: Replica, ns?: readonly number[], again = false): Promise<string[]> {
  const { state, history } = known(rep);
  if (state.org !== "") return []; // nobody hands on what everybody derives (EPO-009)
  const wanted = ns ?? (await missing(ctx, rep));
  const asked = (rep.note as Notes).asked ?? {};
  const due = wanted.filter((n) => again || now(ctx) - (asked[n]?.at ?? 0) >= ASK_AGAIN).slice(0, MAX_NS);
  if (due.length === 0) return [];
  const authors = new Set(due.map((n) => history.epoch(n).by));
  const before = new Set(due.flatMap((n) => asked[n]?.of ?? []));
  const revoked = await memory.revoked(ctx.store);
  const order = (one: Device): number[] => [
    before.has(one.dv) ? 1 : 0, one.owner === ctx.id ? 0 : 1, authors.has(one.dv) ? 0 : 1, one.since,
  ];
  const others = activeDevices(state).filter((one) => one.dv !== ctx.dv && !revoked.has(one.dv));
  const chosen = others.sort((one, other) => lower(order(one), order(other))).slice(0, ASKED).map((one) => one.dv);
  if (chosen.length === 0) return [];
  await ctx.relay.post(chosen, await letter(ctx, rep.sph, "ask", { ns: due }));
  await ctx.store.step(async (tx) => {
    const at = now(ctx);
    for (const n of due) {
      const was = asked[n];
      // asking again does not begin the ten minutes anew
      asked[n] = { at, first: was?.first ?? at, of: [...(was?.of ?? []), ...chosen].slice(-REMEMBERED) };
    }
    (rep.note as Notes).asked = asked;
    saveNote(tx, rep);
  });
  return chosen;
}

/** The order of two lists of numbers by the first that differs. */
export function lower(one: readonly number[], other: readonly number[]): number {
  const at = one.findIndex((value, n) => value !== other[n]);
  return at < 0 ? 0 : one[at]! - other[at]!;
}

/** Hand on the keys a member's device asked for, as far as policy allows (CLT-017). How many were sent. */
export async function answer(ctx: Context, rep: Replica, asked: p2p.Letter): Promise<number> {
  const device = known(rep).state.devices.get(asked.kid);
  if (device?.status !== "active") return 0;
  await p2p.verify(asked, device);
  const rows = handed(rep, now(ctx));
  const row = rows[device.dv] ?? { at: now(ctx), n: 0 };
  const ns = [...new Set(asked.body["ns"] as number[])].slice(0, Math.max(0, ANSWERED - row.n));
  const sent = await handOn(ctx, rep, device, ns);
  if (sent === 0) return 0;
  await ctx.store.step(async (tx) => {
    rep.note["handed"] = { ...rows, [device.dv]: { ...row, n: row.n + sent } };
    saveNote(tx, rep);
  });
  return sent;
}

/**
 * Send shares of the epochs `ns` that are here and permitted to one active device; `agreed`: a person who may say so said
 * yes to these (CLT-041).
 *
 * Not where keys are handed over live: then nothing is stored on the way.
 */
export async function handOn(
  ctx: Context,
  rep: Replica,
  device: Device,
  ns: readonly number[],
  agreed = false,
): Promise<number> {
  const { state, history } = known(rep);
  if ((await memory.revoked(ctx.store)).has(device.dv) || !wrapsExpected(state)) return 0;
  if (withheld(ctx, rep, device.owner)) return 0;
  const given = granted(rep, device.dv);
  let sent = 0;
  for (const n of ns.slice(0, MAX_NS)) {
    const key = rep.keys.get(n);
    if (key === undefined || !(agreed || given.has(n))) continue;
    const me = { id: ctx.id, dv: ctx.dv };
    await ctx.relay.post([device.dv], await share.seal(key, history.epoch(n), me, signer(ctx), device, now(ctx), ctx.rng));
    sent += 1;
  }
  return sent;
}

/** Hand the own account's new devices the keys of this sphere on sight (CLT-017). */
export async function greet(ctx: Context, rep: Replica): Promise<void> {
  const note = rep.note as Notes;
  if (note.welcome === undefined) return;
  for (const dv of note.welcome) {
    const device = known(rep).state.devices.get(dv);
    if (device?.status === "active") await handOn(ctx, rep, device, [...rep.keys.keys()].sort((one, other) => other - one));
  }
  await ctx.store.step(async (tx) => {
    delete note.welcome;
    saveNote(tx, rep);
  });
}

// --- link blobs ------------------------------------------------------------------------------------------------------

/** Older keys from the chain of link blobs, where the policy keeps one (EPO-005). How many were new. */
export async function followLinks(ctx: Context, rep: Replica): Promise<number> {
  const { history } = known(rep);
  const note = rep.note as Notes;
  const least = expiry.shredded(rep) + 1;
  const given = granted(rep, ctx.dv);
  const found: EpochKey[] = [];
  const tried: number[] = [];
  for (const top of [...rep.keys.keys()].sort((one, other) => one - other)) {
    if (top <= least || rep.keys.has(top - 1) || !given.has(top - 1)) continue;
    if (note.linksTried?.[top] === history.seq) continue;
    tried.push(top);
    found.push(...(await below(ctx, rep, rep.keys.get(top)!, least)));
  }
  if (tried.length > 0) {
    await ctx.store.step(async (tx) => {
      for (const top of tried) note.linksTried = { ...note.linksTried, [top]: history.seq };
      await keep(ctx, rep, found, tx);
      saveNote(tx, rep);
    });
  }
  return found.length;
}

/** The keys that the blobs below `key` give, down to `least` or to one that is held or does not open. */
async function below(ctx: Context, rep: Replica, key: EpochKey, least: number): Promise<EpochKey[]> {
  const { history } = known(rep);
  const found: EpochKey[] = [];
  let newer = key;
  for (const link of await ctx.relay.links(rep.sph, key.n)) {
    if (link.n !== newer.n || newer.n <= least || rep.keys.has(newer.n - 1)) break;
    try {
      newer = await epoch.linkOpen(b64d(link.blob), newer, history.epoch(newer.n - 1));
    } catch (error) {
      if (error instanceof CheckFailed) break;
      throw error;
    }
    found.push(newer);
  }
  return found;
}

// --- slots -----------------------------------------------------------------------------------------------------------

/** A fetched slot that waits for its sphere's log, in table `todo`. */
interface Waiting {
  secret: string;
}

/** Whether keys of this sphere may lie in the account's slots: the sphere's setting and the own choice (CLT-035). */
export async function synced(ctx: Context, rep: Replica): Promise<boolean> {
  return rep.state?.custody === "synced" && !(await memory.onlyHere(ctx, rep.sph));
}

/**
 * Write slots of keys not yet stored for the account (SLOT-010).
 *
 * A taken name is done if what stands there is this key; if not, the slot counts as absent and is written again under the
 * next master key, when the relay replaces it (SLOT-007).
 */
export async function putSlots(ctx: Context, rep: Replica): Promise<void> {
  const [revoking, due] = await Promise.all([valueOf(ctx.store, "revoking"), valueOf(ctx.store, "mkDue")]);
  if (!(await synced(ctx, rep)) || revoking || due || (await memory.unanswered(ctx)).size > 0) return;
  for (const [key, { secret, slot }] of await ctx.store.list<EpochRow>("epochKey", { prefix: [rep.sph] })) {
    if (slot > 0 || slot <= -ctx.mkv) continue;
    const n = (key as readonly [string, number])[1];
    const data = await slots.sealEpoch(ctx.mk, ctx.id, rep.sph, n, secret, ctx.rng);
    let kept = true;
    try {
      await ctx.relay.putSlot(slotNames.epoch(rep.sph, n), ctx.mkv, data);
    } catch (error) {
      if (!(error instanceof Conflict)) throw error;
      if ("mkv" in error.data) return; // another master key is in force: the slot waits for it
      kept = await holds(ctx, rep.sph, n, secret);
    }
    await ctx.store.step(async (tx) => tx.put("epochKey", key, { secret, slot: kept ? 1 : -ctx.mkv } satisfies EpochRow));
  }
}

/** Whether the slot of an epoch, as it stands at the relay, gives this key. */
async function holds(ctx: Context, sph: string, n: number, secret: Uint8Array): Promise<boolean> {
  const found = await ctx.relay.slot(slotNames.epoch(sph, n));
  try {
    return b64e(await slots.openEpoch(ctx.mk, ctx.id, sph, n, b64d(found.bytes))) === b64e(secret);
  } catch (error) {
    if (error instanceof CheckFailed) return false;
    throw error;
  }
}

/** Whether the running key of an encrypted sphere lies in the account's slots, as far as this device knows. */
export async function inSlots(ctx: Context, rep: Replica): Promise<boolean> {
  const { state } = known(rep);
  if (state.mode !== "e2ee" || state.custody !== "synced") return false;
  return ((await ctx.store.get<EpochRow>("epochKey", [rep.sph, epochNumber(state)]))?.slot ?? 0) !== 0;
}

/** Keep the account's slots at hand for spheres whose log is not here yet (a new device; SLOT-010). */
export async function fetchSlots(ctx: Context): Promise<void> {
  const found = await ctx.relay.slots();
  const named = found.map((one) => ({ ...one, parsed: slotNames.parse(one.name) }));
  const masters = new Map(named.filter((one) => one.parsed.kind === "mk").map((one) => [one.parsed.n, b64d(one.bytes)]));
  const generations = await slots.openMasters(ctx.id, ctx.mk, ctx.mkv, masters);
  const wanted = named.filter((one) => one.parsed.kind === "e" && generations.has(one.mkv));
  const opened = await Promise.all(wanted.map(async ({ mkv, bytes, parsed: { sph, n } }) => {
    try {
      return await slots.openEpoch(generations.get(mkv)!, ctx.id, sph, n, b64d(bytes));
    } catch (error) {
      if (error instanceof CheckFailed) return undefined;
      throw error;
    }
  }));
  await ctx.store.step(async (tx) => {
    for (const [at, { mkv, parsed: { sph, n } }] of wanted.entries()) {
      const secret = opened[at];
      if (secret !== undefined) waiting(tx, "slot", sph, n, secret);
      else {
        // A damaged slot is as good as none: the key comes by another way and is stored again.
        const row = await tx.get<EpochRow>("epochKey", [sph, n]);
        if (row?.slot === 1) tx.put("epochKey", [sph, n], { ...row, slot: -mkv });
      }
    }
    tx.drop("meta", "slotsDue");
  });
}

/** Take what waited for the log and whose commitment matches it, from slots and from elsewhere; inside a step. */
export async function useSlots(ctx: Context, rep: Replica, tx: Tx): Promise<number> {
  const fresh = await keep(ctx, rep, await waited(rep, "slot", tx), tx);
  for (const n of fresh) tx.put("epochKey", [rep.sph, n], { secret: rep.keys.get(n)!.secret, slot: 1 } satisfies EpochRow);
  return fresh.length + (await keep(ctx, rep, await waited(rep, "kept", tx), tx)).length;
}

/**
 * Have a secret wait until the log says whether it is the epoch's: `slot` for one that lies in the account's slots, `kept`
 * for one from a saved text or this device's predecessor, which may not.
 */
export function waiting(tx: Tx, kind: "slot" | "kept", sph: string, n: number, secret: Uint8Array): void {
  tx.put("todo", `${kind}/${slotNames.epoch(sph, n)}`, { secret: b64e(secret) } satisfies Waiting);
}

/** Keys among what waits. What the log knows does not wait any longer. */
async function waited(rep: Replica, kind: string, tx: Tx): Promise<EpochKey[]> {
  const { history } = known(rep);
  const found: EpochKey[] = [];
  for (const [name, row] of await tx.list<Waiting>("todo", { prefix: `${kind}/e.${rep.sph}.` })) {
    const { n } = slotNames.parse(String(name).slice(kind.length + 1));
    try {
      found.push(epoch.check(b64d(row.secret), history.epoch(n), rep.sph));
    } catch (error) {
      if (!(error instanceof CheckFailed)) throw error;
      if (error.code === "C_KEY_UNKNOWN") continue;
    }
    tx.drop("todo", name);
  }
  return found;
}

/** Missing keys that the account itself stored earlier (SLOT-010). */
async function ownSlots(ctx: Context, rep: Replica): Promise<void> {
  const wanted = (await synced(ctx, rep)) ? (await missing(ctx, rep)).slice(0, MAX_SLOTS) : [];
  for (const n of wanted) {
    try {
      const found = await ctx.relay.slot(slotNames.epoch(rep.sph, n));
      if (found.mkv !== ctx.mkv) {
        // under an earlier master key: fetched with the others
        await ctx.store.step(async (tx) => tx.put("meta", "slotsDue", true));
        continue;
      }
      const secret = await slots.openEpoch(ctx.mk, ctx.id, rep.sph, n, b64d(found.bytes));
      await ctx.store.step(async (tx) => {
        waiting(tx, "slot", rep.sph, n, secret);
        await useSlots(ctx, rep, tx);
      });
    } catch (error) {
      if (!(error instanceof Forbidden || error instanceof CheckFailed)) throw error;
    }
  }
}

/** Everything that may bring missing keys: own slots, links, then questions (CLT-017). Refusals wait for the next round. */
export async function heal(ctx: Context, rep: Replica): Promise<void> {
  if (rep.state === undefined || rep.note.status !== "active" || rank(rep.state.members.get(ctx.id)!.role) < 0) return;
  try {
    if (rep.state.org !== "") {
      const found = await organisation.derived(ctx, rep);
      await ctx.store.step((tx) => keep(ctx, rep, found, tx));
    }
    await ownSlots(ctx, rep);
    await followLinks(ctx, rep);
    await greet(ctx, rep);
    if ((await missing(ctx, rep)).length > 0) await ask(ctx, rep);
    await putSlots(ctx, rep);
  } catch (error) {
    if (error instanceof RelayError) return;
    if (!(error instanceof CloisterError) || error.code !== "C_FORMAT") throw error;
  }
}
