/**
 * Epoch secrets: derived, committed to in the log, linked backwards. The commitment alone makes a secret the right one.
 *
 * Spec: EPO-001 to EPO-005, EPO-010.
 */

import { type Bytes, type Rng, aeadOpen, aeadSeal, concat, own, requireEqual } from "../crypto.ts";
import { CommitmentMismatch, DecryptFailed, FormatError } from "../errors.ts";
import { kdf, lp } from "../protocol/encoding.ts";

const NONE = new Uint8Array(0);
const LINK = 60;
const MANY_MESSAGES = 1000;

export interface EpochKey {
  sph: string;
  n: number;
  secret: Bytes;
  /** H(SI) of the entry before the epoch's. */
  prev: Bytes;
}

/** What an epoch entry of the verified log says; an Epoch of the state fits. */
export interface EpochEntry {
  n: number;
  kc: Uint8Array;
  prev: Uint8Array;
}

function key(sph: string, n: number, prev: Uint8Array, make: () => Bytes): EpochKey {
  if (!Number.isInteger(n) || n < 1 || n > 0xffff_ffff || prev.length !== 32) throw new FormatError("EPO-001");
  return { sph, n, secret: make(), prev: own(prev) };
}

/** E_n from 32 fresh bytes (EPO-001). Throws FormatError. */
export function derive(r: Uint8Array, prev: Uint8Array, sph: string, n: number): EpochKey {
  if (r.length !== 32) throw new FormatError("EPO-001");
  return key(sph, n, prev, () => kdf(r, prev, "epoch", lp(sph, n), 32));
}

/** E_n from epoch m of the organisation (EPO-004). */
export function deriveOrg(org: Pick<EpochKey, "n" | "secret">, prev: Uint8Array, sph: string, n: number): EpochKey {
  return key(sph, n, prev, () => kdf(org.secret, NONE, "org-sphere", lp(sph, n, org.n), 32));
}

/** kc of a secret (EPO-002). */
export function commitment(secret: Uint8Array, prev: Uint8Array, sph: string, n: number): Bytes {
  return kdf(secret, prev, "kc", lp(sph, n), 32);
}

/** The key of an epoch, when the secret is it (EPO-003). Throws CommitmentMismatch. */
export function check(secret: Uint8Array, entry: EpochEntry, sph: string): EpochKey {
  if (secret.length !== 32) throw new CommitmentMismatch("EPO-003");
  requireEqual(commitment(secret, entry.prev, sph, entry.n), entry.kc, new CommitmentMismatch("EPO-003"));
  return { sph, n: entry.n, secret: own(secret), prev: own(entry.prev) };
}

/**
 * Whether a new epoch should be made before speaking: a soft mark, never a reason to refuse (EPO-010). `began` is the
 * earlier of the entry's iat and when this device first saw it, `T` in seconds (0: never), `opened` how many messages
 * this device has opened under it.
 */
export function isOld(began: number, now: number, T: number, opened: number): boolean {
  return (T > 0 && now - began > T) || opened > MANY_MESSAGES;
}

const linkKey = ({ secret, prev, sph, n }: EpochKey): Bytes => kdf(secret, prev, "prev-key", lp(sph, n), 32);
const linkAad = ({ sph, n }: EpochKey): Bytes => lp("sph/1 link", sph, n);

/** The blob that leads from an epoch to the one before it (EPO-005). */
export async function linkSeal(newer: EpochKey, older: Pick<EpochKey, "secret">, rng: Rng): Promise<Bytes> {
  const nonce = rng(12);
  return concat(nonce, await aeadSeal(linkKey(newer), nonce, older.secret, linkAad(newer)));
}

/** The older key out of a blob (EPO-005, EPO-003). Throws DecryptFailed, CommitmentMismatch. */
export async function linkOpen(blob: Uint8Array, newer: EpochKey, older: EpochEntry): Promise<EpochKey> {
  if (blob.length !== LINK) throw new DecryptFailed("EPO-005");
  const secret = await aeadOpen(linkKey(newer), blob.subarray(0, 12), blob.subarray(12), linkAad(newer));
  return check(secret, older, newer.sph);
}
