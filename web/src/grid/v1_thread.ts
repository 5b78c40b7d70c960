/**
 * What a grid-v1 conversation is made of, as plain data with a form for an encrypted store.
 *
 * Spec: GRID-010, GRID-030, GRID-034.
 */

import type { Bytes } from "../crypto.ts";
import { FormatError } from "../errors.ts";
import { b64d, b64e } from "../protocol/encoding.ts";
import { type Jwk, jwkPublic } from "../protocol/ids.ts";
import { shape } from "../protocol/shape.ts";
import { thumbprint1 } from "./keys.ts";
import * as places from "./places.ts";
import { MAX_TOKEN, sharedKey } from "./v1_jws.ts";

export const WRAP = 2 ** 52;
/** What every conversation of this profile is marked with for as long as it exists (GRID-034). */
export const BADGE = "no-forward-secrecy";
export const [MAX_NAME, MAX_RELAY] = [1024, 2048];
const HELD = shape({ compact: `text:${MAX_TOKEN}`, scalar: "bytes:48" });
const SIDE = shape({ first: "int", runs: `list:${places.MAX_RUNS}:object` });
const THREAD = shape({
  th: "text:64",
  me: "jwk",
  them: "jwk",
  scalar: "bytes:48",
  epk: "jwk",
  invite: `text:${MAX_TOKEN}`,
  "mine?": "object",
  "theirs?": "object",
  nickname: `text:${MAX_NAME}`,
  relay: `text:${MAX_RELAY}`,
});

/** An own invitation and the scalar (48 bytes) of its key. */
export interface Held {
  readonly compact: string;
  readonly scalar: Bytes;
}

/** The name of an invitation's key, by which replies call it. */
export function heldName(held: Held): string {
  return thumbprint1(jwkPublic(held.scalar));
}

export interface HeldRow {
  compact: string;
  scalar: string;
}

/** Plain JSON values for an encrypted store. */
export function dumpHeld(held: Held): HeldRow {
  return { compact: held.compact, scalar: b64e(held.scalar) };
}

/** Inverse of `dumpHeld`. Throws FormatError. */
export function loadHeld(row: unknown): Held {
  HELD(row);
  const { compact, scalar } = row as HeldRow;
  return { compact, scalar: b64d(scalar) };
}

/** One side's chain: the number of its opening, and which places from there on are held (GRID-030). */
export interface Side {
  readonly first: number;
  readonly runs: places.Runs;
}

export function newSide(first: number): Side {
  return { first, runs: places.OPENING };
}

/** How far `number` is from the opening's. Throws FormatError for 0, to which no number leads. */
export function placeOf(side: Side, number: number): number {
  if (number >= side.first) return number - side.first;
  if (number === 0) throw new FormatError("no message has number 0 after another");
  return WRAP - side.first + number - 1;
}

/** Inverse of `placeOf`. */
export function numberOf(side: Side, place: number): number {
  const left = WRAP - side.first;
  return place < left ? side.first + place : place - left + 1;
}

interface SideRow {
  first: number;
  runs: places.Run[];
}

function dumpSide(side: Side): SideRow {
  return { first: side.first, runs: places.dump(side.runs) };
}

function loadSide(row: unknown): Side {
  SIDE(row);
  const { first, runs } = row as SideRow;
  if (first >= WRAP) throw new FormatError("message number");
  return { first, runs: places.load(runs) };
}

/**
 * A conversation of two.
 *
 * `th` is its name (hex); `me` and `them` the signing keys; `scalar` the own conversation key, `epk` the other's;
 * `invite` the invitation it began with; `mine` and `theirs` the chains, undefined before their first token;
 * `nickname` and `relay` what the other says of itself.
 */
export interface Thread {
  readonly th: string;
  readonly me: Jwk;
  readonly them: Jwk;
  readonly scalar: Bytes;
  readonly epk: Jwk;
  readonly invite: string;
  readonly mine: Side | undefined;
  readonly theirs: Side | undefined;
  readonly nickname: string;
  readonly relay: string;
}

/** The one key of the conversation, 32 bytes (GRID-024). */
export function keyOf(thread: Thread): Bytes {
  return sharedKey(thread.scalar, thread.epk);
}

/** Places of the other's chain that have not come, as [first, last] (GRID-011). */
export function missing(thread: Thread): places.Gap[] {
  return thread.theirs === undefined ? [] : places.gaps(thread.theirs.runs);
}

export interface ThreadRow {
  th: string;
  me: Jwk;
  them: Jwk;
  scalar: string;
  epk: Jwk;
  invite: string;
  nickname: string;
  relay: string;
  mine?: SideRow;
  theirs?: SideRow;
}

/** Plain JSON values for an encrypted store. */
export function dump(thread: Thread): ThreadRow {
  const { th, me, them, epk, invite, nickname, relay, mine, theirs } = thread;
  return {
    th, me, them, scalar: b64e(thread.scalar), epk, invite, nickname, relay,
    ...(mine === undefined ? {} : { mine: dumpSide(mine) }),
    ...(theirs === undefined ? {} : { theirs: dumpSide(theirs) }),
  };
}

/** Inverse of `dump`. Throws FormatError. */
export function load(row: unknown): Thread {
  THREAD(row);
  const { scalar, mine, theirs, ...plain } = row as ThreadRow;
  return {
    ...plain,
    scalar: b64d(scalar),
    mine: mine === undefined ? undefined : loadSide(mine),
    theirs: theirs === undefined ? undefined : loadSide(theirs),
  };
}
