/**
 * A sphere's keys saved outside: one line of text for a file, a password manager or a picture.
 *
 * Sealed under a code made for it, or under a passphrase. What comes out is a guess like any other: only the own verified
 * log makes a key of it. The costs are constants here; a text that names others is refused before the code is touched.
 * Spec: EXP-001 to EXP-008.
 */

import { type Bytes, type Rng, aeadOpen, aeadSeal, argon2id, concat, requireEqual, sha256 } from "../crypto.ts";
import { CommitmentMismatch, Downgrade, FormatError, KeyUnknown, VaultError, WeakPassword } from "../errors.ts";
import { b64d, b64e, jsonEmit, jsonParse, kdf, lp, textBytes } from "../protocol/encoding.ts";
import type { History } from "../protocol/history.ts";
import { shape } from "../protocol/shape.ts";
import { type EpochKey, check, commitment } from "./epoch.ts";

const PREFIX = "sphsec1.";
const MAX_TEXT = 1 << 20;
const MAX_KEYS = 4096;
const LEAST_WORDS = 5;
const MAX_WORDS = 1024;
const SIGNS = 28;
const SECRET = 32;
/** No i l o u: these survive being read aloud or copied by hand. */
const ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz";
const BLANKS = /[ \t\r\n]+/g;
/** As for passwords: whoever steals the text pays this for every guess. */
const ARGON2 = { memoryKib: 65_536, passes: 3, lanes: 1 };
const COSTS = { alg: "argon2id", m: ARGON2.memoryKib, t: ARGON2.passes, p: ARGON2.lanes };
const checkHeader = shape({
  v: "int", by: "enum:code|words", kdf: "object", sph: "sph", eps: `list:${MAX_KEYS}:u32`, kcs: `list:${MAX_KEYS}:bytes:32`,
  iat: "int", n: "bytes:12", cm: "bytes:32",
});
const checkKdf = shape({ alg: "text:32", m: "int", t: "int", p: "int", salt: "bytes:16" });

export type By = "code" | "words";

/** What opens a saved text: the 16 bytes of a code, or the bytes of a passphrase. */
export interface Secret {
  readonly by: By;
  readonly data: Bytes;
}

/** A saved text as read, not opened; `eps` and `kcs` are what it claims to hold. */
export interface Export {
  readonly sph: string;
  readonly by: By;
  readonly eps: readonly number[];
  readonly kcs: readonly Bytes[];
  readonly iat: number;
  readonly salt: Bytes;
  readonly nonce: Bytes;
  readonly cm: Bytes;
  readonly aad: Bytes;
  readonly ct: Bytes;
}

/** What the own log says of opened keys: its own, of epochs it does not hold yet, and of other commitments. */
export interface Recognised {
  readonly keys: readonly EpochKey[];
  readonly unknown: readonly number[];
  readonly refused: readonly number[];
}

interface Header {
  v: number;
  by: By;
  kdf: { alg: string; m: number; t: number; p: number; salt: string };
  sph: string;
  eps: number[];
  kcs: string[];
  iat: number;
  n: string;
  cm: string;
}

/** A fresh code of 128 bits in seven groups of four (EXP-005). */
export const newCode = (rng: Rng): string => showCode(rng(16));

/** 16 bytes as people keep them (EXP-005). Throws FormatError. */
export function showCode(raw: Uint8Array): string {
  if (raw.length !== 16) throw new FormatError("EXP-005");
  const end = sha256(lp("sph/1 export code", raw));
  const bits = [...[...raw].map((byte) => byte.toString(2).padStart(8, "0")), "00",
    ((end[0]! << 2) | (end[1]! >> 6)).toString(2).padStart(10, "0")].join("");
  const signs = bits.match(/.{5}/g)!.map((five) => ALPHABET[parseInt(five, 2)]).join("");
  return signs.match(/.{4}/g)!.join("-");
}

/** A code as typed: any case, blanks and dashes; o is 0, i and l are 1 (EXP-005). Throws FormatError. */
export function readCode(text: string): Secret {
  if (/[^\0-\x7f]/.test(text)) throw new FormatError("EXP-005");
  const signs = text.toLowerCase().replace(/[- \t\r\n]/g, "").replaceAll("o", "0").replace(/[il]/g, "1");
  const values = [...signs].map((sign) => ALPHABET.indexOf(sign));
  if (signs.length !== SIGNS || values.includes(-1)) throw new FormatError("EXP-005");
  const bits = values.slice(0, 26).map((value) => value.toString(2).padStart(5, "0")).join("");
  const data = Uint8Array.from({ length: 16 }, (_, at) => parseInt(bits.slice(8 * at, 8 * at + 8), 2));
  if (showCode(data).replaceAll("-", "") !== signs) throw new FormatError("EXP-005");
  return { by: "code", data };
}

/** A passphrase: NFC, its words joined by single blanks (EXP-006). Throws WeakPassword: words, long or form. */
export function readWords(text: string): Secret {
  const refuse = (reason: string): never => {
    throw new WeakPassword("EXP-006", { data: { reason } });
  };
  const words = text.normalize("NFC").split(BLANKS).filter((word) => word !== "");
  const said = words.join(" ");
  if (words.length < LEAST_WORDS) refuse("words");
  if ([...said].length > MAX_WORDS) refuse("long");
  if (/\p{Surrogate}/u.test(said)) refuse("form");
  return { by: "words", data: textBytes(said) };
}

/** What was typed, read as the kind of secret that the text names. Throws FormatError, WeakPassword. */
export function readSecret(text: Export, typed: string): Secret {
  return text.by === "code" ? readCode(typed) : readWords(typed);
}

async function derive(secret: Secret, salt: Uint8Array, sph: string): Promise<{ key: Bytes; cm: Bytes }> {
  const both = kdf(await argon2id(secret.data, salt, ARGON2), salt, "export", lp(sph), 64);
  return { key: both.slice(0, 32), cm: both.slice(32) };
}

/** The text that holds these keys of one sphere (EXP-001 to EXP-004). Throws FormatError. */
export async function seal(keys: readonly EpochKey[], secret: Secret, iat: number, rng: Rng): Promise<string> {
  const chosen = [...keys].sort((one, two) => one.n - two.n);
  const sph = chosen[0]?.sph;
  if (sph === undefined || chosen.length > MAX_KEYS || chosen.some((key) => key.sph !== sph)) throw new FormatError("EXP-002");
  const salt = rng(16);
  const nonce = rng(12);
  const { key, cm } = await derive(secret, salt, sph);
  const kcs = chosen.map((one) => b64e(commitment(one.secret, one.prev, sph, one.n)));
  const header = {
    v: 1, by: secret.by, kdf: { ...COSTS, salt: b64e(salt) }, sph, eps: chosen.map((one) => one.n), kcs, iat,
    n: b64e(nonce), cm: b64e(cm),
  };
  const begin = PREFIX + b64e(jsonEmit(header));
  const ct = await aeadSeal(key, nonce, concat(...chosen.map((one) => one.secret)), textBytes(begin));
  return `${begin}.${b64e(ct)}`;
}

/** Read a text without opening it (EXP-001, EXP-002, EXP-007). Throws FormatError, Downgrade. */
export function parse(text: string): Export {
  if (text.length > MAX_TEXT) throw new FormatError("EXP-001");
  const packed = text.replace(BLANKS, "");
  const dot = packed.indexOf(".", PREFIX.length);
  if (!packed.startsWith(PREFIX) || dot < 0) throw new FormatError("EXP-001");
  const begin = packed.slice(0, dot);
  const parsed = jsonParse(b64d(begin.slice(PREFIX.length)));
  const ct = b64d(packed.slice(dot + 1));
  checkHeader(parsed);
  checkKdf(parsed["kdf"]);
  const { v, by, kdf: costs, sph, eps, kcs, iat, n, cm } = parsed as unknown as Header;
  if (v !== 1 || eps.length === 0 || eps.length !== kcs.length || ct.length !== SECRET * eps.length + 16) {
    throw new FormatError("EXP-002");
  }
  if (eps[0]! < 1 || eps.some((one, at) => at > 0 && one <= eps[at - 1]!)) throw new FormatError("EXP-002");
  const { alg, m, t, p } = costs;
  if (alg !== COSTS.alg || m !== COSTS.m || t !== COSTS.t || p !== COSTS.p) throw new Downgrade("EXP-002");
  return {
    sph, by, eps, kcs: kcs.map((kc) => b64d(kc)), iat, salt: b64d(costs.salt), nonce: b64d(n), cm: b64d(cm),
    aad: textBytes(begin), ct,
  };
}

/** Number to secret, as found (EXP-003, EXP-004, EXP-007). Throws VaultError (not its code), DecryptFailed (changed). */
export async function open(text: Export, secret: Secret): Promise<Map<number, Bytes>> {
  if (secret.by !== text.by) throw new VaultError("EXP-007");
  const { key, cm } = await derive(secret, text.salt, text.sph);
  requireEqual(cm, text.cm, new VaultError("EXP-007"));
  const plain = await aeadOpen(key, text.nonce, text.ct, text.aad);
  return new Map(text.eps.map((n, at) => [n, plain.slice(at * SECRET, (at + 1) * SECRET)]));
}

/** Which of the opened keys the own verified log of `sph` commits to (EXP-008, EPO-003). */
export function recognise(found: ReadonlyMap<number, Uint8Array>, log: History, sph: string): Recognised {
  const keys: EpochKey[] = [];
  const unknown: number[] = [];
  const refused: number[] = [];
  for (const [n, secret] of [...found].sort(([one], [two]) => one - two)) {
    try {
      keys.push(check(secret, log.epoch(n), sph));
    } catch (error) {
      if (error instanceof KeyUnknown) unknown.push(n);
      else if (error instanceof CommitmentMismatch) refused.push(n);
      else throw error;
    }
  }
  return { keys, unknown, refused };
}
