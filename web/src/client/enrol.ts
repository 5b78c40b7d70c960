/**
 * Making a device: a new account, or a further device of an existing one.
 *
 * Everything a device needs is stored before the relay hears of it, and every step can be repeated after a crash: a
 * sign-up left open is settled by the password, an enrolment left open by the key log. Knows the roots for the length of a
 * call. Decides nothing about spheres: the list of spheres to enter is left in the store for the next sync. As
 * `src/cloister/client/enrol.py`. Spec: CLT-003, CLT-005.
 */

import * as devices from "../account/devices.ts";
import { type DeviceKeys, newDevice, packDevice } from "../account/keys.ts";
import { loginName } from "../account/login.ts";
import { checkNew } from "../account/password.ts";
import * as signup from "../account/signup.ts";
import * as vaults from "../account/vault.ts";
import type { Bytes, Rng } from "../crypto.ts";
import { AuthFailed, Busy, Internal, RateLimited, RelayError, VaultError } from "../errors.ts";
import { type JsonObject, b64d, b64e, jsonEmit } from "../protocol/encoding.ts";
import { type Jwk, jwkPublic } from "../protocol/ids.ts";
import * as join from "../protocol/join.ts";
import { decode, deviceSigner } from "../protocol/jws.ts";
import { ascending } from "../protocol/state.ts";
import { type Link, keyPair } from "../sphere/invitation.ts";
import type { OutboxRow } from "./queue.ts";
import type { Profile } from "./profile.ts";
import type { Relay } from "./relay.ts";
import type { EpochRow } from "./replica.ts";
import * as signing from "./signing.ts";
import { type Store, type Tx, putSecret, secret, setMeta } from "./store.ts";

const JOIN_LIFE = 30 * 86_400;

/** Where an account is made or entered: the profile, the relay, and what comes from outside. */
export interface Site {
  readonly profile: Profile;
  readonly relay: Relay;
  readonly rng: Rng;
  /** Unix seconds. */
  readonly now: () => number;
  readonly act?: signing.Watched;
}

/** The vault header, or undefined in a new profile. Throws DiskTrouble, FormatError. */
export async function readVault(profile: Profile): Promise<vaults.Vault | undefined> {
  const found = await profile.read("vault");
  return found === undefined ? undefined : vaults.decode(found);
}

/** Replace the vault header durably (CLT-002). */
export function writeVault(profile: Profile, vault: vaults.Vault): Promise<void> {
  return profile.write("vault", vaults.encode(vault));
}

/** An empty store for a new device; leftovers of an attempt that never got a vault are removed. */
function freshStore(profile: Profile, vault: vaults.Vault, vk: Uint8Array): Promise<Store> {
  return profile.openStore(vaults.storeKey(vk, vault), { fresh: true });
}

/** Write the device's secrets. */
function keepDevice(tx: Tx, device: DeviceKeys, mk: Uint8Array, mkv: number): void {
  putSecret(tx, "device", packDevice(device));
  putSecret(tx, "mk", mk);
  setMeta(tx, "mkv", mkv);
}

export interface Ask {
  readonly name: string;
  readonly ik: Jwk;
  readonly certs: readonly string[];
  readonly link: Link;
  readonly now: number;
  readonly rng: Rng;
  readonly rotations?: readonly string[];
  readonly renew?: { kem: string; de: Uint8Array } | undefined;
}

/** A request to join by a link, or without one (JOIN-002 to JOIN-005). */
export function joinRequest(device: DeviceKeys, ask: Ask): Promise<string> {
  const { name, ik, certs, link, now, rng, rotations = [], renew } = ask;
  const { sph, jti } = link;
  const proof = link.kind === "invite" ? { link: { jti, signer: deviceSigner(keyPair(link.seed, sph, jti).ivk) } } : {};
  return join.make(deviceSigner(device.dkSeed), device.dv, {
    sph, name, ik, certs: [...certs], nonce: rng(16), iat: now, exp: now + JOIN_LIFE, ...proof,
    rotations: [...rotations], ...(renew === undefined ? {} : { renew }),
  });
}

/** An own join request as the table `request` keeps it, by its hash in base64url. */
export interface OwnRequest {
  readonly sph: string;
  readonly mine: 1;
  readonly jws: string;
  readonly at: number;
  readonly state: "asked" | "admitted" | "declined" | "expired";
  readonly label: string;
  readonly jti: string;
  readonly seq: number;
  readonly pin: string;
  readonly sent: boolean;
}

/** Keep an own join request. Returns its hash in base64url. */
export function rememberJoin(tx: Tx, compact: string, link: Link): string {
  const envelope = decode(compact, "sph-join+1");
  const h = b64e(envelope.digest);
  tx.put("request", h, {
    sph: link.sph, mine: 1, jws: compact, at: envelope.body["iat"] as number, state: "asked", label: link.label,
    jti: b64e(link.jti), seq: link.seq, pin: b64e(link.pin), sent: false,
  } satisfies OwnRequest);
  return h;
}

// a new account ---------------------------------------------------------------------------------------------------------

export interface NewAccount {
  readonly login: string;
  readonly password: string;
  readonly version?: number;
  /** A set-up or sign-up code. */
  readonly ticket?: string | undefined;
  readonly link?: Link | undefined;
  /** The first state of an account whose first device is this. */
  readonly content: (device: DeviceKeys) => JsonObject;
}

/**
 * Create an account (CLT-003). The vault, pending, is durable before the request is sent. Returns the vault and its key.
 *
 * Throws UsageError, WeakPassword, AuthFailed (ticket), Conflict (name taken), Unreachable (stays pending).
 */
export async function signUp(site: Site, wanted: NewAccount): Promise<Entered> {
  const { profile, relay, rng, now, act } = site;
  const login = loginName(wanted.login);
  const { password, version, ticket, link } = wanted;
  await checkNew(password, login);
  const realm = b64d((await signing.server(relay, undefined)).realm);
  const salt16 = await signing.saltOf(relay, login);
  const stretched = await signing.slow(password, { login, realm, salt16, version }, act);
  signing.turn(act, "account");
  const made = await signup.newKeys(rng);
  const at = now();
  const first = await signup.firstDevice(made, at);
  const ask = { name: login, ik: jwkPublic(made.ik), certs: [first.cert], now: at, rng };
  const request = link === undefined ? undefined : await joinRequest(made.device, { ...ask, link });
  const place = { login, origin: relay.origin, realm, salt16 };
  const right = { ticket, join: request };
  const { body, vault, statePin } = await signup.build(made, first, stretched, place, wanted.content(made.device), rng, right);
  signing.turn(act, "account");
  const store = await freshStore(profile, vault, made.vk);
  try {
    await store.step(async (tx) => {
      keepDevice(tx, made.device, made.roots.mk, made.roots.mkv);
      putSecret(tx, "signup", jsonEmit(body));
      setMeta(tx, "statePin", { ctr: statePin.ctr, h: b64e(statePin.digest) });
      setMeta(tx, "cert", first.cert);
      setMeta(tx, "klog", [first.start, first.entry]);
      if (request !== undefined && link !== undefined) rememberJoin(tx, request, link);
    });
    await writeVault(profile, vault);
    return { vault: await postAccount(profile, relay, vault, store), vk: made.vk };
  } finally {
    await store.close();
  }
}

/**
 * Send the stored sign-up and settle it. On a final refusal what was prepared is removed and the store closed (CLT-003).
 */
async function postAccount(profile: Profile, relay: Relay, vault: vaults.Vault, store: Store): Promise<vaults.Vault> {
  const body = await secret(store, "signup");
  if (body === undefined) throw new VaultError("the store does not hold this sign-up");
  try {
    await relay.signUp(body);
  } catch (error) {
    const passing = error instanceof Busy || error instanceof Internal || error instanceof RateLimited;
    if (error instanceof RelayError && !passing) {
      await store.close();
      await profile.forget();
    }
    throw error;
  }
  return settle(profile, vault, store);
}

/** The account exists: keep the vault without the pending flag. */
async function settle(profile: Profile, vault: vaults.Vault, store: Store): Promise<vaults.Vault> {
  await store.step(async (tx) => {
    const asked = await tx.by<OwnRequest>("request", "mine", { prefix: [1] });
    for (const [h, row] of asked) tx.put("request", h, { ...row, sent: true });
    putSecret(tx, "signup", undefined);
  });
  const after = signup.settled(vault);
  await writeVault(profile, after);
  return after;
}

/**
 * Settle a sign-up whose answer was not seen (CLT-003): the password decides. Returns the vault in force.
 *
 * Throws Unreachable (still pending), Conflict or AuthFailed when the relay never took it and will not.
 */
export async function resumeSignUp(site: Site, vault: vaults.Vault, store: Store, password: string): Promise<vaults.Vault> {
  const { profile, relay, rng, act } = site;
  try {
    await signing.prove(relay, rng, vault.login, password, b64d(vault.realm), { vault, act });
  } catch (error) {
    if (error instanceof AuthFailed) return postAccount(profile, relay, vault, store);
    throw error;
  }
  return settle(profile, vault, store);
}

// a further device ------------------------------------------------------------------------------------------------------

/** A device whose vault is stored, and the key that opens it. */
export interface Entered {
  readonly vault: vaults.Vault;
  readonly vk: Bytes;
}

/**
 * A new device. `finish` revokes the one it takes the place of: call it when the account's state, which that one may have
 * written last, has been read and written anew.
 */
export interface Enrolled extends Entered {
  readonly finish: () => Promise<void>;
}

/**
 * Enrol this profile as a further device (CLT-005); `retire` is an own device it takes the place of.
 *
 * Stored first, then the key log; a crash in between leaves a vault whose device the log may lack, and signing in again
 * finishes it. Throws AuthFailed, Downgrade, VaultError, Log*.
 */
export async function addDevice(
  site: Site,
  who: { login: string; password: string; version?: number; realm?: string | undefined; retire?: string | undefined },
): Promise<Enrolled> {
  const { profile, relay, rng, now, act } = site;
  const login = loginName(who.login);
  const info = await signing.server(relay, who.realm);
  const realm = b64d(info.realm);
  const proven = await signing.prove(relay, rng, login, who.password, realm, { ...versionOf(who), act });
  signing.turn(act, "account");
  const opened = await signing.openRoots(relay, proven);
  const device = await newDevice(rng);
  const vk = rng(32);
  const change = await devices.enrol(opened.ik, opened.klog, device, now());
  const { stretched, id, salt16, token } = proven;
  const bare: vaults.Vault = {
    v: 1, origin: relay.origin, realm: info.realm, account: id, login, dv: device.dv, salt: b64e(salt16),
    ver: stretched.version, mkv: opened.row.mkv, pending: false, openers: {},
  };
  const vault = await vaults.withPassword(bare, vk, stretched.kek, rng);
  signing.turn(act, "account");
  const store = await freshStore(profile, vault, vk);
  try {
    await store.step(async (tx) => {
      keepDevice(tx, device, opened.roots.mk, opened.roots.mkv);
      setMeta(tx, "cert", change.cert);
      setMeta(tx, "slotsDue", true);
      // What was revoked before this key was opened, and the device this one replaces.
      const retired = who.retire === undefined ? [] : [who.retire];
      setMeta(tx, "mkCovers", [...new Set([...opened.klog.revoked, ...retired])].sort(ascending));
    });
    await writeVault(profile, vault);
  } finally {
    await store.close();
  }
  await relay.addDevice(change.cert, change.entry, token);
  const finish = async (): Promise<void> => {
    if (who.retire === undefined || !change.log.devices.has(who.retire)) return;
    const gone = await devices.revoke(opened.ik, change.log, who.retire, now());
    await relay.revokeDevice(who.retire, gone.entry, token);
  };
  return { vault, vk, finish };
}

function versionOf(who: { version?: number }): { version?: number } {
  return who.version === undefined ? {} : { version: who.version };
}

// what a replaced device leaves -----------------------------------------------------------------------------------------

/** What a replaced device may have held alone: waiting texts and epoch keys. */
export interface Kept {
  readonly outbox: readonly OutboxRow[];
  readonly keys: readonly { sph: string; n: number; secret: Bytes }[];
}

/** Read from the old store what its successor needs (CLT-014). */
export async function takeAlong(store: Store): Promise<Kept> {
  const outbox = (await store.list<OutboxRow>("outbox")).map(([, row]) => row);
  const keys = (await store.list<EpochRow>("epochKey")).map(([key, row]) => {
    const [sph, n] = key as readonly [string, number];
    return { sph, n, secret: row.secret };
  });
  return { outbox, keys };
}

/** Put it into the new store. Keys wait until the log recognises them; which of them lie in slots is looked up then. */
export async function restore(tx: Tx, kept: Kept): Promise<void> {
  for (const row of kept.outbox) {
    const n = await tx.number("outbox");
    tx.put("outbox", n, { ...row, n, state: "waiting", jws: "", tries: 0 });
  }
  for (const { sph, n, secret: bytes } of kept.keys) tx.put("todo", `kept/e.${sph}.${n}`, { secret: b64e(bytes) });
}
