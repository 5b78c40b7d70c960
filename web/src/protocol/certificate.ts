/**
 * Device certificates: an identity key says that a device with these keys is its own.
 *
 * Knows nothing of spheres, key logs or clocks. Verified once when met; afterwards only the keys are used.
 * Spec: CERT-001 to CERT-007, CERT-010.
 */

import wire from "../../../src/cloister/protocol/wire.json" with { type: "json" };
import { type Bytes, ed25519CheckPublic, ed25519Verify, hpkeCheckPublic, rsaCheckPublic, sha256 } from "../crypto.ts";
import { FormatError, KeyUnknown } from "../errors.ts";
import { b64d, b64e, lp } from "./encoding.ts";
import { type Jwk, deviceId, identityId, jwkPublic } from "./ids.ts";
import { type Signer, decode, identitySigner, sign, verifyEs384 } from "./jws.ts";
import { shape } from "./shape.ts";

const RENEW = shape(wire.renew);

export interface Certificate {
  compact: string;
  id: string;
  dv: string;
  dk: Bytes;
  kem: string;
  de: Bytes;
  iat: number;
  exp: number;
  /** `id-` name of the identity key that signed; differs from `id` after a rotation (CERT-002). */
  issuer: string;
  digest: Bytes;
}

interface Body {
  id: string;
  dv: string;
  dk: string;
  kem: string;
  de: string;
  iat: number;
  exp: number;
  pop: string;
}

/** A receiving key that can be sealed to (CERT-005, CERT-006). Throws FormatError. */
export function checkReceivingKey(kem: string, de: Uint8Array): void {
  if (kem === "rsa4096") rsaCheckPublic(de);
  else hpkeCheckPublic(kem, de);
}

/** What a device signs to be certified as `owner`'s: a key's name alone is public (CERT-010). */
export function possessionMessage(owner: string, dv: string, kem: string, de: Uint8Array, iat: number, exp: number): Bytes {
  return lp("sph/1 dev", owner, dv, kem, sha256(de), iat, exp);
}

/** Certify a device under an identity key; `signer` is the device's own, of `dk` (CERT-001, CERT-010). */
export async function issue(
  ik: Uint8Array,
  owner: string,
  device: { signer: Signer; dk: Uint8Array; kem: string; de: Uint8Array },
  iat: number,
  exp: number,
): Promise<string> {
  const { signer, dk, kem, de } = device;
  const dv = deviceId(dk);
  const pop = b64e(await signer(possessionMessage(owner, dv, kem, de, iat, exp)));
  const payload = { id: owner, dv, dk: b64e(dk), kem, de: b64e(de), iat, exp, pop };
  return sign("sph-dev+1", { kid: identityId(jwkPublic(ik)) }, payload, identitySigner(ik));
}

/** Verify under a given identity key (CERT-002 to CERT-006, CERT-010). Throws FormatError, KeyUnknown or SignatureInvalid. */
export async function verify(compact: string, ik: Jwk): Promise<Certificate> {
  const envelope = decode(compact, "sph-dev+1");
  const issuer = envelope.header["kid"] as string;
  if (issuer !== identityId(ik)) throw new KeyUnknown("certificate of another identity key");
  await verifyEs384(envelope, ik);
  const { pop, ...body } = envelope.body as unknown as Body;
  const [dk, de] = [b64d(body.dk), b64d(body.de)];
  if (deviceId(dk) !== body.dv) throw new FormatError("dv is not the name of dk");
  ed25519CheckPublic(dk);
  if (body.exp <= body.iat) throw new FormatError("certificate ends before it begins");
  checkReceivingKey(body.kem, de);
  await ed25519Verify(dk, b64d(pop), possessionMessage(body.id, body.dv, body.kem, de, body.iat, body.exp));
  return { compact, ...body, dk, de, issuer, digest: envelope.digest };
}

/** The receiving key of a member `renew` (CERT-007). Throws FormatError. */
export function renewal(value: unknown): { kem: string; de: Bytes } {
  RENEW(value);
  const { kem, de } = value as { kem: string; de: string };
  const key = b64d(de);
  checkReceivingKey(kem, key);
  return { kem, de: key };
}
