/**
 * X-Wing (CRY-009): ML-KEM-768 by its library, X25519 by the platform, joined as the draft says. Called by `crypto.ts` only.
 *
 * As a KEM for the HPKE library: only what receiving keys of devices are used for.
 */

import type { CipherSuite } from "@hpke/core";
import { MlKem768, sha3_256, shake256 } from "mlkem";

type Bytes = Uint8Array<ArrayBuffer>;
type Kem = CipherSuite["kem"];

const ID = 0x647a as Kem["id"];
const SEED = 32;
const SHARED = 32;
const KEM_PUBLIC = 1184;
const KEM_CIPHERTEXT = 1088;
const PUBLIC = KEM_PUBLIC + 32;
const ENC = KEM_CIPHERTEXT + 32;
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

interface Key {
  readonly bytes: Bytes;
}

const keyOf = (data: ArrayBufferLike | ArrayBufferView | JsonWebKey, length: number): CryptoKey => {
  const bytes = data instanceof ArrayBuffer ? new Uint8Array(data) : new Uint8Array(0);
  if (bytes.length !== length) throw new RangeError("length of an X-Wing key");
  return { bytes } satisfies Key as unknown as CryptoKey;
};
const bytesOf = (key: unknown): Bytes => (key as Key).bytes;
const unused = (): never => {
  throw new TypeError("not a use of X-Wing here");
};

export const xwing: Kem = {
  id: ID, secretSize: SHARED, encSize: ENC, publicKeySize: PUBLIC, privateKeySize: SEED,
  serializePublicKey: unused, serializePrivateKey: unused, deserializePrivateKey: unused, generateKeyPair: unused,
  deriveKeyPair: unused,
  deserializePublicKey: async (data) => keyOf(data, PUBLIC),
  importKey: async (_, data) => keyOf(data, SEED),
  encap: async ({ recipientPublicKey }) => {
    const key = bytesOf(recipientPublicKey);
    const [own, theirs] = [await ephemeral(), key.slice(KEM_PUBLIC)];
    const shared = await agree(own.secret, theirs);
    const [sent, secret] = await mlkem.encap(key.subarray(0, KEM_PUBLIC));
    return { sharedSecret: combine(secret, shared, own.point, theirs).buffer, enc: join(sent, own.point).buffer };
  },
  decap: async ({ recipientKey, enc }) => {
    const [sent, { own, secret }] = [new Uint8Array(enc as ArrayBuffer), await pairs(bytesOf(recipientKey))];
    if (sent.length !== ENC) throw new RangeError("length of an X-Wing encapsulation");
    const point = sent.slice(KEM_CIPHERTEXT);
    const shared = await agree(own.secret, point);
    const opened = await mlkem.decap(sent.subarray(0, KEM_CIPHERTEXT), secret);
    return combine(opened, shared, point, own.point).buffer;
  },
};
