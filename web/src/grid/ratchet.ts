/**
 * The Double Ratchet over P-384: every message has a key of its own, and healing begins with the next turn of speech.
 *
 * A chain belongs to one ratchet key and begins at a place (`cs`), so a message needs only its ratchet key, the place
 * where its chain begins, and its own place. Keys of places that were passed over are kept, a thousand of them for thirty
 * days, and each is given out once. Spec: GRID-046 to GRID-049.
 */

import type { Bytes, Rng } from "../crypto.ts";
import { FormatError, Gap, KeyUnknown } from "../errors.ts";
import { b64d, b64e, kdf, lp } from "../protocol/encoding.ts";
import { shape } from "../protocol/shape.ts";
import { agree, newScalar, publicPoint } from "./keys.ts";

/** Places one message may pass over, and keys kept for them. */
export const MAX_SKIP = 1000;
/** Seconds a passed-over key is kept. */
export const KEEP = 30 * 86_400;
const NONE = new Uint8Array(0);
const SPARE = shape({ place: "int", at: "int", secret: "bytes:32" });
const SHAPE = shape({
  th: "bytes:16",
  root: "bytes:32",
  mine: "bytes:0-48",
  theirs: "bytes:97",
  sending: "bytes:0-32",
  start: "int",
  receiving: "bytes:0-32",
  begun: "int",
  next: "int",
  spare: `list:${MAX_SKIP}:object`,
});

/** The secret (32 bytes) of a place that was passed over at `at` (unix seconds). */
export interface Spare {
  readonly place: number;
  readonly at: number;
  readonly secret: Bytes;
}

/**
 * `root`, `sending`, `receiving`: keys of 32 bytes, a chain's empty where there is none. `mine`: the own ratchet scalar,
 * empty until the next message is written; `theirs`: the other's ratchet key, a point. The sending chain began at place
 * `start`, the receiving one at `begun`; `next` is the place its key stands at.
 */
export interface Ratchet {
  readonly th: Bytes;
  readonly root: Bytes;
  readonly mine: Bytes;
  readonly theirs: Bytes;
  readonly sending: Bytes;
  readonly start: number;
  readonly receiving: Bytes;
  readonly begun: number;
  readonly next: number;
  readonly spare: readonly Spare[];
}

type Stored<T> = { [name in keyof T]: T[name] extends Bytes ? string : T[name] };
export type RatchetRow = Omit<Stored<Ratchet>, "spare"> & { spare: Stored<Spare>[] };

/** Plain JSON values for an encrypted store. */
export function dump(ratchet: Ratchet): RatchetRow {
  return {
    th: b64e(ratchet.th), root: b64e(ratchet.root), mine: b64e(ratchet.mine), theirs: b64e(ratchet.theirs),
    sending: b64e(ratchet.sending), start: ratchet.start, receiving: b64e(ratchet.receiving), begun: ratchet.begun,
    next: ratchet.next, spare: ratchet.spare.map(({ place, at, secret }) => ({ place, at, secret: b64e(secret) })),
  };
}

/** Inverse of `dump`. Throws FormatError. */
export function load(value: unknown): Ratchet {
  SHAPE(value);
  const row = value as RatchetRow;
  row.spare.forEach(SPARE);
  return {
    th: b64d(row.th), root: b64d(row.root), mine: b64d(row.mine), theirs: b64d(row.theirs), sending: b64d(row.sending),
    start: row.start, receiving: b64d(row.receiving), begun: row.begun, next: row.next,
    spare: row.spare.map(({ place, at, secret }) => ({ place, at, secret: b64d(secret) })),
  };
}

/** The side that answered: `mine` its conversation scalar, `theirs` the invitation's key (GRID-046). */
export function beginReplier(root: Bytes, th: Bytes, mine: Bytes, theirs: Bytes): Ratchet {
  const [next, chain] = turn(root, agree(mine, theirs), th);
  return begun(th, next, theirs, { mine, sending: chain, receiving: NONE });
}

/** The side that invited: `mine` is the invitation's scalar, which is not kept (GRID-046). */
export function beginInviter(root: Bytes, th: Bytes, mine: Bytes, theirs: Bytes): Ratchet {
  const [next, chain] = turn(root, agree(mine, theirs), th);
  return begun(th, next, theirs, { mine: NONE, sending: NONE, receiving: chain });
}

function begun(th: Bytes, root: Bytes, theirs: Bytes, keys: Pick<Ratchet, "mine" | "sending" | "receiving">): Ratchet {
  return { th, root, theirs, ...keys, start: 1, begun: 1, next: 1, spare: [] };
}

function halves(made: Bytes): [Bytes, Bytes] {
  return [made.slice(0, 32), made.slice(32)];
}

/** KDF(dh, root, "dr-root", LP(th), 64): the next root and a chain (GRID-047). */
function turn(root: Bytes, shared: Bytes, th: Bytes): [Bytes, Bytes] {
  return halves(kdf(shared, root, "dr-root", lp(th), 64));
}

/** KDF(ck, "", "dr-chain", LP(th), 64): the chain's next key and the secret of this place (GRID-048). */
function step(chain: Bytes, th: Bytes): [Bytes, Bytes] {
  return halves(kdf(chain, NONE, "dr-chain", lp(th), 64));
}

/** Key and commitment of one place, 64 bytes: KDF(s, "", "dr-msg", LP(th, kid, seq), 64) (GRID-048). */
export function messageKey(secret: Bytes, th: Bytes, kid: string, place: number): Bytes {
  return kdf(secret, NONE, "dr-msg", lp(th, kid, place), 64);
}

/** The secret of the own message at `place`; turns the ratchet first where the other has spoken (GRID-047). */
export function send(ratchet: Ratchet, place: number, rng: Rng): [Ratchet, Bytes] {
  const ready = ratchet.sending.length > 0 ? ratchet : turnedOwn(ratchet, place, rng);
  const [sending, secret] = step(ready.sending, ready.th);
  return [{ ...ready, sending }, secret];
}

function turnedOwn(ratchet: Ratchet, place: number, rng: Rng): Ratchet {
  const mine = newScalar(rng);
  const [root, sending] = turn(ratchet.root, agree(mine, ratchet.theirs), ratchet.th);
  return { ...ratchet, root, mine, sending, start: place };
}

/** The point that goes with the sending chain. */
export function ownKey(ratchet: Ratchet): Bytes {
  return publicPoint(ratchet.mine);
}

/**
 * The secret of the other's message at `place` (GRID-047 to GRID-049).
 *
 * Throws KeyUnknown for a place whose key was given out or given up, Gap for one too far ahead, FormatError for a
 * ratchet key or beginning of a chain that cannot be.
 */
export function receive(ratchet: Ratchet, rk: Bytes, cs: number, place: number, now: number): [Ratchet, Bytes] {
  const kept = ratchet.spare.find((one) => one.place === place);
  if (kept !== undefined) return [{ ...ratchet, spare: ratchet.spare.filter((one) => one !== kept) }, kept.secret];
  if (place < ratchet.next) throw new KeyUnknown("the key of this place is gone", { data: { reason: "key-gone" } });
  const missing = place - ratchet.next;
  if (missing > MAX_SKIP) throw new Gap("too much is missing before this", { data: { missing } });
  const known = b64e(rk) === b64e(ratchet.theirs);
  if (known && (ratchet.receiving.length === 0 || cs !== ratchet.begun)) {
    throw new FormatError("a chain with another beginning");
  }
  const ready = known ? ratchet : turned(ratchet, rk, cs, now);
  if (place < cs) throw new FormatError("a message before its chain");
  const passed = pass(ready, place, now);
  const [receiving, secret] = step(passed.receiving, passed.th);
  return [{ ...passed, receiving, next: place + 1 }, secret];
}

/** The chain of a new ratchet key of the other, the rest of the old chain kept (GRID-047). */
function turned(ratchet: Ratchet, rk: Bytes, cs: number, now: number): Ratchet {
  const first = ratchet.receiving.length === 0;
  if (ratchet.mine.length === 0 || cs < ratchet.next || (first && cs !== 1)) {
    throw new FormatError("a ratchet key that answers none of ours");
  }
  const old = first ? ratchet : pass(ratchet, cs, now);
  const [root, receiving] = turn(old.root, agree(old.mine, rk), old.th);
  return { ...old, root, mine: NONE, theirs: rk, sending: NONE, receiving, begun: cs, next: cs };
}

/** Keep the secrets up to `place`, the oldest given up beyond a thousand (GRID-049). */
function pass(ratchet: Ratchet, place: number, now: number): Ratchet {
  let chain = ratchet.receiving;
  const spare = [...ratchet.spare];
  for (let passed = ratchet.next; passed < place; passed += 1) {
    const [next, secret] = step(chain, ratchet.th);
    chain = next;
    spare.push({ place: passed, at: now, secret });
  }
  return { ...ratchet, receiving: chain, next: Math.max(ratchet.next, place), spare: spare.slice(-MAX_SKIP) };
}

/** Without the keys that were kept for thirty days (GRID-049). */
export function expire(ratchet: Ratchet, now: number): Ratchet {
  const fresh = ratchet.spare.filter((one) => now - one.at <= KEEP);
  return fresh.length === ratchet.spare.length ? ratchet : { ...ratchet, spare: fresh };
}
