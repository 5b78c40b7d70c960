/**
 * The client's half of signing in with a password, SRP-6a bound to relay, installation, account, salt and version.
 *
 * `auth` is used only after everything the relay sent has been found sound. Spec: SRP-001 to SRP-008.
 */

import { type Bytes, hmacSha256, requireEqual } from "../crypto.ts";
import { Downgrade, FormatError, SignatureInvalid } from "../errors.ts";
import { b64d, b64e, lp } from "../protocol/encoding.ts";
import type { Stretched } from "./password.ts";
import {
  GROUP, clientSecret, element, exponent, generate, pad, privateKey, scrambler, sessionKey, toInteger,
} from "./srp_group.ts";

export interface Ephemeral {
  a: bigint;
  /** PAD(A). */
  public: Bytes;
}

export interface Challenge {
  salt16: Bytes;
  sid: string;
  /** PAD(B), empty when only the salt was asked for. */
  public: Bytes;
}

export interface Proof {
  m1: Bytes;
  expectedM2: Bytes;
}

/** What a proof is bound to (SRP-005). */
export interface Binding {
  realm: Uint8Array;
  login: string;
  salt16: Uint8Array;
  version: number;
}

/** PAD(v), sent at sign-up and at a password change (SRP-001). */
export function verifier(login: string, salt16: Uint8Array, auth: Uint8Array): Bytes {
  return pad(GROUP, generate(GROUP, privateKey(GROUP, salt16, login, b64e(auth))));
}

/** Fresh a and A from 32 random bytes, for one attempt (SRP-002). */
export function start(random: Uint8Array): Ephemeral {
  const a = exponent(random);
  return { a, public: pad(GROUP, generate(GROUP, a)) };
}

/** Read {salt} or {sid, salt, B} and nothing else (SRP-007). Throws Downgrade or FormatError. */
export function readChallenge(reply: Record<string, unknown>, pinnedSalt?: Uint8Array): Challenge {
  if (Object.keys(reply).some((name) => !["sid", "salt", "B"].includes(name))) throw new Downgrade("SRP-007");
  const { sid = "", salt, B = "" } = reply;
  if (typeof sid !== "string" || typeof salt !== "string" || typeof B !== "string") throw new FormatError("SRP-007");
  const salt16 = b64d(salt);
  if (salt16.length !== 16 || (pinnedSalt !== undefined && b64e(pinnedSalt) !== salt)) throw new Downgrade("SRP-007");
  if ("sid" in reply !== "B" in reply) throw new FormatError("SRP-007");
  const publicB = b64d(B);
  if ("B" in reply) element(GROUP, publicB);
  return { salt16, sid, public: publicB };
}

export function m1(key: Uint8Array, origin: string, binding: Binding, a: Uint8Array, b: Uint8Array): Bytes {
  const { realm, login, salt16, version } = binding;
  return hmacSha256(key, lp("sph/1 srp m1", origin, realm, login, salt16, version, a, b));
}

export function m2(key: Uint8Array, proof: Uint8Array): Bytes {
  return hmacSha256(key, lp("sph/1 srp m2", proof));
}

export interface Place {
  login: string;
  realm: Uint8Array;
  /** Of the relay's address as configured here (SRP-006). */
  origin: string;
}

/** M1 to send and M2 to expect (SRP-003 to SRP-005). Throws Downgrade before `auth` is used. */
export function prove(ephemeral: Ephemeral, challenge: Challenge, stretched: Stretched, place: Place): Proof {
  const b = element(GROUP, challenge.public);
  const u = scrambler(GROUP, toInteger(ephemeral.public), b);
  const x = privateKey(GROUP, challenge.salt16, place.login, b64e(stretched.auth));
  const key = sessionKey(GROUP, clientSecret(GROUP, x, ephemeral.a, u, b));
  const binding = { ...place, salt16: challenge.salt16, version: stretched.version };
  const proof = m1(key, place.origin, binding, ephemeral.public, challenge.public);
  return { m1: proof, expectedM2: m2(key, proof) };
}

/** The relay must know the verifier (SRP-008). Throws SignatureInvalid. */
export function checkReply(proof: Proof, received: Uint8Array): void {
  requireEqual(proof.expectedM2, received, new SignatureInvalid("SRP-008"));
}
