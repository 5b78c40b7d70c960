/**
 * The only door to the cryptography libraries, as in `src/cloister/crypto.py`.
 *
 * Signatures of devices are verified by WebCrypto only, because its verdict is that of CRY-006; the curve library
 * checks keys once. Small hashes are synchronous (a promise costs more than the hash). A failed check throws.
 * Spec: CRY-001 to CRY-012.
 */

import { ed25519 } from "@noble/curves/ed25519.js";
import { p384 } from "@noble/curves/nist.js";
import { hkdf } from "@noble/hashes/hkdf.js";
import { hmac } from "@noble/hashes/hmac.js";
import { sha256 as nobleSha256 } from "@noble/hashes/sha2.js";

import { xwingFrom, xwingPublic, xwingTo } from "./crypto/xwing.ts";
import { type CloisterError, DecryptFailed, FormatError, SignatureInvalid, part } from "./errors.ts";

export { rsaCheckPublic, rsaGenerate, rsaNewSecret, rsaOpen, rsaPublic, rsaSeal } from "./crypto/rsa.ts";

export type Bytes = Uint8Array<ArrayBuffer>;

/** Where a maker's random bytes come from; `randomBytes` outside tests (CRY-001). */
export type Rng = (length: number) => Bytes;

export const P384_BYTES = 48;
export const P384_ORDER = p384.Point.Fn.ORDER;
export const P384_PUBLIC_LENGTH = 97;
export const XWING_PUBLIC_LENGTH = 1216;
export const XWING_ENC_LENGTH = 1120;
const ML_KEM_PUBLIC_LENGTH = 1184;
const subtle = globalThis.crypto.subtle;

/** `length` bytes from the operating system's generator (CRY-001). */
export function randomBytes(length: number): Bytes {
  return globalThis.crypto.getRandomValues(new Uint8Array(length));
}

/** A copy backed by its own ArrayBuffer, which is what WebCrypto's types ask for. */
export function own(data: Uint8Array): Bytes {
  return new Uint8Array(data);
}

export function concat(...parts: Uint8Array[]): Bytes {
  const out = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    out.set(part, at);
    at += part.length;
  }
  return out;
}

/** Equal bytes, in time that depends on the length only. */
function same(left: Uint8Array, right: Uint8Array): boolean {
  if (left.length !== right.length) return false;
  let difference = 0;
  for (let i = 0; i < left.length; i += 1) difference |= left[i]! ^ right[i]!;
  return difference === 0;
}

/** Compare in constant time; throw `error` when different (CRY-002). Where many are compared it is made only then. */
export function requireEqual(left: Uint8Array, right: Uint8Array, error: CloisterError | (() => CloisterError)): void {
  if (!same(left, right)) throw typeof error === "function" ? error() : error;
}

export function sha256(data: Uint8Array): Bytes {
  return own(nobleSha256(data));
}

export function hmacSha256(key: Uint8Array, data: Uint8Array): Bytes {
  return own(hmac(nobleSha256, key, data));
}

/** HKDF-SHA-256, extract and expand; an empty salt means 32 zero bytes (CRY-004). */
export function hkdfSha256(ikm: Uint8Array, salt: Uint8Array, info: Uint8Array, length: number): Bytes {
  return own(hkdf(nobleSha256, ikm, salt.length === 0 ? undefined : salt, info, length));
}

/** A key of AES-256-GCM held by the platform: used often, or kept by the browser without ever being readable. */
export type HeldKey = CryptoKey;

/** Hand 32 bytes to the platform, which does not give them back. */
export function aeadKey(key: Uint8Array): Promise<HeldKey> {
  return subtle.importKey("raw", own(key), "AES-GCM", false, ["encrypt", "decrypt"]);
}

/** A fresh key that nobody can read (VLT-004). */
export function newHeldKey(): Promise<HeldKey> {
  return subtle.generateKey({ name: "AES-GCM", length: 256 }, false, ["encrypt", "decrypt"]);
}

function held(key: Uint8Array | HeldKey): HeldKey | Promise<HeldKey> {
  return key instanceof Uint8Array ? aeadKey(key) : key;
}

/** AES-256-GCM: ciphertext followed by the 16-byte tag (CRY-003). */
export async function aeadSeal(key: Uint8Array | HeldKey, nonce: Uint8Array, text: Uint8Array, aad: Uint8Array): Promise<Bytes> {
  const algorithm = { name: "AES-GCM", iv: own(nonce), additionalData: own(aad) };
  return new Uint8Array(await subtle.encrypt(algorithm, await held(key), own(text)));
}

/** Inverse of aeadSeal. Throws DecryptFailed for every kind of failure (CRY-003). */
export async function aeadOpen(
  key: Uint8Array | HeldKey,
  nonce: Uint8Array,
  sealed: Uint8Array,
  aad: Uint8Array,
): Promise<Bytes> {
  if ((key instanceof Uint8Array && key.length !== 32) || nonce.length !== 12) throw new DecryptFailed("aead");
  try {
    const algorithm = { name: "AES-GCM", iv: own(nonce), additionalData: own(aad) };
    return new Uint8Array(await subtle.decrypt(algorithm, await held(key), own(sealed)));
  } catch {
    throw new DecryptFailed("aead");
  }
}

export interface Argon2Cost {
  memoryKib: number;
  passes: number;
  lanes: number;
  length?: number;
}

/** Argon2id (RFC 9106; CRY-004). Throws Unreachable. */
export async function argon2id(secret: Uint8Array, salt: Uint8Array, cost: Argon2Cost): Promise<Bytes> {
  return own(await (await part(import("./crypto/argon2.ts"))).argon2id({
    password: secret, salt, memorySize: cost.memoryKib, iterations: cost.passes, parallelism: cost.lanes,
    hashLength: cost.length ?? 32, outputType: "binary",
  }));
}

/** PBKDF2-HMAC-SHA-256 (CRY-004). */
export async function pbkdf2Sha256(secret: Uint8Array, salt: Uint8Array, iterations: number, length = 32): Promise<Bytes> {
  const key = await subtle.importKey("raw", own(secret), "PBKDF2", false, ["deriveBits"]);
  const algorithm = { name: "PBKDF2", hash: "SHA-256", salt: own(salt), iterations };
  return new Uint8Array(await subtle.deriveBits(algorithm, key, length * 8));
}

// --- Ed25519 (device keys, invite keys) ----------------------------------------------------------------------------

export function ed25519Public(seed: Uint8Array): Bytes {
  return own(ed25519.getPublicKey(seed));
}

/** What stands before the 32 bytes of a seed in PKCS #8. */
const ED25519_PKCS8 = new Uint8Array([0x30, 46, 2, 1, 0, 0x30, 5, 6, 3, 0x2b, 0x65, 0x70, 4, 34, 4, 32]);
const signingKeys = new Map<string, Promise<CryptoKey>>();

function signingKey(seed: Uint8Array): Promise<CryptoKey> {
  const name = String.fromCharCode(...seed);
  const known = signingKeys.get(name);
  if (known !== undefined) return known;
  if (signingKeys.size >= 16) signingKeys.clear();
  const made = subtle.importKey("pkcs8", concat(ED25519_PKCS8, seed), "Ed25519", false, ["sign"]);
  signingKeys.set(name, made);
  return made;
}

/** Signature, 64 bytes, deterministic (CRY-006). */
export async function ed25519Sign(seed: Uint8Array, message: Uint8Array): Promise<Bytes> {
  return new Uint8Array(await subtle.sign("Ed25519", await signingKey(seed), own(message)));
}

/** Accept only a canonical point of the prime-order subgroup, not the identity (CRY-005). Throws FormatError. */
export function ed25519CheckPublic(key: Uint8Array): void {
  let point;
  try {
    point = ed25519.Point.fromBytes(key, false);
  } catch {
    throw new FormatError("Ed25519 public key is not canonical");
  }
  if (!same(point.toBytes(), key) || point.is0() || !point.isTorsionFree()) {
    throw new FormatError("Ed25519 public key is not in the prime-order subgroup");
  }
}

const deviceKeys = new Map<string, Promise<CryptoKey>>();

function ed25519Key(key: Uint8Array): Promise<CryptoKey> {
  const name = String.fromCharCode(...key);
  const known = deviceKeys.get(name);
  if (known !== undefined) return known;
  ed25519CheckPublic(key);
  const made = subtle.importKey("raw", own(key), "Ed25519", true, ["verify"]);
  if (deviceKeys.size >= 4096) deviceKeys.clear();
  deviceKeys.set(name, made);
  return made;
}

/** Verify without cofactor, R compared bytewise, S < L (CRY-006). Throws SignatureInvalid or FormatError. */
export async function ed25519Verify(key: Uint8Array, signature: Uint8Array, message: Uint8Array): Promise<void> {
  const imported = await ed25519Key(key);
  if (signature.length !== 64 || !(await subtle.verify("Ed25519", imported, own(signature), own(message)))) {
    throw new SignatureInvalid("Ed25519");
  }
}

// --- P-384 (identity keys) -----------------------------------------------------------------------------------------

/** Throws FormatError unless (x, y), 48 bytes each, is a point of P-384 (CRY-007). */
export function p384CheckPublic(x: Uint8Array, y: Uint8Array): void {
  if (x.length !== P384_BYTES || y.length !== P384_BYTES) throw new FormatError("P-384 coordinate is not 48 bytes");
  try {
    p384.Point.fromBytes(concat(new Uint8Array([4]), x, y)).assertValidity();
  } catch {
    throw new FormatError("not a point of P-384");
  }
}

/** Affine coordinates of a private scalar (CRY-007). */
export function p384Public(scalar: Uint8Array): { x: Bytes; y: Bytes } {
  if (scalar.length !== P384_BYTES || !p384.utils.isValidSecretKey(scalar)) {
    throw new FormatError("P-384 private scalar out of range");
  }
  const point = p384.getPublicKey(scalar, false);
  return { x: own(point.subarray(1, 49)), y: own(point.subarray(49)) };
}

/** The shared x coordinate, 48 bytes (SP 800-56A, 5.7.1.2). Throws FormatError for a scalar or point that is none (CRY-007). */
export function p384Ecdh(scalar: Uint8Array, x: Uint8Array, y: Uint8Array): Bytes {
  if (scalar.length !== P384_BYTES || !p384.utils.isValidSecretKey(scalar)) {
    throw new FormatError("P-384 private scalar out of range");
  }
  p384CheckPublic(x, y);
  return own(p384.getSharedSecret(scalar, concat(new Uint8Array([4]), x, y), false).subarray(1, 49));
}

/** r || s, 96 bytes, with RFC 6979 nonces (CRY-008). */
export function es384Sign(scalar: Uint8Array, message: Uint8Array): Bytes {
  return own(p384.sign(message, scalar, { lowS: false }));
}

function integer(data: Uint8Array): bigint {
  let value = 0n;
  for (const byte of data) value = (value << 8n) | BigInt(byte);
  return value;
}

/** Verify r || s, each in 1 .. n-1 (CRY-008). Throws SignatureInvalid or FormatError. */
export async function es384Verify(x: Uint8Array, y: Uint8Array, signature: Uint8Array, message: Uint8Array): Promise<void> {
  p384CheckPublic(x, y);
  const [r, s] = [integer(signature.subarray(0, P384_BYTES)), integer(signature.subarray(P384_BYTES))];
  if (signature.length !== 2 * P384_BYTES || r === 0n || s === 0n || r >= P384_ORDER || s >= P384_ORDER) {
    throw new SignatureInvalid("ES384 form");
  }
  const curve = { name: "ECDSA", namedCurve: "P-384" };
  const key = await subtle.importKey("raw", concat(new Uint8Array([4]), x, y), curve, false, ["verify"]);
  if (!(await subtle.verify({ name: "ECDSA", hash: "SHA-384" }, key, own(signature), own(message)))) {
    throw new SignatureInvalid("ES384");
  }
}

// --- HPKE (RFC 9180 base mode), receiving keys -----------------------------------------------------------------------

export type Kem = "xwing" | "p384";

function requireKem(kem: string): asserts kem is Kem {
  if (kem !== "xwing" && kem !== "p384") throw new FormatError("unknown kem");
}

/** Public receiving key of a secret: "xwing" 32-byte seed, "p384" 48-byte scalar (CRY-009, CRY-010). */
export async function hpkePublic(kem: string, secret: Uint8Array): Promise<Bytes> {
  requireKem(kem);
  if (kem === "p384") {
    const { x, y } = p384Public(secret);
    return concat(new Uint8Array([4]), x, y);
  }
  if (secret.length !== 32) throw new FormatError("X-Wing seed is not 32 bytes");
  return xwingPublic(secret);
}

const P25519 = 2n ** 255n - 19n;
/** The coordinates of all points of curve and twist whose order divides the cofactor. */
const SMALL_ORDER = [
  0n, 1n, P25519 - 1n, 325606250916557431795983626356110631294008115727848805560023387167927233504n,
  39382357235489614581723060781553021112529911719440698176882885853963445705823n,
];

/** Refuse a receiving key that could not be sealed to (CRY-010). Throws FormatError. */
export function hpkeCheckPublic(kem: string, key: Uint8Array): void {
  requireKem(kem);
  if (kem === "p384") {
    if (key.length !== P384_PUBLIC_LENGTH || key[0] !== 4) throw new FormatError("P-384 receiving key form");
    p384CheckPublic(key.subarray(1, 49), key.subarray(49));
    return;
  }
  if (key.length !== XWING_PUBLIC_LENGTH) throw new FormatError("X-Wing public key is not 1216 bytes");
  // 768 coefficients of twelve bits, two in three bytes, then a 32-byte seed; then the X25519 key
  for (let at = 0; at < ML_KEM_PUBLIC_LENGTH - 32; at += 3) {
    const [a, b, c] = [key[at]!, key[at + 1]!, key[at + 2]!];
    if ((a | ((b & 15) << 8)) >= 3329 || ((b >> 4) | (c << 4)) >= 3329) throw new FormatError("ML-KEM coefficient");
  }
  const point = integer(key.slice(ML_KEM_PUBLIC_LENGTH).reverse()) & (2n ** 255n - 1n);
  if (SMALL_ORDER.includes(point % P25519)) throw new FormatError("X25519 key of small order");
}

const NO_AAD = new Uint8Array(0);

/** HPKE base mode, single shot: enc || ct (CRY-011). Throws FormatError for a key that cannot be sealed to. */
export async function hpkeSeal(kem: string, key: Uint8Array, info: Uint8Array, text: Uint8Array): Promise<Bytes> {
  hpkeCheckPublic(kem, key);
  if (kem === "xwing") {
    const to = await xwingTo(key, info);
    return concat(to.enc, await aeadSeal(to.key, to.nonce, text, NO_AAD));
  }
  const { p384Seal } = await part(import("./crypto/p384.ts"));
  const { enc, ct } = await p384Seal(own(key), own(info), own(text));
  return concat(new Uint8Array(enc), new Uint8Array(ct));
}

/** Inverse of hpkeSeal. Throws DecryptFailed for every kind of failure (CRY-011). */
export async function hpkeOpen(kem: string, secret: Uint8Array, info: Uint8Array, sealed: Uint8Array): Promise<Bytes> {
  requireKem(kem);
  const length = kem === "xwing" ? XWING_ENC_LENGTH : P384_PUBLIC_LENGTH;
  const [enc, ct] = [own(sealed.subarray(0, length)), own(sealed.subarray(length))];
  if (kem === "xwing" && secret.length !== 32) throw new FormatError("X-Wing seed is not 32 bytes");
  if (kem === "p384") p384Public(secret);
  const p384Hpke = kem === "p384" ? await part(import("./crypto/p384.ts")) : undefined;
  try {
    if (p384Hpke !== undefined) return new Uint8Array(await p384Hpke.p384Open(own(secret), own(info), enc, ct));
    const from = await xwingFrom(secret, enc, info);
    return await aeadOpen(from.key, from.nonce, ct, NO_AAD);
  } catch {
    throw new DecryptFailed("hpke");
  }
}

/** Drop the keys kept ready for use; called on lock and sign-out (CRY-012). */
export function forgetKeys(): void {
  deviceKeys.clear();
  signingKeys.clear();
}
