/**
 * The keys of a person off the grid: one that signs, one that opens what is stored, and the forms keys travel in.
 *
 * An identity here is a P-384 key of its own, beside no account. It has two names, because the two profiles hash the same
 * key differently: `id` (RFC 7638) and `id1`, WhisperGrid's. Spec: GRID-001 to GRID-003.
 */

import {
  type Bytes, P384_BYTES, P384_ORDER, P384_PUBLIC_LENGTH, type Rng, concat, es384Sign, hpkeCheckPublic, p384Ecdh, p384Public,
  sha256,
} from "../crypto.ts";
import { FormatError } from "../errors.ts";
import { b64d, b64e, textBytes } from "../protocol/encoding.ts";
import { type Jwk, identityId, jwkPublic } from "../protocol/ids.ts";
import { shape } from "../protocol/shape.ts";

const UNCOMPRESSED = new Uint8Array([4]);
const SHAPE = shape({ sign: "bytes:48", store: "bytes:48" });

/** An identity as an encrypted store keeps it. */
export interface IdentityRow {
  sign: string;
  store: string;
}

/** Two P-384 scalars of 48 bytes: the first signs, the second opens stored keys (grid-v1). */
export class Identity {
  #jwk: Jwk | undefined;

  constructor(
    readonly sign: Bytes,
    readonly store: Bytes,
  ) {}

  /** The public signing key. */
  get jwk(): Jwk {
    return (this.#jwk ??= jwkPublic(this.sign));
  }

  /** Its name in grid-v2 (GRID-002). */
  get id(): string {
    return identityId(this.jwk);
  }

  /** Its name in grid-v1 (GRID-002). */
  get id1(): string {
    return thumbprint1(this.jwk);
  }

  /** ES384 over `message`, 96 bytes (CRY-008). */
  signer(message: Uint8Array): Bytes {
    return es384Sign(this.sign, message);
  }

  /** Plain JSON values for an encrypted store. */
  dump(): IdentityRow {
    return { sign: b64e(this.sign), store: b64e(this.store) };
  }

  /** Inverse of `dump`. Throws FormatError, for scalars out of range too (CRY-007). */
  static load(row: unknown): Identity {
    SHAPE(row);
    const { sign, store } = row as IdentityRow;
    const found = new Identity(b64d(sign), b64d(store));
    for (const scalar of [found.sign, found.store]) p384Public(scalar);
    return found;
  }
}

/** A fresh identity: two scalars (GRID-001). */
export function newIdentity(rng: Rng): Identity {
  const sign = newScalar(rng);
  return new Identity(sign, newScalar(rng));
}

/** A fresh P-384 scalar, 48 bytes: 56 random bytes mod (n - 1), plus 1 (GRID-001, FIPS 186-5 A.2.1). */
export function newScalar(rng: Rng): Bytes {
  let drawn = 0n;
  for (const byte of rng(P384_BYTES + 8)) drawn = (drawn << 8n) | BigInt(byte);
  let value = (drawn % (P384_ORDER - 1n)) + 1n;
  const out = new Uint8Array(P384_BYTES);
  for (let at = P384_BYTES - 1; at >= 0; at -= 1) {
    out[at] = Number(value & 255n);
    value >>= 8n;
  }
  return out;
}

/** WhisperGrid's name of a key: RFC 7638 but for the first member's name, which it spells `crf` (GRID-002). */
export function thumbprint1(jwk: Jwk): string {
  const text = `{"crf":"${jwk.crv}","kty":"${jwk.kty}","x":"${jwk.x}","y":"${jwk.y}"}`;
  return `id-${b64e(sha256(textBytes(text)))}`;
}

/** Whether two public keys are one. */
export function sameKey(one: Jwk, other: Jwk): boolean {
  return one.x === other.x && one.y === other.y;
}

/** The key as `0x04 || x || y`, 97 bytes (GRID-003). */
export function point(jwk: Jwk): Bytes {
  return concat(UNCOMPRESSED, b64d(jwk.x), b64d(jwk.y));
}

/** Inverse of `point`. Throws FormatError for what is no uncompressed point of P-384 (GRID-003, CRY-010). */
export function jwkOfPoint(data: Uint8Array): Jwk {
  hpkeCheckPublic("p384", data);
  return { kty: "EC", crv: "P-384", x: b64e(data.subarray(1, 49)), y: b64e(data.subarray(49)) };
}

/** `0x04 || x || y` of a private scalar. */
export function publicPoint(scalar: Uint8Array): Bytes {
  const { x, y } = p384Public(scalar);
  return concat(UNCOMPRESSED, x, y);
}

/** ECDH: the shared x coordinate, 48 bytes. `theirs` is a point of 97 bytes (GRID-003). Throws FormatError. */
export function agree(scalar: Uint8Array, theirs: Uint8Array): Bytes {
  if (theirs.length !== P384_PUBLIC_LENGTH || theirs[0] !== 4) throw new FormatError("not an uncompressed point");
  return p384Ecdh(scalar, theirs.subarray(1, 49), theirs.subarray(49));
}
