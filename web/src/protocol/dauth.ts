/**
 * Signing in with a device: it answers the relay's nonce with its signing key. Spec: CERT-008, CERT-009.
 */

import { Expired, LogInvalid } from "../errors.ts";
import { b64d, b64e } from "./encoding.ts";
import { type Signer, decode, sign, verifyEd25519 } from "./jws.ts";

export const LIFETIME = 60;
export const SKEW = 600;

/** The answer; `aud` is the relay's origin as this client was configured with it (CERT-008). */
export function make(signer: Signer, dv: string, aud: string, nonce: Uint8Array, iat: number): Promise<string> {
  return sign("sph-dauth+1", { kid: dv }, { aud, dv, nonce: b64e(nonce), iat, exp: iat + LIFETIME }, signer);
}

export interface Expected {
  dv: string;
  origins: string[];
  nonce: Uint8Array;
  now: number;
}

/** Accept an answer as the relay does (CERT-009). Throws SignatureInvalid, FormatError, LogInvalid, Expired. */
export async function verify(compact: string, dk: Uint8Array, expected: Expected): Promise<void> {
  const envelope = decode(compact, "sph-dauth+1");
  await verifyEd25519(envelope, dk);
  const { aud, dv, nonce, iat, exp } = envelope.body as { aud: string; dv: string; nonce: string; iat: number; exp: number };
  const ours = envelope.header["kid"] === expected.dv && dv === expected.dv && nonce === b64e(expected.nonce);
  if (!ours || !expected.origins.includes(aud)) throw new LogInvalid("CERT-009");
  if (exp < iat || exp > iat + LIFETIME || Math.abs(iat - expected.now) > SKEW) throw new Expired("CERT-009");
}

/** Whom an answer claims to come from, and for which nonce; not verified. Throws FormatError. */
export function read(compact: string): { dv: string; nonce: Uint8Array } {
  const body = decode(compact, "sph-dauth+1").body as { dv: string; nonce: string };
  return { dv: body.dv, nonce: b64d(body.nonce) };
}
