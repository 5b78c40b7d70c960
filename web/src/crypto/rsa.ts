/**
 * RSA-OAEP, only for devices that have nothing else and for live transfer. Its keys are checked before anything is sealed
 * to them; what does not open says no more than that. Spec: SHR-007, LIVE-002, CERT-006.
 */

import { DecryptFailed, FormatError } from "../errors.ts";

type Bytes = Uint8Array<ArrayBuffer>;

const { subtle } = globalThis.crypto;
const own = (data: Uint8Array): Bytes => new Uint8Array(data);

const OAEP = { name: "RSA-OAEP", hash: "SHA-256" };

function base64url(data: Uint8Array): string {
  return btoa(String.fromCharCode(...data)).replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", "");
}

const RSA_LENGTH = 512;

/** Odd primes up to 167: modulo each, a modulus of the broken generator of CVE-2017-15361 is a power of 65537. */
function* powers(): Iterable<[p: number, of: Set<number>]> {
  for (let p = 3; p < 168; p += 2) {
    if ([3, 5, 7, 11].some((q) => p % q === 0 && p !== q)) continue;
    const of = new Set<number>();
    for (let power = 1; !of.has(power); power = (power * 65537) % p) of.add(power);
    yield [p, of];
  }
}

/**
 * Refuse a modulus that is not of 4096 bits, is even, or comes from the generator whose keys can be factored, as its
 * remainders show (CERT-006, SHR-007, LIVE-002). Throws FormatError.
 */
export function rsaCheckPublic(modulus: Uint8Array): void {
  const whole = modulus.length === RSA_LENGTH && modulus[0]! >= 0x80 && modulus[RSA_LENGTH - 1]! % 2 === 1;
  if (!whole) throw new FormatError("RSA modulus");
  const rest = (p: number): number => modulus.reduce((left, byte) => (left * 256 + byte) % p, 0);
  if ([...powers()].every(([p, of]) => of.has(rest(p)))) throw new FormatError("RSA modulus of a broken generator");
}

/** A fresh RSA-4096 key: its modulus, and an opener with the private half, which cannot be taken out (LIVE-002). */
export async function rsaGenerate(): Promise<{ modulus: Bytes; unseal: (sealed: Uint8Array) => Promise<Bytes> }> {
  const asked = { ...OAEP, modulusLength: RSA_LENGTH * 8, publicExponent: Uint8Array.of(1, 0, 1) };
  const { publicKey, privateKey: secret } = await subtle.generateKey(asked, false, ["encrypt", "decrypt"]);
  const { n } = await subtle.exportKey("jwk", publicKey);
  const modulus = unpacked(n!);
  return { modulus, unseal: (sealed) => opened(secret, sealed) };
}

const standard = (text: string): string => text.replaceAll("-", "+").replaceAll("_", "/");
const unpacked = (text: string): Bytes => own(Uint8Array.from(atob(standard(text)), (one) => one.charCodeAt(0)));

/** The secret of a fresh RSA-4096 receiving key, PKCS #8 in DER, for a device that keeps it (SLOT-005). */
export async function rsaNewSecret(): Promise<Bytes> {
  const asked = { ...OAEP, modulusLength: RSA_LENGTH * 8, publicExponent: Uint8Array.of(1, 0, 1) };
  const { privateKey } = await subtle.generateKey(asked, true, ["encrypt", "decrypt"]);
  return new Uint8Array(await subtle.exportKey("pkcs8", privateKey));
}

/** The modulus (512 bytes) of a private key in PKCS #8 (SHR-007). Throws FormatError for any other key. */
export async function rsaPublic(secret: Uint8Array): Promise<Bytes> {
  const refuse = (): never => {
    throw new FormatError("RSA private key");
  };
  const key = await subtle.importKey("pkcs8", own(secret), OAEP, true, ["decrypt"]).catch(refuse);
  const { n, e } = await subtle.exportKey("jwk", key);
  const modulus = unpacked(n!);
  if (e !== "AQAB") refuse();
  rsaCheckPublic(modulus);
  return modulus;
}

async function opened(key: CryptoKey, sealed: Uint8Array): Promise<Bytes> {
  try {
    return new Uint8Array(await subtle.decrypt(OAEP, key, own(sealed)));
  } catch {
    throw new DecryptFailed("rsa");
  }
}

/** RSA-OAEP with SHA-256, e = 65537, no label, for a modulus of 512 bytes (SHR-007). Throws FormatError. */
export async function rsaSeal(modulus: Uint8Array, data: Uint8Array): Promise<Bytes> {
  try {
    const jwk = { kty: "RSA", alg: "RSA-OAEP-256", e: "AQAB", n: base64url(modulus) };
    const key = await subtle.importKey("jwk", jwk, OAEP, false, ["encrypt"]);
    return new Uint8Array(await subtle.encrypt(OAEP, key, own(data)));
  } catch {
    throw new FormatError("RSA modulus");
  }
}

/** Inverse of rsaSeal; `secret` is PKCS #8 in DER. Throws DecryptFailed for every kind of failure (SHR-007). */
export async function rsaOpen(secret: Uint8Array, sealed: Uint8Array): Promise<Bytes> {
  const key = await subtle.importKey("pkcs8", own(secret), OAEP, false, ["decrypt"]).catch(() => {
    throw new DecryptFailed("rsa");
  });
  return opened(key, sealed);
}
