/**
 * From a password to what proves (`auth`) and what opens (`kek`). No parameter ever comes from a relay.
 *
 * Knows nothing of accounts or relays. Whoever calls drops the results. Spec: PPF-001 to PPF-008.
 */

import { type Bytes, argon2id, concat, pbkdf2Sha256, sha256 } from "../crypto.ts";
import { Downgrade, FormatError, WeakPassword, part } from "../errors.ts";
import { kdf, lp, textBytes } from "../protocol/encoding.ts";
import { guesses } from "./guesses.ts";

export const ARGON2 = { memoryKib: 65_536, passes: 3, lanes: 1 };
export const PBKDF2_ITERATIONS = 600_000;
const LEAST = 12;
const MOST = 1024;
const GUESSABLE = 1e8;
const NONE = new Uint8Array(0);

export interface Stretched {
  auth: Bytes;
  kek: Bytes;
  version: number;
}

function refuse(reason: "short" | "long" | "form" | "common"): never {
  throw new WeakPassword(reason, { data: { reason } });
}

/** The bytes of a password: UTF-8 of its NFC form (PPF-001). Throws WeakPassword. */
export function prepare(password: string): Bytes {
  if (/\p{Surrogate}/u.test(password)) refuse("form");
  const text = password.normalize("NFC");
  const length = [...text].length;
  if (length < LEAST) refuse("short");
  if (length > MOST) refuse("long");
  return textBytes(text);
}

/** Whether a text is a repetition of a unit of at most six characters (PPF-003). */
function repeats(text: string[]): boolean {
  return [1, 2, 3, 4, 5, 6].some((unit) => text.every((one, at) => at < unit || one === text[at - unit]));
}

/** Refuse a new password among the first guesses (PPF-003). Throws WeakPassword; Unreachable without the word lists. */
export async function checkNew(password: string, login: string): Promise<void> {
  prepare(password);
  const text = password.normalize("NFC").toLowerCase();
  const characters = [...text];
  const { PASSWORDS } = await part(import("./listed.ts"));
  if (PASSWORDS.has(text) || new Set(characters).size < 4 || repeats(characters)) refuse("common");
  if ((await guesses(text, login)) < GUESSABLE) refuse("common");
}

export interface Account {
  login: string;
  realm: Uint8Array;
  salt16: Uint8Array;
  /** 16 bytes where the person uses an account key (PPF-006). */
  accountKey?: Uint8Array | undefined;
  version?: number | undefined;
  /** Highest version this device has used with the account (PPF-008). */
  pinned?: number | undefined;
}

/** Slow derivation, then `auth` and `kek` (PPF-004 to PPF-008). Throws Downgrade, FormatError, WeakPassword. */
export async function stretch(password: string, account: Account): Promise<Stretched> {
  const { login, realm, salt16, accountKey, version = 1, pinned = 0 } = account;
  if ((version !== 0 && version !== 1) || version < pinned) throw new Downgrade("PPF-008");
  if (realm.length !== 16 || salt16.length !== 16) throw new FormatError("realm and salt are 16 bytes");
  if (accountKey !== undefined && accountKey.length !== 16) throw new FormatError("an account key is 16 bytes");
  const secret = prepare(password);
  const salt = sha256(lp("ppf-salt", realm, login, salt16)).subarray(0, 16);
  const slow =
    version === 1 ? await argon2id(secret, salt, ARGON2) : await pbkdf2Sha256(secret, salt, PBKDF2_ITERATIONS);
  const ikm = concat(slow, accountKey ?? NONE);
  const s = sha256(lp(realm, login));
  return { auth: kdf(ikm, s, "ppf-auth", NONE, 32), kek: kdf(ikm, s, "ppf-kek", NONE, 32), version };
}
