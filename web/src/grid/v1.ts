/**
 * Profile grid-v1: conversations with WhisperGrid 1.1.0 clients, in its format byte for byte.
 *
 * What that format lacks no reader can add: one key per conversation for ever (no forward secrecy), nothing bound to it.
 * What its client gets wrong is put right here: a sender is the key that signs, a token enters only after its signature,
 * message numbers are numbers, gaps heal in any order. Spec: GRID-025 to GRID-035.
 */

import { type Bytes, type Rng, sha256 } from "../crypto.ts";
import { Expired, FormatError, KeyChanged, KeyUnknown, NotMember, Replay } from "../errors.ts";
import { type JsonObject, b64e, jsonEmit, textBytes } from "../protocol/encoding.ts";
import { type Jwk, jwkPublic } from "../protocol/ids.ts";
import { shape } from "../protocol/shape.ts";
import { type Identity, newScalar, sameKey, thumbprint1 } from "./keys.ts";
import * as places from "./places.ts";
import * as jws from "./v1_jws.ts";
import { INVITE, LOGIN, OPENING, REMOVE, REPLY, type Token } from "./v1_jws.ts";
import {
  type Held, MAX_NAME, MAX_RELAY, type Side, type Thread, WRAP, heldName, keyOf, newSide, numberOf, placeOf,
} from "./v1_thread.ts";

export const PROOF_SECONDS = 60;
export type Status = "new" | "late" | "repeated" | "own";
const NUMBER = /^(?:0|[1-9a-f][0-9a-f]{0,12})$/;
const THREAD_NAME = /^[0-9a-f]{64}$/;
const CHALLENGE = /^[0-9]{1,12}:[0-9a-f]{1,128}$/;
const INVITE_BODY = shape({
  messageId: "text:13", epk: "object", "note?": "text:65536", nickname: `text:${MAX_NAME}`,
});
const MESSAGE = shape({
  messageId: "text:13",
  message: "text:524288",
  "minAck?": "text:13",
  "relay?": `text:${MAX_RELAY}`,
  "nickname?": `text:${MAX_NAME}`,
  "epk?": "object",
});

interface Body extends JsonObject {
  messageId: string;
  message: string;
}

/** An invitation whose signature held: of `jwk`, whose name is `sender`; `name` is that of its key `epk`. */
export interface Invitation {
  readonly compact: string;
  readonly sender: string;
  readonly jwk: Jwk;
  readonly epk: Jwk;
  readonly name: string;
  readonly number: number;
  readonly iat: number;
  readonly nickname: string;
  readonly note: string;
}

/**
 * A message that was read. `sender` is the name of the key that signed; `place` counts from its side's opening.
 *
 * `status`: new; late (it filled a gap); repeated (held already); own (written by this identity, pasted back).
 * `after` is the place up to which its sender says to have held the reader's chain.
 */
export interface Message {
  readonly th: string;
  readonly sender: string;
  readonly status: Status;
  readonly place: number;
  readonly number: number;
  readonly text: string;
  readonly iat: number;
  readonly nickname: string;
  readonly relay: string;
  readonly after: number;
}

/** When a token is made, and where its random bytes come from. `now` in unix seconds. */
export interface Making {
  now: number;
  rng: Rng;
}

/** The name of the conversation between two conversation keys (GRID-026). */
export function threadName(one: Jwk, other: Jwk): string {
  return jws.hex(sha256(textBytes([thumbprint1(one), thumbprint1(other)].sort().join(":"))));
}

/** A message number, lower-case hexadecimal below 2^52 (GRID-030). Throws FormatError. */
export function readNumber(text: string): number {
  if (!NUMBER.test(text)) throw new FormatError("message number");
  return Number.parseInt(text, 16);
}

function drawNumber(rng: Rng): number {
  return rng(7).reduce((value, byte, at) => value * 256 + (at === 0 ? byte & 15 : byte), 0) % WRAP;
}

// --- invitations ---------------------------------------------------------------------------------------------------

/** Make an invitation (GRID-027). Throws FormatError for texts that are too long. */
export function invite(identity: Identity, nickname: string, { now, rng, note = "" }: Making & { note?: string }): Held {
  const scalar = newScalar(rng);
  const header: JsonObject = { alg: "ES384", jwk: jws.writeJwk(identity.jwk, "verify"), iat: now, sub: INVITE };
  const body: JsonObject = {
    messageId: drawNumber(rng).toString(16), epk: jws.writeJwk(jwkPublic(scalar)), ...(note === "" ? {} : { note }), nickname,
  };
  INVITE_BODY(body);
  return { compact: jws.sign(header, jsonEmit(body), identity), scalar };
}

/** Verify an invitation under the key it shows (GRID-022, GRID-027). Throws SignatureInvalid, FormatError. */
export async function readInvite(compact: string): Promise<Invitation> {
  const token = jws.expect(compact, INVITE);
  const jwk = token.jwk;
  await jws.verify(token, jwk);
  const body = token.body;
  INVITE_BODY(body);
  const { messageId, nickname, note = "" } = body as { messageId: string; nickname: string; note?: string };
  const epk = jws.readJwk(body["epk"]);
  return {
    compact: token.compact, sender: thumbprint1(jwk), jwk, epk, name: thumbprint1(epk), number: readNumber(messageId),
    iat: token.header.iat, nickname, note,
  };
}

/**
 * Answer an invitation with a first message (GRID-028).
 * Throws NotMember for one's own invitation, and what readInvite throws.
 */
export async function answer(
  identity: Identity,
  compact: string,
  nickname: string,
  text: string,
  { now, rng, relay = "" }: Making & { relay?: string },
): Promise<[Thread, string]> {
  const found = await readInvite(compact);
  if (found.sender === identity.id1) throw new NotMember("one's own invitation", { data: { reason: "own-invitation" } });
  const scalar = newScalar(rng);
  const number = drawNumber(rng);
  const thread = begin(identity.jwk, found.jwk, scalar, found.epk, found);
  const shown = {
    jwk: jws.writeJwk(identity.jwk, "verify"), invite: found.name, epk: jws.writeJwk(jwkPublic(scalar)),
  };
  const body = { ...bodyOf(thread, number, text, relay), nickname };
  const token = await sealed(thread, identity, OPENING, shown, body, { now, rng });
  return [{ ...thread, mine: newSide(number) }, token];
}

/**
 * Begin the conversation that an answer to one of one's own invitations opens (GRID-029).
 * Throws KeyUnknown for an answer to none of them, SignatureInvalid, NotMember, DecryptFailed, FormatError.
 */
export async function accept(identity: Identity, held: readonly Held[], compact: string): Promise<[Thread, Message]> {
  const token = jws.expect(compact, OPENING);
  await verifyShown(token);
  const mine = held.find((one) => heldName(one) === token.header.invite);
  if (mine === undefined) {
    throw new KeyUnknown("an answer to no invitation of yours", { data: { reason: "no-invitation" } });
  }
  if (token.header.from === identity.id1) {
    throw new NotMember("one's own invitation", { data: { reason: "own-invitation" } });
  }
  const found = await readInvite(mine.compact);
  const epk = jws.readJwk(token.header.epk);
  return read(begin(identity.jwk, token.jwk, mine.scalar, epk, found), token.compact);
}

/** The signature under the key an opening shows, whose name is its sender's (GRID-032). */
async function verifyShown(token: Token): Promise<void> {
  await jws.verify(token, token.jwk);
  if (thumbprint1(token.jwk) !== token.header.from) {
    throw new NotMember("another is named than the one who signed", { data: { reason: "forged-sender" } });
  }
}

/** A conversation in which only the invitation is held. */
export function begin(me: Jwk, them: Jwk, scalar: Bytes, epk: Jwk, found: Invitation): Thread {
  const th = threadName(jwkPublic(scalar), epk);
  const side = newSide(found.number);
  const thread = { th, me, them, scalar, epk, invite: found.compact, relay: "" };
  if (thumbprint1(me) === found.sender) return { ...thread, mine: side, theirs: undefined, nickname: "" };
  return { ...thread, mine: undefined, theirs: side, nickname: found.nickname };
}

// --- messages ------------------------------------------------------------------------------------------------------

/** The next message (GRID-031). Throws FormatError; NotMember when the conversation is another identity's. */
export async function write(
  thread: Thread,
  identity: Identity,
  text: string,
  { now, rng, relay = "" }: Making & { relay?: string },
): Promise<[Thread, string]> {
  const { mine } = thread;
  if (!sameKey(identity.jwk, thread.me) || mine === undefined) {
    throw new NotMember("another identity's conversation", { data: { reason: "not-yours" } });
  }
  const place = places.last(mine.runs) + 1;
  const body = bodyOf(thread, numberOf(mine, place), text, relay);
  const token = await sealed(thread, identity, REPLY, {}, body, { now, rng });
  return [{ ...thread, mine: { ...mine, runs: places.put(mine.runs, place) } }, token];
}

function bodyOf({ theirs }: Thread, number: number, text: string, relay: string): JsonObject {
  return {
    messageId: number.toString(16),
    message: text,
    ...(theirs === undefined ? {} : { minAck: numberOf(theirs, places.upto(theirs.runs)).toString(16) }),
    ...(relay === "" ? {} : { relay }),
  };
}

async function sealed(
  thread: Thread,
  identity: Identity,
  sub: string,
  more: JsonObject,
  body: JsonObject,
  { now, rng }: Making,
): Promise<string> {
  MESSAGE(body);
  const { iv, payload } = await jws.seal(keyOf(thread), body, rng);
  return jws.sign({ iat: now, alg: "ES384", sub, re: thread.th, iv, from: identity.id1, ...more }, payload, identity);
}

/**
 * Take a message of this conversation (GRID-025, GRID-032, GRID-033). A repeated one leaves the state as it is.
 *
 * Throws KeyUnknown for a token of another conversation, NotMember for a sender who is not one of the two, KeyChanged
 * for an opening by another key, SignatureInvalid, DecryptFailed, FormatError, Gap.
 */
export async function read(thread: Thread, compact: string): Promise<[Thread, Message]> {
  const token = jws.decode(compact);
  if (token.kind !== OPENING && token.kind !== REPLY) throw new FormatError("token of another kind");
  if (!THREAD_NAME.test(token.header.re)) throw new FormatError("conversation name");
  if (token.header.re !== thread.th) {
    throw new KeyUnknown("a message of another conversation", { data: { reason: "other-conversation" } });
  }
  const own = await verify(thread, token);
  const content = await jws.open(keyOf(thread), token);
  MESSAGE(content);
  const body = content as Body & { minAck?: string; relay?: string; nickname?: string };
  const opening = token.kind === OPENING;
  if (opening && body.nickname === undefined) throw new FormatError("an opening has a nickname");
  const heard = body.minAck === undefined ? -1 : readNumber(body.minAck);
  const number = readNumber(body.messageId);
  const { side, place, held } = enter(own ? thread.mine : thread.theirs, number, opening);
  const status: Status = held ? "repeated" : place === places.last(side.runs) ? "new" : "late";
  const after = status === "repeated" ? thread : own ? { ...thread, mine: side } : { ...thread, theirs: side };
  const { nickname = thread.nickname, relay = thread.relay } = body;
  const state = status === "new" && !own ? { ...after, nickname, relay } : after;
  return [state, {
    th: thread.th, sender: token.header.from, status: own ? "own" : status, place, number, text: body.message,
    iat: token.header.iat, nickname: body.nickname ?? "", relay: body.relay ?? "",
    after: afterPlace(own ? state.theirs : state.mine, heard),
  }];
}

/** The place of a number that somebody says to have held; 0 for one that was never given away (GRID-031). */
function afterPlace(side: Side | undefined, number: number): number {
  if (side === undefined || number <= 0) return 0;
  const place = placeOf(side, number);
  return place <= places.last(side.runs) ? place : 0;
}

/** Whether it is one's own. The signature is checked under the key that the sender's name stands for (GRID-032). */
async function verify(thread: Thread, token: Token): Promise<boolean> {
  const [mine, theirs] = [thumbprint1(thread.me), thumbprint1(thread.them)];
  const sender = token.header.from;
  const known = sender === theirs ? thread.them : sender === mine ? thread.me : undefined;
  if (token.kind === OPENING) {
    await verifyShown(token);
    if (known === undefined) {
      throw new KeyChanged("another key opens the same conversation", { data: { reason: "other-opening" } });
    }
    const epk = sender === theirs ? thread.epk : jwkPublic(thread.scalar);
    if (!sameKey(jws.readJwk(token.header.epk), epk)) throw new FormatError("conversation key");
  }
  if (known === undefined) throw new NotMember("not one of the two", { data: { reason: "foreign" } });
  await jws.verify(token, known);
  return sender === mine;
}

/** The chain with a number, its place, and whether it was held before. Only an opening begins a chain (GRID-033). */
function enter(side: Side | undefined, number: number, opening: boolean): { side: Side; place: number; held: boolean } {
  if (side === undefined) {
    if (!opening) throw new KeyUnknown("the opening has not come yet", { data: { reason: "no-opening" } });
    return { side: newSide(number), place: 0, held: false };
  }
  const place = placeOf(side, number);
  if (opening && place > 0) {
    throw new KeyChanged("a second opening of the same conversation", { data: { reason: "other-opening" } });
  }
  if (places.holds(side.runs, place)) return { side, place, held: true };
  places.check(side.runs, place);
  return { side: { ...side, runs: places.put(side.runs, place) }, place, held: false };
}

// --- signing in at a relay of theirs ---------------------------------------------------------------------------------

/** Sign a relay's challenge (GRID-035). Throws FormatError for anything that does not look like one. */
export function loginProof(identity: Identity, challenge: string, now: number, remove = false): string {
  if (!CHALLENGE.test(challenge)) throw new FormatError("not a challenge");
  const jwk = jws.writeJwk(identity.jwk, "verify");
  return jws.sign({ sub: remove ? REMOVE : LOGIN, alg: "ES384", jwk, iat: now }, textBytes(challenge), identity);
}

/**
 * The name of who signed `challenge` within the last minute (GRID-035).
 * Throws SignatureInvalid, FormatError, Replay for another challenge, Expired.
 */
export async function readLoginProof(compact: string, challenge: string, now: number, remove = false): Promise<string> {
  const token = jws.expect(compact, remove ? REMOVE : LOGIN);
  await jws.verify(token, token.jwk);
  if (b64e(token.payload) !== b64e(textBytes(challenge))) {
    throw new Replay("another challenge", { data: { reason: "other-challenge" } });
  }
  if (Math.abs(now - token.header.iat) > PROOF_SECONDS) throw new Expired("login proof");
  return thumbprint1(token.jwk);
}
