/**
 * Profile grid-v2: conversations between our own clients.
 *
 * Invitations end and are counted. Everything both sides showed each other goes into the root of the keys; every message
 * has a key of its own; each side's tokens are linked, so that what is missing, late, repeated or foreign is shown as
 * that; each message, and a receipt without one, says under signature what has arrived. Spec: GRID-041 to GRID-055.
 */

import { type Bytes, type Rng, aeadOpen, aeadSeal, requireEqual } from "../crypto.ts";
import { DecryptFailed, Expired, FormatError, KeyChanged, KeyUnknown, LogRollback, NotMember, Replay } from "../errors.ts";
import { type JsonObject, b64d, b64e, jsonEmit, jsonParse, kdf, lp, textBytes } from "../protocol/encoding.ts";
import { pad, unpad } from "../sphere/padding.ts";
import * as envelope from "./envelope.ts";
import { CONTENTS, type Envelope, INVITE, OPENING, RECEIPT, REPLY } from "./envelope.ts";
import { type Identity, agree, jwkOfPoint, newScalar, publicPoint, sameKey } from "./keys.ts";
import * as places from "./places.ts";
import { type Invitation, LIFE, MAX_LIFE, readInvite, threadName, tp } from "./public.ts";
import * as ratchets from "./ratchet.ts";
import {
  type Held, type Link, REMEMBERED, type Report, type Thread, breaks, linkAt, mine, readReport, reportContent, reportHas,
  reportOf, theirs,
} from "./v2_thread.ts";

export const ENC = "A256GCM";
export type Status = "new" | "late" | "repeated" | "own";
const NONE = new Uint8Array(0);

/**
 * A message that was read. `place` counts from its side's opening, `h` is b64 of its H(SI).
 *
 * `status`: new; late (it filled a gap); repeated (held already, its text is not told again); own (pasted back).
 * `after` is the place up to which its sender held the reader's chain. `linked` is false where it does not follow
 * what is held before it: its sender's program was set back.
 */
export interface Message {
  readonly th: string;
  readonly sender: string;
  readonly status: Status;
  readonly place: number;
  readonly h: string;
  readonly text: string;
  readonly iat: number;
  readonly nickname: string;
  readonly relay: string;
  readonly after: number;
  readonly linked: boolean;
}

/** What the other says to hold. `status` as in Message; `report` is undefined where nothing was told. */
export interface Receipt {
  readonly th: string;
  readonly sender: string;
  readonly status: Status;
  readonly report: Report | undefined;
  readonly iat: number;
}

/** When a token is made, and where its random bytes come from. `now` in unix seconds. */
export interface Making {
  now: number;
  rng: Rng;
}

// --- invitations ---------------------------------------------------------------------------------------------------

export interface Offer {
  note?: string;
  relay?: string;
  life?: number;
  uses?: number;
}

/** Make an invitation that ends after `life` seconds and takes `uses` answers, 0 for any number (GRID-041). */
export function invite(
  identity: Identity,
  nickname: string,
  { now, rng, note = "", relay = "", life = LIFE, uses = 1 }: Making & Offer,
): Held {
  if (life <= 0 || life > MAX_LIFE) throw new FormatError("an invitation ends within a year");
  const scalar = newScalar(rng);
  const body: JsonObject = {
    iat: now, exp: now + life, uses, epk: b64e(publicPoint(scalar)), nickname, ...(note === "" ? {} : { note }), ...said(relay),
  };
  const made = envelope.sign(envelope.head(INVITE, identity, { jwk: identity.jwk }), jsonEmit(body), identity);
  return { compact: made.compact, scalar, left: uses };
}

const said = (relay: string): { relay?: string } => (relay === "" ? {} : { relay });

/**
 * Answer an invitation with a first message (GRID-043 to GRID-045).
 * Throws Expired, NotMember for one's own or a forged one, SignatureInvalid, FormatError.
 */
export async function answer(
  identity: Identity,
  compact: string,
  nickname: string,
  text: string,
  { now, rng, relay = "" }: Making & { relay?: string },
): Promise<[Thread, string]> {
  const found = await readInvite(compact, now);
  if (found.sender === identity.id) throw new NotMember("one's own invitation", { data: { reason: "own-invitation" } });
  const scalar = newScalar(rng);
  const jti = rng(16);
  const epk = publicPoint(scalar);
  const th = threadName(found.epk, epk);
  const root = rootKey(agree(scalar, found.epk), found, identity.id, epk);
  const content: JsonObject = { nickname, message: text, ...said(relay) };
  CONTENTS.opening(content);
  const shown = { jwk: identity.jwk, invite: found.name, epk: b64e(epk), jti: b64e(jti), iat: now };
  const made = await seal(OPENING, identity, shown, openingKey(root, th, identity.id, jti), content, rng);
  const thread: Thread = {
    th, me: identity.jwk, them: found.jwk, invite: compact, opening: made.link, receipts: receiptRoot(root, th),
    ratchet: ratchets.beginReplier(root, b64d(th), scalar, found.epk), sent: 0, links: [{ place: 0, h: made.link }],
    runs: places.start(found.name), seen: [{ place: 0, h: found.name }], arrived: { up: 0, h: made.link, more: [] },
    arrivedAt: 0, behind: false, nickname: found.nickname, relay: found.relay,
  };
  return [thread, made.compact];
}

/**
 * Begin the conversation that an answer opens; the invitation comes back with one use less (GRID-042 to GRID-045).
 *
 * Throws KeyUnknown for an answer to none of them (GRID-043), Expired for one over or used up, NotMember,
 * SignatureInvalid, DecryptFailed, FormatError.
 */
export async function accept(
  identity: Identity,
  held: readonly Held[],
  compact: string,
  now: number,
): Promise<[Held, Thread, Message]> {
  const token = envelope.decode(compact, OPENING);
  const them = await envelope.verifyShown(token);
  const { kid: sender, iat } = token.header;
  const own = held.find((one) => envelope.linkOf(one.compact) === token.header.invite);
  if (own === undefined) {
    throw new KeyUnknown("an answer to no invitation of yours", { data: { reason: "no-invitation" } });
  }
  const invitation = await readInvite(own.compact);
  if (invitation.sender !== identity.id) {
    throw new NotMember("another identity's invitation", { data: { reason: "not-yours" } });
  }
  if (sender === identity.id) throw new NotMember("one's own invitation", { data: { reason: "own-invitation" } });
  if (now > invitation.exp) throw new Expired("invitation", { data: { reason: "invitation-over" } });
  if (own.scalar.length === 0) throw new Expired("invitation", { data: { reason: "invitation-used" } });
  const epk = b64d(token.header.epk);
  const th = threadName(invitation.epk, epk);
  const root = rootKey(agree(own.scalar, epk), invitation, sender, epk);
  const content = await open(token, openingKey(root, th, sender, b64d(token.header.jti)));
  CONTENTS.opening(content);
  const { nickname, message, relay = "" } = content as { nickname: string; message: string; relay?: string };
  const thread: Thread = {
    th, me: identity.jwk, them, invite: own.compact, opening: token.link, receipts: receiptRoot(root, th),
    ratchet: ratchets.beginInviter(root, b64d(th), own.scalar, epk), sent: 0, links: [{ place: 0, h: invitation.name }],
    runs: places.start(token.link), seen: [{ place: 0, h: token.link }], arrived: { up: 0, h: invitation.name, more: [] },
    arrivedAt: 0, behind: false, nickname, relay,
  };
  const shown = shownAs(thread, sender, "new", 0, token.link, iat);
  return [used(own), thread, { ...shown, text: message, nickname, relay }];
}

/** After one more answer; the last one takes the key away (GRID-042). */
export function used(held: Held): Held {
  if (held.left === 0) return held;
  return { ...held, left: held.left - 1, scalar: held.left > 1 ? held.scalar : NONE };
}

/** The same without its key once its last day has passed (GRID-042). */
export async function over(held: Held, now: number): Promise<Held> {
  const ended = held.scalar.length > 0 && now > (await readInvite(held.compact)).exp;
  return ended ? { ...held, scalar: NONE } : held;
}

/** KDF(ECDH, H(SI of the invitation), "conv", LP(inviter, replier, tp, tp), 32) (GRID-044). */
export function rootKey(shared: Bytes, found: Invitation, replier: string, epk: Bytes): Bytes {
  return rootOf(shared, b64d(found.name), [found.sender, replier, tp(found.epk), tp(epk)]);
}

/** The same of its parts. */
export function rootOf(shared: Bytes, invitation: Bytes, shown: [string, string, string, string]): Bytes {
  return kdf(shared, invitation, "conv", lp(...shown), 32);
}

/** KDF(root, jti, "conv-msg", LP(th, kid, jti), 64): key and commitment of an answer (GRID-045). */
export function openingKey(root: Bytes, th: string, kid: string, jti: Bytes): Bytes {
  return kdf(root, jti, "conv-msg", lp(b64d(th), kid, jti), 64);
}

/** KDF(root, "", "conv-receipts", LP(th), 32): what receipts are sealed under; it opens nothing else (GRID-053). */
export function receiptRoot(root: Bytes, th: string): Bytes {
  return kdf(root, NONE, "conv-receipts", lp(b64d(th)), 32);
}

// --- writing -------------------------------------------------------------------------------------------------------

/** The next message (GRID-050). Throws LogRollback when this state is behind (GRID-054), NotMember, FormatError. */
export async function write(
  thread: Thread,
  identity: Identity,
  text: string,
  { now, rng, relay = "" }: Making & { relay?: string },
): Promise<[Thread, string]> {
  checkWriter(thread, identity);
  const place = thread.sent + 1;
  const [ratchet, secret] = ratchets.send(ratchets.expire(thread.ratchet, now), place, rng);
  const content: JsonObject = { message: text, got: reportContent(reportOf(thread)), ...said(relay) };
  CONTENTS.message(content);
  const shown = {
    th: thread.th, seq: place, ph: thread.links.at(-1)!.h, rk: b64e(ratchets.ownKey(ratchet)), cs: ratchet.start, iat: now,
  };
  const made = await seal(REPLY, identity, shown, ratchets.messageKey(secret, ratchet.th, identity.id, place), content, rng);
  const links = [...thread.links, { place, h: made.link }].slice(-REMEMBERED - 1);
  return [{ ...thread, ratchet, sent: place, links }, made.compact];
}

/** Say what has arrived, without a message (GRID-053). The state does not change. Throws LogRollback, NotMember. */
export async function receipt(thread: Thread, identity: Identity, { now, rng }: Making): Promise<string> {
  checkWriter(thread, identity);
  const jti = rng(16);
  const key = receiptKey(thread, identity.id, jti);
  const shown = { th: thread.th, jti: b64e(jti), iat: now };
  return (await seal(RECEIPT, identity, shown, key, reportContent(reportOf(thread)), rng)).compact;
}

function checkWriter(thread: Thread, identity: Identity): void {
  if (!sameKey(identity.jwk, thread.me)) {
    throw new NotMember("another identity's conversation", { data: { reason: "not-yours" } });
  }
  if (thread.behind) {
    throw new LogRollback("the other holds tokens of yours that this state has not written", { data: { reason: "behind" } });
  }
}

function receiptKey(thread: Thread, kid: string, jti: Bytes): Bytes {
  return kdf(thread.receipts, jti, "conv-receipt", lp(b64d(thread.th), kid, jti), 64);
}

/** `key` is key and commitment. The header is bound as additional data (GRID-055). */
async function seal(
  typ: string,
  identity: Identity,
  shown: object,
  key: Bytes,
  content: JsonObject,
  rng: Rng,
): Promise<Envelope> {
  const nonce = rng(12);
  const header = envelope.head(typ, identity, { ...shown, enc: ENC, n: b64e(nonce), cm: b64e(key.subarray(32)) });
  const aad = textBytes(b64e(jsonEmit(header)));
  return envelope.sign(header, await aeadSeal(key.subarray(0, 32), nonce, pad(jsonEmit(content)), aad), identity);
}

/** Commitment, seal, padding, JSON (GRID-055). Throws DecryptFailed, FormatError. */
async function open(token: Envelope, key: Bytes): Promise<JsonObject> {
  requireEqual(key.subarray(32), b64d(token.header.cm), () => new DecryptFailed("commitment"));
  const plain = await aeadOpen(key.subarray(0, 32), b64d(token.header.n), token.payload, token.aad);
  return jsonParse(unpad(plain));
}

// --- reading -------------------------------------------------------------------------------------------------------

/**
 * Take a token of this conversation (GRID-051, GRID-052). What is repeated leaves the state as it is.
 *
 * Throws KeyUnknown for another conversation's and for a place whose key is gone, NotMember for a stranger's,
 * KeyChanged for a second opening, Replay for a second token of one place, SignatureInvalid, DecryptFailed, Gap,
 * FormatError.
 */
export async function read(thread: Thread, compact: string, now: number): Promise<[Thread, Message | Receipt]> {
  const token = envelope.decode(compact, OPENING, REPLY, RECEIPT);
  if (token.typ === OPENING) return [thread, await readOpening(thread, token)];
  if (token.header.th !== thread.th) throw otherConversation();
  const own = await verify(thread, token);
  if (token.typ === RECEIPT) return readReceipt(thread, token, own);
  const { seq, cs } = token.header;
  if (cs <= 0 || cs > seq) throw new FormatError("places of messages begin at 1, and a chain before its messages");
  return own ? readOwn(thread, token) : readReply(thread, token, now);
}

function otherConversation(): KeyUnknown {
  return new KeyUnknown("a token of another conversation", { data: { reason: "other-conversation" } });
}

/** Whether it is one's own; the signature holds under the key that `kid` names (GRID-051). */
async function verify(thread: Thread, token: Envelope): Promise<boolean> {
  const { kid } = token.header;
  const own = kid === mine(thread);
  if (!own && kid !== theirs(thread)) throw new NotMember("not one of the two", { data: { reason: "foreign" } });
  await envelope.verify(token, own ? thread.me : thread.them);
  return own;
}

function shownAs(thread: Thread, sender: string, status: Status, place: number, h: string, iat: number): Message {
  return { th: thread.th, sender, status, place, h, text: "", iat, nickname: "", relay: "", after: 0, linked: true };
}

async function readOpening(thread: Thread, token: Envelope): Promise<Message> {
  const invitation = await readInvite(thread.invite);
  const epk = b64d(token.header.epk);
  jwkOfPoint(epk);
  if (threadName(invitation.epk, epk) !== thread.th) throw otherConversation();
  await envelope.verifyShown(token);
  if (token.link !== thread.opening) {
    throw new KeyChanged("a second opening of the same conversation", { data: { reason: "other-opening" } });
  }
  const { kid, iat } = token.header;
  return shownAs(thread, kid, kid === mine(thread) ? "own" : "repeated", 0, token.link, iat);
}

/** A copy of this state has written what this one has not (GRID-054). */
function setBehind(thread: Thread): Thread {
  return thread.behind ? thread : { ...thread, behind: true };
}

function readOwn(thread: Thread, token: Envelope): [Thread, Message] {
  const { seq: place, iat } = token.header;
  const shown = shownAs(thread, mine(thread), "own", place, token.link, iat);
  const written = place <= thread.sent && (linkAt(thread.links, place) ?? token.link) === token.link;
  return [written ? thread : setBehind(thread), shown];
}

async function readReply(thread: Thread, token: Envelope, now: number): Promise<[Thread, Message]> {
  const { seq: place, rk, cs, ph, iat } = token.header;
  const sender = theirs(thread);
  const shown = shownAs(thread, sender, "repeated", place, token.link, iat);
  if (places.holds(thread.runs, place)) {
    if ((linkAt(thread.seen, place) ?? token.link) === token.link) return [thread, shown];
    throw new Replay("a second token of one place", { data: { reason: "twice" } });
  }
  places.check(thread.runs, place);
  const [ratchet, secret] = ratchets.receive(ratchets.expire(thread.ratchet, now), b64d(rk), cs, place, now);
  const content = await open(token, ratchets.messageKey(secret, ratchet.th, sender, place));
  CONTENTS.message(content);
  const { message, got, relay = "" } = content as { message: string; got: JsonObject; relay?: string };
  const report = readReport(got);
  const runs = places.put(thread.runs, place, ph, token.link);
  const status: Status = place === places.last(runs) ? "new" : "late";
  const after: Thread = {
    ...thread, ratchet, runs, seen: remembered(thread.seen, { place, h: token.link }),
    relay: status === "new" && relay !== "" ? relay : thread.relay,
  };
  const linked = places.breaks(runs).length <= breaks(thread).length;
  return [heard(after, report, iat), { ...shown, status, text: message, relay, after: report.up, linked }];
}

function remembered(seen: readonly Link[], link: Link): Link[] {
  return [...seen, link].sort((one, other) => one.place - other.place).slice(-REMEMBERED);
}

async function readReceipt(thread: Thread, token: Envelope, own: boolean): Promise<[Thread, Receipt]> {
  const { kid: sender, jti, iat } = token.header;
  const report = readReport(await open(token, receiptKey(thread, sender, b64d(jti))));
  if (own) return [thread, { th: thread.th, sender, status: "own", report: undefined, iat }];
  const after = heard(thread, report, iat);
  return [after, { th: thread.th, sender, status: after === thread ? "repeated" : "new", report, iat }];
}

/** With the other's report, if it says more than the one before; else the very same (GRID-053, GRID-054). */
export function heard(thread: Thread, report: Report, iat: number): Thread {
  const highest = Math.max(report.up, ...report.more.map(([, last]) => last));
  if (highest > thread.sent || (linkAt(thread.links, report.up) ?? report.h) !== report.h) return setBehind(thread);
  const { arrived, arrivedAt } = thread;
  const more = report.up - arrived.up || report.more.length - arrived.more.length || iat - arrivedAt;
  if (more <= 0) return thread;
  const left = thread.links.filter((one) => one.place >= report.up);
  return { ...thread, arrived: report, arrivedAt: iat, links: left.length > 0 ? left : thread.links.slice(-1) };
}

/** Places of one's own tokens that the other has not said to hold, ascending (GRID-053). */
export function outstanding({ arrived, sent }: Thread): number[] {
  const above = Array.from({ length: Math.max(sent - arrived.up, 0) }, (_, at) => arrived.up + 1 + at);
  return above.filter((place) => !reportHas(arrived, place));
}
