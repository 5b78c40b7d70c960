/** Sealed records of the account: nonce12 ‖ AES-256-GCM, and one error for everything wrong with one. Spec: SLOT-001. */

import { type Bytes, type HeldKey, type Rng, aeadOpen, aeadSeal, concat } from "../crypto.ts";
import { VaultError } from "../errors.ts";

const NONCE = 12;

export async function sealBox(key: Uint8Array | HeldKey, secret: Uint8Array, aad: Uint8Array, rng: Rng): Promise<Bytes> {
  const nonce = rng(NONCE);
  return concat(nonce, await aeadSeal(key, nonce, secret, aad));
}

/** The secret of a record; `length` when it must have one. Throws VaultError for every kind of failure. */
export async function openBox(
  key: Uint8Array | HeldKey,
  box: Uint8Array,
  aad: Uint8Array,
  length?: number,
): Promise<Bytes> {
  const secret = await sealed(() => aeadOpen(key, box.subarray(0, NONCE), box.subarray(NONCE), aad));
  if (length !== undefined && secret.length !== length) throw new VaultError();
  return secret;
}

/** What `read` gives; whatever it throws becomes the one error. */
export async function sealed<T>(read: () => T | Promise<T>): Promise<T> {
  try {
    return await read();
  } catch {
    throw new VaultError();
  }
}
