/**
 * Acts that need the password: change it, or take a device away.
 *
 * Both are one compare-and-swap at the relay and survive a crash at any point: the new opener, or the new master key, is
 * stored before the request, and the old one stays until the answer is known. RK, IK and the password are dropped when
 * the act is sent. As `src/cloister/client/acts.py`. Spec: CLT-006, CLT-007, SLOT-027.
 */

import * as credentials from "../account/credentials.ts";
import * as devices from "../account/devices.ts";
import { RSA, type Roots } from "../account/keys.ts";
import { type Stretched, checkNew } from "../account/password.ts";
import * as vaults from "../account/vault.ts";
import {
  AuthFailed, Busy, CheckFailed, CloisterError, Internal, NotFound, RelayError, Unreachable, UsageError, VaultError,
} from "../errors.ts";
import { type JsonObject, b64d, b64e } from "../protocol/encoding.ts";
import type { KeyLog } from "../protocol/keylog.ts";
import { author } from "../protocol/state.ts";
import { type Context, now, replica } from "./context.ts";
import * as epochKeys from "./keys.ts";
import * as memory from "./memory.ts";
import type { Profile } from "./profile.ts";
import { type Form } from "./relay.ts";
import * as signing from "./signing.ts";
import { meta, putSecret, setMeta } from "./store.ts";

type Vault = vaults.Vault;

function putRoots(ctx: Context, body: JsonObject, token: string): Promise<unknown> {
  return ctx.relay.putRoots(body as unknown as Form<"NewRoots">, token);
}

function proveHere(ctx: Context, vault: Vault, password: string): Promise<signing.Proven> {
  return signing.prove(ctx.relay, ctx.rng, vault.login, password, b64d(vault.realm), { vault, act: ctx.act });
}

function stretchNew(ctx: Context, { login, realm, salt }: Vault, fresh: string): Promise<Stretched> {
  return signing.slow(fresh, { login, realm: b64d(realm), salt16: b64d(salt) }, ctx.act);
}

// password --------------------------------------------------------------------------------------------------------------

/** The vault of a password change whose answer is not known. */
export async function readNext(profile: Profile): Promise<Vault | undefined> {
  const found = await profile.read("vault.next");
  return found === undefined ? undefined : vaults.decode(found);
}

/** The new password is the account's: its vault takes the place of the old one, in one durable step. */
async function promote(profile: Profile): Promise<Vault> {
  const next = await profile.read("vault.next");
  if (next === undefined) throw new VaultError("no other password is waiting");
  await profile.place.documents.set({ vault: next, "vault.next": undefined });
  return vaults.decode(next);
}

/**
 * Change the password (CLT-006); returns the vault now in force.
 *
 * Throws WeakPassword, AuthFailed (`old` is wrong), Conflict (changed on another device), Unreachable: then either
 * password opens this device until one of them has signed in.
 */
export async function changePassword(ctx: Context, vault: Vault, vk: Uint8Array, old: string, fresh: string): Promise<Vault> {
  await checkNew(fresh, vault.login);
  const proven = await proveHere(ctx, vault, old);
  const opened = await signing.openRoots(ctx.relay, proven, { mkv: await memory.sureMkv(ctx) });
  const stretched = await stretchNew(ctx, vault, fresh);
  const who = { account: ctx.id, login: vault.login, salt16: b64d(vault.salt) };
  const body = await credentials.changePassword(opened.row.cred_ver, opened.roots, stretched, who, ctx.rng);
  signing.turn(ctx.act, "account");
  await writeNext(ctx, vault, vk, stretched);
  try {
    await putNext(ctx, body, proven.token);
  } catch (error) {
    if (!(error instanceof Unreachable)) throw error;
    return settlePassword(ctx, vault, fresh, true);
  }
  return promote(ctx.profile);
}

/** The vault as it will be under the new password, durable beside the old one. */
async function writeNext(ctx: Context, vault: Vault, vk: Uint8Array, fresh: Stretched): Promise<void> {
  const after = { ...vault, ver: Math.max(vault.ver, fresh.version) };
  const opened = vault.openers.pin === undefined ? await vaults.withPassword(after, vk, fresh.kek, ctx.rng) : after;
  await ctx.profile.write("vault.next", vaults.encode(opened));
}

/** Send a new password; a refusal means that the old one stays. */
async function putNext(ctx: Context, body: JsonObject, token: string): Promise<void> {
  try {
    await putRoots(ctx, body, token);
  } catch (error) {
    const unknown = error instanceof Busy || error instanceof Internal;
    if (error instanceof RelayError && !unknown) await ctx.profile.remove("vault.next");
    throw error;
  }
}

/**
 * Find out which password the account has, by signing in with the one just typed (CLT-006).
 *
 * Throws Unreachable while that cannot be asked; both openers then stay.
 */
export async function settlePassword(ctx: Context, vault: Vault, password: string, openedByNext: boolean): Promise<Vault> {
  const following = await readNext(ctx.profile);
  if (following === undefined) return vault;
  let newHolds = openedByNext;
  try {
    await proveHere(ctx, openedByNext ? following : vault, password);
  } catch (error) {
    if (!(error instanceof AuthFailed)) throw error;
    newHolds = !openedByNext;
  }
  if (newHolds) return promote(ctx.profile);
  await ctx.profile.remove("vault.next");
  return vault;
}

// taking a device away --------------------------------------------------------------------------------------------------

/** A revocation under way: which device, and the generation of MK before it. */
interface Revoking {
  dv: string;
  mkv: number;
}

/**
 * Revoke an own device and make a new master key (CLT-007); the spheres follow with the next sync. Returns the vault now
 * in force.
 *
 * With `fresh` the password changes in the same step, so that no relay can show a further device the roots of before
 * (SLOT-027). May be called again after a crash or an error and goes on where it was. Throws NotFound, UsageError for this
 * very device or the same password, WeakPassword, AuthFailed, Conflict, Unreachable.
 */
export async function revokeDevice(
  ctx: Context,
  vault: Vault,
  vk: Uint8Array,
  dv: string,
  password: string,
  fresh?: string,
): Promise<Vault> {
  if (dv === ctx.dv) throw new UsageError("revoke this device from another one");
  if (fresh !== undefined) await checkNew(fresh, vault.login);
  if (fresh === password) throw new UsageError("the new password is the old one");
  const { proven, taken } = await proveEither(ctx, vault, password, fresh);
  const settled = await settledBy(ctx, vault, proven);
  const log = await inKeyLog(ctx, proven, dv);
  const pending = await meta<Revoking>(ctx.store, "revoking");
  let after = settled;
  if (fresh !== undefined && !taken) {
    const stretched = await stretchNew(ctx, settled, fresh);
    await writeNext(ctx, settled, vk, stretched);
    await newMaster(ctx, proven, log, stretched, credentials.newVerifier(stretched, settled.login, b64d(settled.salt)));
    after = await promote(ctx.profile);
  } else if (pending === undefined || ctx.mkv <= pending.mkv) {
    await newMaster(ctx, proven, log);
  }
  await ctx.store.step(async (tx) => {
    setMeta(tx, "revoked", [...(await memory.revoked(tx)).add(dv)].sort());
    setMeta(tx, "revoking", undefined);
    setMeta(tx, "stateDirty", true);
  });
  return after;
}

/** By the password; by the new one if it was taken already and the answer was lost. */
async function proveEither(
  ctx: Context,
  vault: Vault,
  password: string,
  fresh: string | undefined,
): Promise<{ proven: signing.Proven; taken: boolean }> {
  try {
    return { proven: await proveHere(ctx, vault, password), taken: false };
  } catch (error) {
    const begun = (await meta(ctx.store, "revoking")) !== undefined;
    if (!(error instanceof AuthFailed) || fresh === undefined || !begun) throw error;
    return { proven: await proveHere(ctx, vault, fresh), taken: true };
  }
}

/** The device goes from the key log, unless it is gone already. Returns the log after that. */
async function inKeyLog(ctx: Context, proven: signing.Proven, dv: string): Promise<KeyLog> {
  const log = await memory.refreshKlog(ctx);
  const pending = await meta<Revoking>(ctx.store, "revoking");
  if (pending?.dv !== dv) {
    if (!log.devices.has(dv)) throw new NotFound("no such device");
    await ctx.store.step(async (tx) => setMeta(tx, "revoking", { dv, mkv: ctx.mkv } satisfies Revoking));
  }
  if (!log.devices.has(dv)) return log;
  try {
    await memory.exchange(ctx, log); // the last time that device's word counts
  } catch (error) {
    // It may be that very device that sent this one a false master key.
    if (!(error instanceof CheckFailed)) throw error;
  }
  const opened = await signing.openRoots(ctx.relay, proven, { mkv: await memory.sureMkv(ctx), pin: log });
  const change = await devices.revoke(opened.ik, opened.klog, dv, now(ctx));
  await ctx.relay.revokeDevice(dv, change.entry, proven.token);
  return memory.refreshKlog(ctx);
}

/** A password change whose answer was lost, settled by the password that has just signed in (CLT-006). */
async function settledBy(ctx: Context, vault: Vault, proven: signing.Proven): Promise<Vault> {
  const following = await readNext(ctx.profile);
  if (following === undefined) return vault;
  if (following.openers.pw === undefined) return promote(ctx.profile); // opened by a PIN: the password is no part of it
  try {
    await vaults.openWithPassword(following, proven.stretched.kek);
  } catch (error) {
    if (!(error instanceof VaultError)) throw error;
    await ctx.profile.remove("vault.next");
    return vault;
  }
  return promote(ctx.profile);
}

/**
 * MK of the next generation: durable here, then at the relay, then at the other own devices. `fresh` and `verifier` with a
 * new password, whose vault is written already.
 */
async function newMaster(
  ctx: Context,
  proven: signing.Proven,
  log: KeyLog,
  fresh?: Stretched,
  verifier?: JsonObject,
): Promise<void> {
  const opened = await signing.openRoots(ctx.relay, proven, { mkv: await memory.sureMkv(ctx) });
  // A thief's key gives way to the true one, which he may know as well: only the next one will do.
  const planted = await memory.planted(ctx);
  if ((await adopt(ctx, opened.roots)) && !planted && fresh === undefined) return;
  // The new state has to follow the last one, whoever wrote that; nothing is taken from what a revoked device wrote.
  const last = await memory.read(ctx, await memory.signers(ctx));
  if (last === undefined) throw new NotFound("the account's state cannot be read; sync first");
  const wanted = await memory.content(ctx);
  const state = { author: ctx.keys, last, content: wanted };
  const stretched = fresh ?? proven.stretched;
  const made = await credentials.rotateMaster(opened.row.cred_ver, opened.roots, stretched, state, ctx.id, ctx.rng, verifier);
  await ctx.store.step(async (tx) => putSecret(tx, "mkNext", made.roots.mk));
  await (fresh === undefined ? putRoots : putNext)(ctx, made.body, proven.token);
  await ctx.store.step(async (tx) => {
    memory.keepPin(tx, made.statePin);
    setMeta(tx, "stateSeen", wanted);
  });
  await adopt(ctx, made.roots);
  await shareMaster(ctx, log);
}

/** Use a newer master key that the password opened; false when it is the one held. */
async function adopt(ctx: Context, { mk, mkv }: Roots): Promise<boolean> {
  if (mkv <= ctx.mkv && !(await memory.planted(ctx))) return false;
  await memory.keepMk(ctx, mk, mkv, undefined, (tx) => putSecret(tx, "mkNext", undefined));
  return true;
}

/** Hand the new master key to the other own devices, through a sphere both are in (SLOT-025). */
async function shareMaster(ctx: Context, log: KeyLog): Promise<void> {
  for (const dv of log.devices.keys()) {
    const shared = dv === ctx.dv ? undefined : await sphereOfBoth(ctx, dv);
    if (shared === undefined) continue;
    const { kem, de } = shared.to;
    if (kem === RSA) continue; // MK opens the keys of every sphere, also where such a key is too weak
    const ct = await credentials.sealMkShare(ctx.id, ctx.dv, { dv, kem, de }, ctx);
    const body = { idR: ctx.id, dvR: dv, kem, mkv: ctx.mkv, ct: b64e(ct) };
    try {
      await ctx.relay.post([dv], await epochKeys.letter(ctx, shared.sph, "mk", body));
    } catch (error) {
      if (!(error instanceof CloisterError)) throw error;
      // That device asks for the password instead.
    }
  }
}

/** A sphere in which both this device and the other are active, and its latest receiving key there. */
async function sphereOfBoth(ctx: Context, dv: string): Promise<{ sph: string; to: { kem: string; de: Uint8Array } } | undefined> {
  for (const [key] of await ctx.store.list("sphere")) {
    const sph = key as string;
    const { state } = await replica(ctx, sph);
    if (state === undefined || author(state, dv) === undefined || author(state, ctx.dv) === undefined) continue;
    return { sph, to: state.devices.get(dv)! };
  }
  return undefined;
}

/** Take the present master key by password, when another device made a new one and nobody handed it on. */
export async function refreshMaster(ctx: Context, vault: Vault, password: string): Promise<boolean> {
  const { token, stretched } = await proveHere(ctx, vault, password);
  const { wMK, wRK, mkv } = await ctx.relay.roots(token);
  const reply = { wMK: b64d(wMK), wRK: b64d(wRK), mkv };
  return adopt(ctx, await credentials.openRoots(stretched, ctx.id, reply, await memory.sureMkv(ctx)));
}
