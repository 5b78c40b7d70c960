/**
 * Proving a password to the relay, and what that proof opens.
 *
 * Checks the relay before the password is used: realm and origin as pinned, no parameter it may name (SRP-007). The
 * session of level password lives for one act: enrol, change, revoke. RK and IK are returned to the caller, who drops
 * them when the act is sent; nothing here keeps them. As `src/cloister/client/signing.py`. Spec: CLT-005, CLT-006, CLT-028.
 */

import { openRoots as openBoth } from "../account/credentials.ts";
import type { Roots } from "../account/keys.ts";
import { type Account, type Stretched, stretch } from "../account/password.ts";
import { openIk } from "../account/slots.ts";
import * as srp from "../account/srp.ts";
import type { Vault } from "../account/vault.ts";
import type { Bytes, Rng } from "../crypto.ts";
import { Downgrade, UsageError, VaultError } from "../errors.ts";
import { b64d } from "../protocol/encoding.ts";
import { type KeyLog, verifyChain } from "../protocol/keylog.ts";
import type { Act } from "./context.ts";
import type { Form, Relay } from "./relay.ts";

/** A password session. `token` of level password, `id` the account it is for, `salt16` its salt. */
export interface Proven {
  readonly token: string;
  readonly id: string;
  readonly salt16: Bytes;
  readonly stretched: Stretched;
}

/** The roots, opened: MK, RK and the identity scalar, with the verified key log and the relay's row. */
export interface Opened {
  readonly roots: Roots;
  readonly ik: Bytes;
  readonly row: Form<"Roots">;
  readonly klog: KeyLog;
}

/** Ways to watch a slow act; stopping is possible wherever `turn` is called, because nothing is lost there. */
export type Watched = Act | undefined;

/** Tell the next step of an act, unless it is to stop here. */
export function turn(act: Watched, step: Parameters<Act["say"]>[0]): void {
  act?.signal.throwIfAborted();
  act?.say(step);
}

/**
 * Ask the relay about itself (CLT-028). Throws Downgrade for another realm than pinned, UsageError for an address the
 * relay does not go by: before any password is asked for.
 */
export async function server(relay: Relay, realm: string | undefined): Promise<Form<"ServerInfo">> {
  const info = await relay.server();
  if (realm !== undefined && info.realm !== realm) {
    throw new Downgrade("another server answers at this address than the one this account was made on");
  }
  if (!info.origins.includes(relay.origin)) {
    throw new UsageError("the server does not go by this address; its administrator lists addresses with --origin");
  }
  return info;
}

/** The salt of a login; the relay has one for every name, taken or not. */
export async function saltOf(relay: Relay, login: string): Promise<Bytes> {
  return srp.readChallenge(await relay.authStart(login)).salt16;
}

/** Password processing (PPF-004): a quarter second or more, in this worker. */
export function slow(password: string, account: Account, act?: Watched): Promise<Stretched> {
  turn(act, "keys");
  return stretch(password, account);
}

/** SRP sign-in (CLT-005). Throws AuthFailed, Downgrade, SignatureInvalid (the relay does not know the account). */
export async function prove(
  relay: Relay,
  rng: Rng,
  login: string,
  password: string,
  realm: Uint8Array,
  options: { version?: number; vault?: Vault; act?: Watched } = {},
): Promise<Proven> {
  const { version, vault, act } = options;
  const ephemeral = srp.start(rng(32));
  const reply = await relay.authStart(login, ephemeral.public);
  const challenge = srp.readChallenge(reply, vault === undefined ? undefined : b64d(vault.salt));
  const { salt16, sid } = challenge;
  const stretched = await slow(password, { login, realm, salt16, version: vault?.ver ?? version, pinned: vault?.ver }, act);
  turn(act, "proof");
  const proof = srp.prove(ephemeral, challenge, stretched, { login, realm, origin: relay.origin });
  const answer = await relay.authFinish(sid, proof.m1);
  srp.checkReply(proof, b64d(answer.M2));
  if (vault !== undefined && answer.id !== vault.account) {
    throw new Downgrade("the relay names another account for this login");
  }
  return { token: answer.token, id: answer.id, salt16, stretched };
}

/** Where a key log was when this device last saw it: position and H(SI). */
export interface LogPin {
  readonly seq: number;
  readonly digest: Uint8Array;
}

/**
 * Open MK, RK and IK (SLOT-002, SLOT-003, SLOT-009); `mkv` and `pin` are what was seen. Throws VaultError, Downgrade,
 * LogRollback, LogFork, LogInvalid.
 */
export async function openRoots(
  relay: Relay,
  proven: Proven,
  seen: { mkv?: number; pin?: LogPin | undefined } = {},
): Promise<Opened> {
  const klog = await verifiedKlog(relay, proven.id, seen.pin, proven.token);
  const row = await relay.roots(proven.token);
  const reply = { wMK: b64d(row.wMK), wRK: b64d(row.wRK), mkv: row.mkv };
  const roots = await openBoth(proven.stretched, proven.id, reply, seen.mkv ?? 0);
  return { roots, ik: await openIk(roots.rk, proven.id, klog.ik, b64d(row.ik)), row, klog };
}

/** The key log of `id`, verified and not older than pinned (KLOG-008). */
export async function verifiedKlog(relay: Relay, id: string, pin?: LogPin, token?: string): Promise<KeyLog> {
  const log = await verifyChain(await relay.klog(id, token), pin);
  if (log.id !== id) throw new VaultError("the key log is somebody else's");
  return log;
}
