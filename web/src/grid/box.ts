/**
 * Everything one identity has off the grid, as one state: it takes any token and says what it was.
 *
 * The box holds keys, invitations and the state of conversations. Texts and tokens are the caller's to store: each act
 * gives them back once, and grid-v2 cannot give a text a second time. A token that came before what it needs can be given
 * again; `takeAll` does that within one paste. Spec: GRID-005, GRID-063, GRID-066.
 */

import { CheckFailed, FormatError, KeyUnknown, NotFound, Replay } from "../errors.ts";
import { b64d } from "../protocol/encoding.ts";
import { shape } from "../protocol/shape.ts";
import * as envelope from "./envelope.ts";
import { Identity, sameKey, thumbprint1 } from "./keys.ts";
import * as places from "./places.ts";
import * as pouches from "./pouch.ts";
import * as open from "./public.ts";
import { type Cut, type Kind, V1, V2, find, kindOf } from "./recognise.ts";
import * as v1 from "./v1.ts";
import type { Restored } from "./v1_backup.ts";
import * as jws from "./v1_jws.ts";
import * as thread1 from "./v1_thread.ts";
import * as v2 from "./v2.ts";
import * as thread2 from "./v2_thread.ts";

export const VERSION = 1;
/** Refusals that end when something else has come. */
export const WAITS: readonly string[] = ["C_KEY_UNKNOWN", "C_GAP"];
export type Thread = thread1.Thread | thread2.Thread;
const BOX = shape({
  v: "int",
  identity: "object",
  held1: "list:10000:object",
  held2: "list:10000:object",
  threads1: "list:10000:object",
  threads2: "list:10000:object",
});

/** The state. Conversations stand under their names, which the profiles make of different lengths. */
export interface Box {
  readonly identity: Identity;
  readonly held1: readonly thread1.Held[];
  readonly held2: readonly thread2.Held[];
  readonly threads: ReadonlyMap<string, Thread>;
}

export interface BoxRow {
  v: number;
  identity: unknown;
  held1: unknown[];
  held2: unknown[];
  threads1: unknown[];
  threads2: unknown[];
}

/** A box with nothing in it but an identity. */
export function empty(identity: Identity): Box {
  return { identity, held1: [], held2: [], threads: new Map() };
}

/** Whether a conversation is one of grid-v2. */
export function isV2(thread: Thread): thread is thread2.Thread {
  return "ratchet" in thread;
}

const isV1 = (thread: Thread): thread is thread1.Thread => !isV2(thread);

/** Plain JSON values for an encrypted store. */
export function dump(box: Box): BoxRow {
  const threads = [...box.threads.values()];
  return {
    v: VERSION,
    identity: box.identity.dump(),
    held1: box.held1.map(thread1.dumpHeld),
    held2: box.held2.map(thread2.dumpHeld),
    threads1: threads.filter(isV1).map(thread1.dump),
    threads2: threads.filter(isV2).map(thread2.dump),
  };
}

/** Inverse of `dump`. Throws FormatError. */
export function load(value: unknown): Box {
  BOX(value);
  const row = value as BoxRow;
  if (row.v !== VERSION) throw new FormatError("a box of another version");
  const all: Thread[] = [...row.threads1.map(thread1.load), ...row.threads2.map(thread2.load)];
  const threads = new Map(all.map((one) => [one.th, one]));
  if (threads.size !== all.length) throw new FormatError("two conversations of one name");
  const identity = Identity.load(row.identity);
  return { identity, held1: row.held1.map(thread1.loadHeld), held2: row.held2.map(thread2.loadHeld), threads };
}

/** A token that was made: to be stored, and then handed over. `after` as in a message. */
export interface Written {
  readonly profile: string;
  readonly compact: string;
  readonly th: string;
  readonly place: number;
  readonly after: number;
}

/**
 * What a token was. For an invitation `own` says whose it is, and `th` names the conversation that already came of it.
 */
export interface Taken {
  readonly profile: string;
  readonly compact: string;
  readonly content: v1.Invitation | open.Invitation | v1.Message | v2.Message | v2.Receipt;
  readonly th: string;
  readonly own: boolean;
}

// --- making --------------------------------------------------------------------------------------------------------

/** Make an invitation; all of `offer` but the note is of grid-v2. Throws FormatError. */
export function invite(
  box: Box,
  nickname: string,
  { profile = V2, ...offer }: v1.Making & v2.Offer & { profile?: string },
): [Box, Written] {
  const made = { th: "", place: 0, after: 0 };
  if (profile === V1) {
    const one = v1.invite(box.identity, nickname, offer);
    return [{ ...box, held1: [...box.held1, one] }, { ...made, profile: V1, compact: one.compact }];
  }
  const two = v2.invite(box.identity, nickname, offer);
  return [{ ...box, held2: [...box.held2, two] }, { ...made, profile: V2, compact: two.compact }];
}

/**
 * Answer an invitation, in its profile, once (GRID-063).
 * Throws Replay when it was answered before, and what `answer` of the profile throws.
 */
export async function answer(
  box: Box,
  token: string,
  nickname: string,
  text: string,
  making: v1.Making & { relay?: string },
): Promise<[Box, Written]> {
  const { profile, kind } = kindOfToken(token);
  if (kind !== envelope.INVITE && kind !== jws.INVITE) throw new FormatError("not an invitation");
  const invitation = jws.bare(token);
  if ([...box.threads.values()].some((one) => sameInvite(one, invitation))) {
    throw new Replay("this invitation was answered", { data: { reason: "answered" } });
  }
  const act = profile === V1 ? v1.answer : v2.answer;
  const [thread, compact] = await act(box.identity, invitation, nickname, text, making);
  return [withThread(box, thread), { profile, compact, th: thread.th, place: 0, after: 0 }];
}

/** The next message of a conversation. Throws NotFound, LogRollback, FormatError. */
export async function write(
  box: Box,
  th: string,
  text: string,
  making: v1.Making & { relay?: string },
): Promise<[Box, Written]> {
  const thread = conversation(box, th);
  if (isV2(thread)) {
    const [two, compact] = await v2.write(thread, box.identity, text, making);
    return [withThread(box, two), { profile: V2, compact, th, place: two.sent, after: places.upto(thread.runs) }];
  }
  const [one, compact] = await v1.write(thread, box.identity, text, making);
  const after = thread.theirs === undefined ? 0 : places.upto(thread.theirs.runs);
  return [withThread(box, one), { profile: V1, compact, th, place: places.last(one.mine!.runs), after }];
}

/** Say what has arrived (GRID-053). Throws NotFound; FormatError in grid-v1, which has no receipts. */
export async function receipt(box: Box, th: string, making: v1.Making): Promise<Written> {
  const thread = conversation(box, th);
  if (!isV2(thread)) throw new FormatError("grid-v1 has no receipts");
  return { profile: V2, compact: await v2.receipt(thread, box.identity, making), th, place: 0, after: 0 };
}

/** Throws NotFound. */
export function conversation(box: Box, th: string): Thread {
  const found = box.threads.get(th);
  if (found === undefined) throw new NotFound("no such conversation");
  return found;
}

// --- taking --------------------------------------------------------------------------------------------------------

/**
 * Take one token, of whichever kind (GRID-063).
 *
 * Throws KeyUnknown for a token of no conversation here, FormatError for one that is not handed to people, and what
 * reading it throws; the box is then as it was.
 */
export async function take(box: Box, token: string, now: number): Promise<[Box, Taken]> {
  const { profile, kind } = kindOfToken(token);
  const compact = jws.bare(token);
  if (kind === envelope.INVITE || kind === jws.INVITE) return [box, await invitationOf(box, profile, compact)];
  if (profile === V2 && [envelope.OPENING, envelope.REPLY, envelope.RECEIPT].some((one) => one === kind)) {
    return take2(box, compact, kind, now);
  }
  if (profile === V1 && (kind === jws.OPENING || kind === jws.REPLY)) return take1(box, compact, kind);
  throw new FormatError("not a token for a conversation", { data: { reason: "not-for-people", kind } });
}

async function invitationOf(box: Box, profile: string, compact: string): Promise<Taken> {
  const found = profile === V1 ? await v1.readInvite(compact) : await open.readInvite(compact);
  const own = sameKey(found.jwk, box.identity.jwk);
  const came = own ? undefined : [...box.threads.values()].find((one) => sameInvite(one, compact));
  return { profile, compact, content: found, th: came?.th ?? "", own };
}

/** Whether a conversation began with this invitation; its signature is no part of it (JWS-005). */
function sameInvite(thread: Thread, compact: string): boolean {
  return thread.invite.slice(0, thread.invite.lastIndexOf(".")) === compact.slice(0, compact.lastIndexOf("."));
}

function noConversation(): KeyUnknown {
  return new KeyUnknown("a message of no conversation here", { data: { reason: "no-conversation" } });
}

async function take1(box: Box, compact: string, kind: string): Promise<[Box, Taken]> {
  const known = box.threads.get(jws.decode(compact).header.re);
  if (kind !== jws.OPENING && (known === undefined || isV2(known))) throw noConversation();
  const [thread, content] =
    known !== undefined && isV1(known) ? await v1.read(known, compact) : await v1.accept(box.identity, box.held1, compact);
  return [withThread(box, thread), { profile: V1, compact, content, th: thread.th, own: content.status === "own" }];
}

async function take2(box: Box, compact: string, kind: string, now: number): Promise<[Box, Taken]> {
  const { header } = envelope.decode(compact, kind);
  const th = kind === envelope.OPENING ? await opened(box, header) : header.th;
  const known = box.threads.get(th);
  if (known !== undefined && isV2(known)) {
    const [thread, content] = await v2.read(known, compact, now);
    return [withThread(box, thread), { profile: V2, compact, content, th, own: content.status === "own" }];
  }
  if (kind !== envelope.OPENING) throw noConversation();
  const [used, thread, content] = await v2.accept(box.identity, box.held2, compact, now);
  const held2 = box.held2.map((one) => (one.compact === used.compact ? used : one));
  return [withThread({ ...box, held2 }, thread), { profile: V2, compact, content, th: thread.th, own: false }];
}

/** The name of the conversation an answer belongs to, "" when its invitation is not known. */
async function opened(box: Box, header: envelope.Header): Promise<string> {
  const began = [...box.threads.values()].filter(isV2).map((one) => one.invite);
  const compact = [...box.held2.map((one) => one.compact), ...began].find((one) => envelope.linkOf(one) === header.invite);
  return compact === undefined ? "" : open.threadName((await open.readInvite(compact)).epk, b64d(header.epk));
}

function kindOfToken(compact: string): Kind {
  const found = kindOf(jws.bare(compact).split(".", 1)[0]!);
  if (found === undefined) throw new FormatError("not a token");
  return found;
}

function withThread(box: Box, thread: Thread): Box {
  return box.threads.get(thread.th) === thread ? box : { ...box, threads: new Map([...box.threads, [thread.th, thread]]) };
}

/** A token, and what it was or why it was refused. */
export type Outcome = readonly [compact: string, what: Taken | CheckFailed];

/** What is given first: openings, then all but messages of grid-v2, then these by place, then what is no token (GRID-066). */
function rank(compact: string): readonly [number, number] {
  try {
    const { kind } = kindOfToken(compact);
    if (kind === envelope.REPLY) return [2, envelope.decode(compact, kind).header.seq];
    return kind === envelope.OPENING || kind === jws.OPENING ? [0, 0] : [1, 0];
  } catch (error) {
    if (error instanceof FormatError) return [3, 0];
    throw error;
  }
}

/**
 * Take many, in whatever order they came: what waits for another of them is given again (GRID-066).
 * The outcomes stand in the order of `tokens`.
 */
export async function takeAll(before: Box, tokens: readonly string[], now: number): Promise<[Box, Outcome[]]> {
  const ranked = tokens.map((compact, index) => ({ compact, index, rank: rank(compact) }));
  let waiting = ranked.sort((one, other) => one.rank[0] - other.rank[0] || one.rank[1] - other.rank[1]);
  const outcomes: Outcome[] = [];
  let box = before;
  for (let left = Infinity; waiting.length > 0 && waiting.length < left;) {
    left = waiting.length;
    const again: typeof waiting = [];
    for (const one of waiting) {
      try {
        const [after, taken] = await take(box, one.compact, now);
        box = after;
        outcomes[one.index] = [one.compact, taken];
      } catch (error) {
        if (!(error instanceof CheckFailed)) throw error;
        outcomes[one.index] = [one.compact, error];
        if (WAITS.includes(error.code)) again.push(one);
      }
    }
    waiting = again;
  }
  return [box, outcomes];
}

/** What a paste held: an outcome per token, what was cut, and the pouch it was, if it was one. */
export interface Pasted {
  readonly outcomes: readonly Outcome[];
  readonly cut: readonly Cut[];
  readonly pouch: pouches.Pouch | undefined;
}

/**
 * Take a paste: a pouch, or any text with tokens in it (GRID-060, GRID-066).
 * Throws FormatError for a broken pouch.
 */
export async function takeText(box: Box, text: string, now: number): Promise<[Box, Pasted]> {
  const pouch = pouches.isPouch(text) ? pouches.unpack(text) : undefined;
  const { found, cut } = pouch === undefined ? find(text) : { found: [], cut: [] };
  const [after, outcomes] = await takeAll(box, pouch?.tokens ?? found.map((one) => one.compact), now);
  return [after, { outcomes, cut, pouch }];
}

// --- pouches and backups -------------------------------------------------------------------------------------------

/** What this box holds of everybody else's chains (GRID-065). */
export function have(box: Box): pouches.Have[] {
  return [...box.threads.values()].flatMap((one) => {
    if (isV2(one)) return [pouches.have(one.th, thread2.theirs(one), one.runs)];
    return one.theirs === undefined ? [] : [pouches.have(one.th, thumbprint1(one.them), one.theirs.runs)];
  });
}

/**
 * With what a WhisperGrid backup of the same identity held and this box did not (GRID-039).
 *
 * Conversations that are here already keep their state; the backup's tokens of them can be taken like any others.
 * Throws FormatError for another identity's backup.
 */
export function restore(box: Box, { identity, invitations, threads }: Restored): Box {
  const [mine, theirs] = [box.identity.dump(), identity.dump()];
  if (mine.sign !== theirs.sign || mine.store !== theirs.store) {
    throw new FormatError("another identity's backup", { data: { reason: "other-identity" } });
  }
  const known = new Set(box.held1.map((one) => one.compact));
  const held1 = [...box.held1, ...invitations.filter((one) => !known.has(one.compact))];
  const fresh = threads.map((one): [string, Thread] => [one.th, one]);
  return { ...box, held1, threads: new Map([...fresh, ...box.threads]) };
}

/** Without the keys of invitations that are over (GRID-042). */
export async function tidy(box: Box, now: number): Promise<Box> {
  const held2 = await Promise.all(box.held2.map((one) => v2.over(one, now)));
  return held2.every((one, at) => one === box.held2[at]) ? box : { ...box, held2 };
}

/** The tokens that can be given again when more has come. */
export function waitingFor(outcomes: readonly Outcome[]): string[] {
  const waiting = outcomes.filter(([, what]) => what instanceof CheckFailed && WAITS.includes(what.code));
  return waiting.map(([compact]) => compact);
}
