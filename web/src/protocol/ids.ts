/**
 * Names that cannot be forged: identities, devices and spheres are named by hashes of what they are.
 * Spec: ID-001 to ID-005.
 */

import { type Bytes, p384Public, sha256 } from "../crypto.ts";
import { FormatError } from "../errors.ts";
import { b64d, b64e, lp, textBytes } from "./encoding.ts";

export interface Jwk {
  kty: "EC";
  crv: "P-384";
  x: string;
  y: string;
}

/** Public JWK of a P-384 private scalar. */
export function jwkPublic(scalar: Uint8Array): Jwk {
  const { x, y } = p384Public(scalar);
  return { kty: "EC", crv: "P-384", x: b64e(x), y: b64e(y) };
}

/** RFC 7638 SHA-256 thumbprint, 32 bytes (ID-001). */
export function thumbprint(jwk: Jwk): Bytes {
  return sha256(textBytes(`{"crv":"${jwk.crv}","kty":"${jwk.kty}","x":"${jwk.x}","y":"${jwk.y}"}`));
}

/** `id-` of an identity key (ID-002). */
export function identityId(jwk: Jwk): string {
  return `id-${b64e(thumbprint(jwk))}`;
}

/** `dv-` of a device signing key, 32 bytes (ID-003). */
export function deviceId(dk: Uint8Array): string {
  return `dv-${b64e(sha256(lp("sph/1 dv", dk)))}`;
}

/** `sp-` of entry 0's H(SI) (ID-004). */
export function sphereId(genesisDigest: Uint8Array): string {
  return `sp-${b64e(genesisDigest)}`;
}

/** The 32 bytes behind an id-, dv- or sp- name (ID-005). Throws FormatError. */
export function raw(identifier: string): Bytes {
  if (!["id-", "dv-", "sp-"].includes(identifier.slice(0, 3))) throw new FormatError("identifier prefix");
  const value = b64d(identifier.slice(3));
  if (value.length !== 32) throw new FormatError("identifier length");
  return value;
}
