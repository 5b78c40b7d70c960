/**
 * HPKE in base mode with X-Wing (CRY-009, CRY-011): ML-KEM-768 by its library, X25519 by the platform.
 *
 * From a receiving key to the key and nonce of one sealing. Called by `crypto.ts` only.
 */

import { expand } from "@noble/hashes/hkdf.js";
import { hmac } from "@noble/hashes/hmac.js";
import { sha256 } from "@noble/hashes/sha2.js";
import { MlKem768, sha3_256, shake256 } from "mlkem";

type Bytes = Uint8Array<ArrayBuffer>;
const KEM_PUBLIC = 1184;
const KEM_CIPHERTEXT = 1088;
const LABEL = new TextEncoder().encode("\\.//^\\");
/** What stands before the 32 bytes of a private key in PKCS #8. */
const PKCS8 = new Uint8Array([0x30, 46, 2, 1, 0, 0x30, 5, 6, 3, 0x2b, 0x65, 0x6e, 4, 34, 4, 32]);
const BASE = new Uint8Array(32).fill(9, 0, 1);
const X25519 = "X25519";
const { subtle } = globalThis.crypto;
const mlkem = new MlKem768();

function join(...parts: readonly Uint8Array[]): Bytes {
  const out = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    out.set(part, at);
    at += part.length;
  }
  return out;
}

/** Shared point of two keys. Throws when it is the identity, so for every key of small order. */
async function agree(secret: CryptoKey, point: Bytes): Promise<Bytes> {
  const other = await subtle.importKey("raw", point, X25519, false, []);
  return new Uint8Array(await subtle.deriveBits({ name: X25519, public: other }, secret, 256));
}

interface Pair {
  readonly secret: CryptoKey;
  readonly point: Bytes;
}

async function ephemeral(): Promise<Pair> {
  const made = (await subtle.generateKey(X25519, false, ["deriveBits"])) as CryptoKeyPair;
  return { secret: made.privateKey, point: new Uint8Array(await subtle.exportKey("raw", made.publicKey)) };
}

async function stored(bytes: Uint8Array): Promise<Pair> {
  const secret = await subtle.importKey("pkcs8", join(PKCS8, bytes), X25519, false, ["deriveBits"]);
  return { secret, point: await agree(secret, BASE) };
}

/** Both key pairs of a seed. */
async function pairs(seed: Uint8Array): Promise<{ own: Pair; secret: Uint8Array; point: Uint8Array }> {
  const wide = shake256.create({ dkLen: 96 }).update(seed).digest();
  const [point, secret] = await mlkem.deriveKeyPair(wide.slice(0, 64));
  return { own: await stored(wide.subarray(64)), secret, point };
}

function combine(...parts: readonly [mlkem: Uint8Array, x25519: Uint8Array, sent: Uint8Array, key: Uint8Array]): Bytes {
  return new Uint8Array(sha3_256(join(...parts, LABEL)));
}

/** Public key of a 32-byte seed. */
export async function xwingPublic(seed: Uint8Array): Promise<Bytes> {
  const { own, point } = await pairs(seed);
  return join(point, own.point);
}

/** What one sealing is done with. */
export interface Schedule {
  readonly key: Bytes;
  readonly nonce: Bytes;
}

const encode = (text: string): Uint8Array => new TextEncoder().encode(text);
/** KEM X-Wing, KDF HKDF-SHA-256, AEAD AES-256-GCM, as RFC 9180 names them. */
const SUITE = join(encode("HPKE"), new Uint8Array([0x64, 0x7a, 0, 1, 0, 2]));
const VERSION = encode("HPKE-v1");
const NONE = new Uint8Array(0);

function extract(salt: Uint8Array, label: string, ikm: Uint8Array): Uint8Array {
  return hmac(sha256, salt, join(VERSION, SUITE, encode(label), ikm));
}

/** The key schedule of base mode (RFC 9180, section 5.1), for the one text that is ever sealed under it. */
function schedule(shared: Uint8Array, info: Uint8Array): Schedule {
  const context = join(new Uint8Array(1), extract(NONE, "psk_id_hash", NONE), extract(NONE, "info_hash", info));
  const secret = extract(shared, "secret", NONE);
  const of = (label: string, length: number): Bytes =>
    new Uint8Array(expand(sha256, secret, join(new Uint8Array([0, length]), VERSION, SUITE, encode(label), context), length));
  return { key: of("key", 32), nonce: of("base_nonce", 12) };
}

/** For a public key: what is sent along, and what to seal with. */
export async function xwingTo(key: Uint8Array, info: Uint8Array): Promise<Schedule & { readonly enc: Bytes }> {
  const [own, theirs] = [await ephemeral(), new Uint8Array(key.subarray(KEM_PUBLIC))];
  const shared = await agree(own.secret, theirs);
  const [sent, secret] = await mlkem.encap(key.subarray(0, KEM_PUBLIC));
  return { enc: join(sent, own.point), ...schedule(combine(secret, shared, own.point, theirs), info) };
}

/** For the seed of a key and what was sent along: what to open with. */
export async function xwingFrom(seed: Uint8Array, enc: Uint8Array, info: Uint8Array): Promise<Schedule> {
  const { own, secret } = await pairs(seed);
  const [sent, point] = [enc.subarray(0, KEM_CIPHERTEXT), new Uint8Array(enc.subarray(KEM_CIPHERTEXT))];
  const shared = await agree(own.secret, point);
  return schedule(combine(await mlkem.decap(sent, secret), shared, point, own.point), info);
}
