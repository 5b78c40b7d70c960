/**
 * Signing up: every key of an account and of its first device, and the one request that creates both.
 *
 * The vault is written before the request, flagged pending, with the request sealed inside. After a crash the password
 * decides: if it signs in, the account exists; if not, the same request is sent again. The caller drops RK, IK, `auth` and
 * `kek` when the relay has answered. Spec: SLOT-018 to SLOT-021.
 */

import type { Bytes, Rng } from "../crypto.ts";
import { FormatError } from "../errors.ts";
import { type JsonObject, b64e, jsonEmit, jsonParse } from "../protocol/encoding.ts";
import * as keylog from "../protocol/keylog.ts";
import * as devices from "./devices.ts";
import * as keys from "./keys.ts";
import type { Stretched } from "./password.ts";
import { sealIk } from "./slots.ts";
import { verifier } from "./srp.ts";
import * as stateSlot from "./state_slot.ts";
import * as vaults from "./vault.ts";

/** Name of the vault record that holds the pending request. */
export const RECORD = "signup";

/** All keys of a new account. `ik` and `roots.rk` are dropped after sign-up. */
export interface NewKeys {
  account: string;
  ik: Bytes;
  roots: keys.Roots;
  device: keys.DeviceKeys;
  vk: Bytes;
}

/** The key log of a new account: entry 0, entry 1 with the certificate of the first device, the log after them. */
export interface First {
  start: string;
  entry: string;
  cert: string;
  log: keylog.KeyLog;
}

/** The request body, the vault to write before sending it, and the pin of the first state. */
export interface Signup {
  body: JsonObject;
  vault: vaults.Vault;
  record: Bytes;
  statePin: stateSlot.Pin;
}

/** Make MK, RK, IK, DK, DE and VK (SLOT-018). */
export async function newKeys(rng: Rng, kem = "xwing"): Promise<NewKeys> {
  const ik = keys.newIdentity(rng);
  const roots = keys.newRoots(rng);
  return { account: keys.accountId(ik), ik, roots, device: await keys.newDevice(rng, kem), vk: rng(32) };
}

/** Certify the first device and begin the key log. Before `build`: a join request carries the certificate. */
export async function firstDevice(made: NewKeys, now: number): Promise<First> {
  const start = await keylog.start(made.ik, now);
  const { cert, entry, log } = await devices.enrol(made.ik, await keylog.apply(undefined, start), made.device, now);
  return { start, entry, cert, log };
}

export interface Place {
  login: string;
  origin: string;
  realm: Uint8Array;
  salt16: Uint8Array;
}

/**
 * Build POST /accounts (SLOT-019): {idem, login, ver, v, wMK, wRK, ik, klog, cert, state, ticket? or join?}.
 *
 * `content` is the first state; `ticket` a set-up or sign-up code, `join` a `sph-join+1` of this device. The vault comes
 * with its password opener and `pending` set; `record` is the body sealed under VK.
 */
export async function build(
  made: NewKeys,
  first: First,
  stretched: Stretched,
  place: Place,
  content: JsonObject,
  rng: Rng,
  right: { ticket?: string | undefined; join?: string | undefined } = {},
): Promise<Signup> {
  const { account, device, roots, ik, vk } = made;
  const { login, origin, realm, salt16 } = place;
  const { ticket, join } = right;
  const state = await stateSlot.seal(roots.mk, account, device, undefined, content, rng);
  const { wMK, wRK } = await keys.wrap(stretched.kek, account, stretched.version, roots, rng);
  const body: JsonObject = {
    idem: b64e(rng(16)),
    login,
    ver: stretched.version,
    v: b64e(verifier(login, salt16, stretched.auth)),
    wMK: b64e(wMK),
    wRK: b64e(wRK),
    ik: b64e(await sealIk(roots.rk, account, ik, rng)),
    klog: [first.start, first.entry],
    cert: first.cert,
    state: b64e(state.slot),
    ...(ticket === undefined ? {} : { ticket }),
    ...(join === undefined ? {} : { join }),
  };
  const bare: vaults.Vault = {
    v: 1, origin, realm: b64e(realm), account, login, dv: device.dv, salt: b64e(salt16), ver: stretched.version,
    mkv: roots.mkv, pending: true, openers: {},
  };
  const vault = await vaults.withPassword(bare, vk, stretched.kek, rng);
  return { body, vault, record: await vaults.sealRecord(vk, vault, RECORD, jsonEmit(body), rng), statePin: state.pin };
}

/** The request of an unfinished sign-up, exactly as it was first sent (SLOT-020). Throws FormatError, VaultError. */
export async function pendingBody(vk: Uint8Array, vault: vaults.Vault, record: Uint8Array): Promise<JsonObject> {
  if (!vault.pending) throw new FormatError("SLOT-020");
  return jsonParse(await vaults.openRecord(vk, vault, RECORD, record));
}

/** The vault once the account is known to exist: the relay answered, or the password signs in (SLOT-020). */
export function settled(vault: vaults.Vault): vaults.Vault {
  return { ...vault, pending: false };
}
