/**
 * The account's own memory: key log, devices, and the state slot that every device shares.
 *
 * The key log says which devices are the account's; the state slot holds what no relay may decide: which spheres there
 * are and how far their logs went, who was confirmed under which name, read positions, open invitations' seeds, settings.
 * Both are checked against what this device has seen before anything of them is used (KLOG-008, SLOT-016); what two
 * devices wrote is merged, never dropped. As `src/cloister/client/memory.py`. Spec: CLT-029.
 */

import { type Pin, type State, openState, seal } from "../account/state_slot.ts";
import type { Bytes } from "../crypto.ts";
import { Conflict, DeviceRevoked, Forbidden, LogRollback, UsageError } from "../errors.ts";
import { type Json, type JsonObject, b64d, b64e } from "../protocol/encoding.ts";
import type { Jwk } from "../protocol/ids.ts";
import { decode } from "../protocol/jws.ts";
import { type KeyLog, verifyChain } from "../protocol/keylog.ts";
import { KEMS } from "../protocol/roles.ts";
import { ascending, epochNumber } from "../protocol/state.ts";
import { type Context, now } from "./context.ts";
import type { DeviceInfo } from "./records.ts";
import { type Note, type Replica, newNote } from "./replica.ts";
import { type Reader, type Tx, meta, putSecret, setMeta } from "./store.ts";

const MAX_MERGES = 5;
const KLOG = "sph-klog+1";

// key log ---------------------------------------------------------------------------------------------------------------

/**
 * Fetch and verify the own key log against the one held (KLOG-008); keep it. Throws LogRollback, LogFork, ..., and
 * DeviceRevoked when this device is no longer listed.
 */
export async function refreshKlog(ctx: Context): Promise<KeyLog> {
  const before = await held(ctx);
  const chain = await ctx.relay.klog(ctx.id);
  const log = await verifyChain(chain, before);
  await ctx.store.step(async (tx) => {
    setMeta(tx, "klog", chain);
    const gone = await revoked(tx);
    if ([...log.revoked].some((dv) => !gone.has(dv))) setMeta(tx, "revoked", sorted([...gone, ...log.revoked]));
  });
  if (log.revoked.has(ctx.dv)) throw new DeviceRevoked("this device was removed from the account");
  return log;
}

async function held(ctx: Context): Promise<KeyLog | undefined> {
  const chain = await meta<string[]>(ctx.store, "klog");
  return chain === undefined ? undefined : verifyChain(chain);
}

/** The key log as last verified. */
export async function klog(ctx: Context): Promise<KeyLog> {
  const log = await held(ctx);
  if (log === undefined) throw new UsageError("this device has not seen its account's key log yet; sync first");
  return log;
}

const sorted = (names: Iterable<string>): string[] => [...new Set(names)].sort(ascending);

/** Devices seen as revoked, in the key log or any sphere. */
export async function revoked(from: Reader): Promise<Set<string>> {
  return new Set(await meta<string[]>(from, "revoked", []));
}

/**
 * Own devices seen as revoked, in the key log or any sphere, since the present master key was taken (SLOT-025).
 *
 * Whoever holds such a device may hold this key: nothing is stored under it until the next one comes. What the relay says
 * of generations does not matter here.
 */
export async function unanswered(ctx: Context): Promise<Set<string>> {
  const log = await klog(ctx);
  const covered = new Set(await meta<string[]>(ctx.store, "mkCovers", []));
  const own = [...(await revoked(ctx.store))].filter((dv) => log.devices.has(dv) || log.revoked.has(dv));
  return new Set(own.filter((dv) => !covered.has(dv)));
}

/** Whether the present master key came from a device that is revoked by now (SLOT-025). */
export async function planted(ctx: Context): Promise<boolean> {
  const from = await meta<string>(ctx.store, "mkFrom");
  return from !== undefined && (await revoked(ctx.store)).has(from);
}

/**
 * Hold another master key: from the device `sender`, or by password when undefined. A step of its own; `more` joins it.
 *
 * It answers the revocations seen so far only if it is later than what the password opened before: an earlier one may be
 * what the lost device knew.
 */
export async function keepMk(
  ctx: Context,
  mk: Bytes,
  mkv: number,
  sender: string | undefined,
  more?: (tx: Tx) => void,
): Promise<void> {
  const sure = await sureMkv(ctx);
  await ctx.store.step(async (tx) => {
    putSecret(tx, "mk", mk);
    setMeta(tx, "mkv", mkv);
    setMeta(tx, "mkDue", undefined);
    setMeta(tx, "mkFrom", sender);
    setMeta(tx, "mkvSure", sender === undefined ? Math.max(sure, mkv) : sure);
    setMeta(tx, "stateDirty", true);
    if (mkv > sure) setMeta(tx, "mkCovers", sorted(await revoked(tx)));
    more?.(tx);
  });
  ctx.mk = mk;
  ctx.mkv = mkv;
}

/** The highest generation the password has opened here; what a letter claims is no measure for the relay. */
export async function sureMkv(ctx: Context): Promise<number> {
  const sure = await meta<number>(ctx.store, "mkvSure");
  if (sure !== undefined) return sure;
  return (await meta(ctx.store, "mkFrom")) === undefined ? ctx.mkv : 1;
}

interface LogBody {
  op: string;
  body: JsonObject;
}

/** The entries that lead from the first identity key to the present one; empty while it is the first (KLOG-007). */
export async function rotations(ctx: Context): Promise<string[]> {
  const chain = await meta<string[]>(ctx.store, "klog", []);
  const found = chain.filter((one) => ["start", "rotate"].includes((decode(one, KLOG).body as unknown as LogBody).op));
  return found.length > 1 ? found : [];
}

/** The present identity key and the certificates of all active own devices, this one first. */
export async function identity(ctx: Context): Promise<{ ik: Jwk; certs: string[] }> {
  const { ik, devices: all } = await klog(ctx);
  const own = all.get(ctx.dv);
  if (own === undefined) throw new DeviceRevoked("this device was removed from the account");
  // Without those whose receiving key is weaker than this one's: they come in by themselves where they may (CLT-061).
  const others = [...all.values()].filter((cert) => cert.dv !== ctx.dv && KEMS.indexOf(cert.kem) >= KEMS.indexOf(own.kem));
  return { ik, certs: [own.compact, ...others.map((cert) => cert.compact)] };
}

/**
 * Keys that lie on devices only need another place: a second device, or a saved text that holds the running key of the
 * sphere. Throws UsageError (CLT-035).
 */
export async function requireSecondCopy(ctx: Context, rep?: Replica): Promise<void> {
  if ((await klog(ctx)).devices.size >= 2) return;
  const running = rep?.state === undefined ? 0 : epochNumber(rep.state);
  if (rep !== undefined && running > 0 && (await savedKey(ctx, rep.sph)) >= running) return;
  throw new UsageError("keys kept on devices only need a second device or a saved copy first");
}

/** Own devices, active first; names come from the state slot. */
export async function devices(ctx: Context): Promise<DeviceInfo[]> {
  const log = await klog(ctx);
  const names = await meta<Record<string, string>>(ctx.store, "deviceNames", {});
  const row = (dv: string, since: number): DeviceInfo =>
    ({ dv, name: names[dv] ?? "", active: log.devices.has(dv), here: dv === ctx.dv, since });
  return [
    ...[...log.devices.values()].map((cert) => row(cert.dv, cert.iat)),
    ...sorted(log.revoked).map((dv) => row(dv, 0)),
  ];
}

/** This device's receiving key when newer than its certificate's (CERT-007). */
export async function renewed(ctx: Context): Promise<{ kem: string; de: Bytes } | undefined> {
  const cert = (await klog(ctx)).devices.get(ctx.dv);
  const { kem, de } = ctx.keys;
  return cert === undefined || b64e(cert.de) === b64e(de) ? undefined : { kem, de };
}

// state slot ------------------------------------------------------------------------------------------------------------

interface SphereRow {
  status: string;
  label: string;
  read: number;
  seq: number;
  h?: string;
}

interface Revised {
  rev: number;
}

/** A setting as every device of the account keeps it: its value as JSON text, the later revision counts. */
interface Setting extends Revised {
  v: string;
}

interface Invited {
  sph: string;
  seed: string;
  exp: number;
}

/** What the state slot says. Members of pins are those of people.py. */
interface Content {
  spheres?: Record<string, SphereRow>;
  pins?: Record<string, Revised>;
  devices?: Record<string, string>;
  invites?: Record<string, Invited>;
  settings?: Record<string, Setting>;
}

/** The state of a new account. */
export function firstContent(dv: string, deviceName: string): JsonObject {
  return { v: 1, spheres: {}, pins: {}, devices: { [dv]: deviceName }, invites: {} };
}

/** What this device would write: strict JSON, so no null and no negative number. */
export async function content(ctx: Context): Promise<JsonObject> {
  const { store } = ctx;
  const spheres: Record<string, SphereRow> = {};
  for (const [key, note] of await store.list<Note>("sphere")) {
    const sph = key as string;
    const read = await meta<number>(store, `read/${sph}`, 0);
    const [last] = await store.list<{ h: string }>("entry", { prefix: [sph], reverse: true, limit: 1 });
    const head = last === undefined ? { seq: 0 } : { seq: (last[0] as readonly [string, number])[1], h: last[1].h };
    spheres[sph] = { status: note.status, label: note.label, read, ...head };
  }
  const pins = Object.fromEntries((await store.list<Revised>("pin")).map(([id, row]) => [id as string, stripped(row)]));
  const open = Object.entries(await meta<Record<string, Invited>>(store, "invites", {})).filter(([, one]) => one.exp > now(ctx));
  const names = await meta<Record<string, string>>(store, "deviceNames", {});
  const settings = await meta<Settings>(store, "settings", {});
  const said = { v: 1, spheres, pins, devices: names, invites: Object.fromEntries(open) };
  return (Object.keys(settings).length > 0 ? { ...said, settings } : said) as unknown as JsonObject;
}

/** A row without members that are undefined: the wire knows no null. */
function stripped<T extends object>(row: T): T {
  return Object.fromEntries(Object.entries(row).filter(([, value]) => value !== undefined)) as T;
}

/** The highest state this device has seen. */
export async function pinned(ctx: Context): Promise<Pin | undefined> {
  const row = await meta<{ ctr: number; h: string }>(ctx.store, "statePin");
  return row === undefined ? undefined : { ctr: row.ctr, digest: b64d(row.h) };
}

/** Persist what was accepted or written. */
export function keepPin(tx: Tx, pin: Pin): void {
  setMeta(tx, "statePin", { ctr: pin.ctr, h: b64e(pin.digest) });
}

/** The signing keys of every device the account ever had. */
export async function signers(ctx: Context): Promise<Map<string, Bytes>> {
  const found = new Map<string, Bytes>();
  for (const one of await meta<string[]>(ctx.store, "klog", [])) {
    const { op, body } = decode(one, KLOG).body as unknown as LogBody;
    if (op !== "add-dev") continue;
    const cert = decode(body["cert"] as string, "sph-dev+1").body;
    found.set(cert["dv"] as string, b64d(cert["dk"] as string));
  }
  return found;
}

/**
 * Fetch, open and judge the state slot (SLOT-015 to SLOT-017); undefined when the relay has none for us. `active`: the
 * devices whose word counts. Throws LogRollback for an older or another state than seen, VaultError.
 */
export async function read(ctx: Context, active: ReadonlyMap<string, Uint8Array>): Promise<State | undefined> {
  const pin = await pinned(ctx);
  let slot;
  try {
    slot = await ctx.relay.slot("state");
  } catch (error) {
    if (error instanceof Forbidden && pin === undefined) return undefined;
    throw error;
  }
  const { mkv, bytes, ctr } = slot;
  if (mkv < ctx.mkv) throw new LogRollback("a state under an earlier master key than this device has seen");
  if (mkv > ctx.mkv) {
    await ctx.store.step(async (tx) => setMeta(tx, "mkDue", mkv));
    return undefined;
  }
  return openState(ctx.mk, ctx.id, ctr ?? 0, b64d(bytes), active, pin);
}

type Settings = Readonly<Record<string, Setting>>;

/** The later revision counts; of two that were made at once every device takes the same. */
function newest(mine: Settings, theirs: Settings): Settings {
  const all: Record<string, Setting> = { ...mine };
  for (const [key, row] of Object.entries(theirs)) {
    const held = all[key];
    if (held === undefined || row.rev > held.rev || (row.rev === held.rev && row.v > held.v)) all[key] = row;
  }
  return all;
}

/** Take what another device wrote. The further read position, the newer pin and setting, every sphere. */
export async function merge(tx: Tx, written: JsonObject, provisional = false): Promise<void> {
  const theirs = written as Content;
  for (const [sph, row] of Object.entries(theirs.spheres ?? {})) {
    if (row.read > (await meta<number>(tx, `read/${sph}`, 0))) setMeta(tx, `read/${sph}`, row.read);
    if (row.status !== "active" || (await tx.get("sphere", sph)) !== undefined) continue;
    const floor = { seq: row.seq, h: row.h ?? "" };
    const more = provisional ? { provisional } : {};
    tx.put("sphere", sph, newNote("entering", { label: row.label ?? "", floor, ...more }));
  }
  for (const [id, row] of Object.entries(theirs.pins ?? {})) {
    const mine = await tx.get<Revised>("pin", id);
    if (mine === undefined || (row.rev ?? 0) > (mine.rev ?? 0)) tx.put("pin", id, row);
  }
  const both = async (name: string, added: object): Promise<void> =>
    setMeta(tx, name, { ...added, ...(await meta<object>(tx, name, {})) });
  await both("deviceNames", theirs.devices ?? {});
  await both("invites", theirs.invites ?? {});
  const settings = newest(await meta<Settings>(tx, "settings", {}), theirs.settings ?? {});
  if (Object.keys(settings).length > 0) setMeta(tx, "settings", settings);
}

/** The same value, whatever the order of members. */
function sameJson(one: Json | undefined, other: Json | undefined): boolean {
  if (typeof one !== "object" || typeof other !== "object" || Array.isArray(one) !== Array.isArray(other)) return one === other;
  const [left, right] = [one as JsonObject, other as JsonObject];
  const names = Object.keys(left);
  return names.length === Object.keys(right).length && names.every((name) => sameJson(left[name], right[name]));
}

/** Read the state if another device wrote it, and write it if this one has something to say (CLT-029). */
export async function exchange(ctx: Context, log: KeyLog): Promise<void> {
  const active = new Map([...log.devices].map(([dv, cert]) => [dv, cert.dk]));
  for (let tries = 0; tries < MAX_MERGES; tries += 1) {
    const state = await read(ctx, active);
    if ((await meta(ctx.store, "mkDue")) !== undefined) return;
    const pin = await pinned(ctx);
    if (state !== undefined && (pin === undefined || state.ctr > pin.ctr)) {
      await ctx.store.step(async (tx) => {
        await merge(tx, state.content, state.provisional);
        keepPin(tx, state);
        setMeta(tx, "stateSeen", state.content);
      });
    }
    const wanted = await content(ctx);
    if (sameJson(wanted, await meta<JsonObject>(ctx.store, "stateSeen"))) {
      await ctx.store.step(async (tx) => setMeta(tx, "stateDirty", undefined));
      return;
    }
    if ((await meta(ctx.store, "stateDirty")) === undefined || (await unanswered(ctx)).size > 0) return;
    const made = await seal(ctx.mk, ctx.id, ctx.keys, await pinned(ctx), wanted, ctx.rng);
    try {
      await ctx.relay.putSlot("state", ctx.mkv, made.slot, made.pin.ctr);
    } catch (error) {
      if (error instanceof Conflict) continue;
      throw error;
    }
    await ctx.store.step(async (tx) => {
      keepPin(tx, made.pin);
      setMeta(tx, "stateSeen", wanted);
      setMeta(tx, "stateDirty", undefined);
    });
    return;
  }
}

// settings --------------------------------------------------------------------------------------------------------------

/** A setting of this person; undefined when it was never set. */
export async function setting(ctx: Context, key: string): Promise<unknown> {
  const row = (await meta<Settings>(ctx.store, "settings", {}))[key];
  return row === undefined || row.v === "" ? undefined : JSON.parse(row.v);
}

/** Whether this person keeps the keys of a sphere on own devices only: a choice for all of them (CLT-035). */
export async function onlyHere(ctx: Context, sph: string): Promise<boolean> {
  return (await setting(ctx, `only.${sph}`)) === true;
}

/** The newest key that a checked text of a sphere holds; 0 when it was never saved (CLT-060). */
export async function savedKey(ctx: Context, sph: string): Promise<number> {
  return ((await setting(ctx, `saved.${sph}`)) as { n: number } | undefined)?.n ?? 0;
}

/** Set it on all devices; undefined takes it back. */
export async function setSetting(ctx: Context, key: string, value: unknown): Promise<void> {
  await ctx.store.step(async (tx) => {
    const all = await meta<Settings>(tx, "settings", {});
    const v = value === undefined ? "" : JSON.stringify(value);
    if ((all[key]?.v ?? "") === v) return;
    setMeta(tx, "settings", { ...all, [key]: { rev: (all[key]?.rev ?? 0) + 1, v } });
    setMeta(tx, "stateDirty", true);
  });
}
