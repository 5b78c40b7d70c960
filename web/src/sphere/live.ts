/**
 * Live transfer: epoch secrets handed from one connected device to another, with nothing stored between them.
 *
 * Signed messages; functions over what each side keeps in memory meanwhile. Both halves are needed to open what is
 * given: a key pair made for this one ask, and the device's receiving key. Spec: LIVE-001 to LIVE-011, LIVE-015.
 */

import {
  type Bytes, type Rng, aeadOpen, aeadSeal, concat, hmacSha256, requireEqual, rsaCheckPublic, rsaSeal, sha256,
} from "../crypto.ts";
import { CommitmentMismatch, DecryptFailed, Expired, FormatError, NotMember, Replay, SignatureInvalid } from "../errors.ts";
import { type JsonObject, b64d, b64e, kdf, lp } from "../protocol/encoding.ts";
import type { History } from "../protocol/history.ts";
import { LIVE, type Signer, decode, sign, verifyEd25519 } from "../protocol/jws.ts";
import type { Device, Epoch } from "../protocol/state.ts";
import { type EpochKey, check } from "./epoch.ts";
import { type Party, openAny, sealTo } from "./share.ts";

export const TYP = "sph-live+1";
export const SECONDS = 120;
export const MAX_NS = 64;
const NONE = new Uint8Array(0);
const ZERO = new Uint8Array(12);
/** What a browser draws for a connection (RFC 8839, section 5.4), within bounds. */
const UFRAG = /^[A-Za-z0-9+/]{4,32}$/;
const PWD = /^[A-Za-z0-9+/]{22,64}$/;

export type Why = "different" | "refused" | "failed";

/** Opens what is sealed to the key pair of one ask; the private half stays inside (LIVE-002). */
export type Opener = (sealed: Uint8Array) => Promise<Bytes>;

/** A verified message: its kind, sender, H(SI) and members. */
export interface Message {
  readonly k: string;
  readonly sph: string;
  readonly sender: Party;
  readonly digest: Bytes;
  readonly iat: number;
  readonly body: JsonObject;
}

/** What the asker keeps of an ask, in memory only (LIVE-002). */
export interface Asking {
  readonly sph: string;
  readonly me: Party;
  readonly unseal: Opener;
  readonly sas: Uint8Array;
  readonly digest: Bytes;
  readonly ns: readonly number[];
  readonly exp: number;
}

/** What the provider keeps of an ask it answered (LIVE-003). */
export interface Offering {
  readonly sph: string;
  readonly me: Party;
  readonly asker: Party;
  readonly epk: Bytes;
  readonly hs: Bytes;
  readonly sas: Uint8Array;
  readonly ask: Bytes;
  readonly digest: Bytes;
  readonly ns: readonly number[];
  readonly exp: number;
}

/** Both sides after the open: who they are, the digits of LIVE-005, and H(SI of the open), which vouches for all. */
export interface Pair {
  readonly sph: string;
  readonly asker: Party;
  readonly provider: Party;
  readonly ns: readonly number[];
  readonly ask: Bytes;
  readonly open: Bytes;
  readonly digits: string;
  readonly exp: number;
}

/**
 * Where a browser can be met (LIVE-015): the names and the certificate's SHA-256 of one connection, and up to eight places,
 * each the 16 bytes of a random name of the local network and a port, big-endian.
 */
export interface Way {
  readonly ufrag: string;
  readonly pwd: string;
  readonly fp: Uint8Array;
  readonly at: readonly Uint8Array[];
}

/** The provider after the give: what the asker's answer must carry (LIVE-008). */
export interface Given {
  readonly pair: Pair;
  readonly digest: Bytes;
  readonly mac: Bytes;
}

type Ends = Pick<Pair, "sph" | "asker" | "provider">;

const both = ({ sph, asker, provider }: Ends): string[] => [sph, asker.id, asker.dv, provider.id, provider.dv];
const numbers = (body: JsonObject): number[] => body["ns"] as unknown as number[];
const bytes = (body: JsonObject, name: string): Bytes => b64d(body[name] as string);
const same = (one: Party, other: Party): boolean => one.id === other.id && one.dv === other.dv;
const digestOf = (compact: string): Bytes => decode(compact, TYP).digest;

// --- all messages ------------------------------------------------------------------------------------------------------

/**
 * Decode a message and verify that an active device of the sphere signed it (LIVE-001, LIVE-010).
 * Throws FormatError, KeyUnknown for a device the log does not know, NotMember, SignatureInvalid.
 */
export async function read(compact: string, log: History): Promise<Message> {
  const envelope = decode(compact, TYP);
  const dv = envelope.header["kid"] as string;
  const sender = { id: log.ownerOf(dv), dv };
  if (log.activeSince(dv) === undefined || log.modeAt(log.seq) !== "e2ee") throw new NotMember("LIVE-010");
  await verifyEd25519(envelope, log.keyOf(dv));
  const { body } = envelope;
  const k = body["k"] as string;
  if (!LIVE.has(k)) throw new FormatError("LIVE-001");
  if (body["sph"] !== log.sph) throw new Replay("LIVE-001");
  return { k, sph: log.sph, sender, digest: envelope.digest, iat: body["iat"] as number, body };
}

interface Making {
  readonly k: string;
  readonly sph: string;
  readonly from: Party;
  readonly to?: Party;
  readonly now: number;
}

function signed({ k, sph, from, to, now }: Making, members: JsonObject, signer: Signer, rng: Rng): Promise<string> {
  const named: JsonObject = to === undefined ? {} : { idR: to.id, dvR: to.dv };
  return sign(TYP, { kid: from.dv }, { k, sph, iat: now, jti: b64e(rng(16)), ...named, ...members }, signer);
}

/** What a message must be: of the sphere of its ask, from one to the other, naming H(SI) of the one before. */
interface Expected {
  readonly k: string;
  readonly sph: string;
  readonly me: Party;
  readonly sender?: Party;
  readonly before: readonly [name: string, digest: Uint8Array];
}

/** That it is the message waited for: kind, sphere, both ends and predecessor (LIVE-001). Throws Replay. */
function expect({ k: kind, sph: named, sender: from, body }: Message, { k, sph, me, sender, before }: Expected): void {
  const wanted = kind === k && named === sph && same(me, { id: body["idR"] as string, dv: body["dvR"] as string });
  if (!wanted || (sender !== undefined && !same(sender, from))) throw new Replay("LIVE-001");
  if (body[before[0]] !== b64e(before[1])) throw new Replay("LIVE-001");
}

/** A transfer is judged by the log of its own sphere and no other (LIVE-007). Throws Replay. */
function inItsLog({ sph }: Pair, log: History): void {
  if (log.sph !== sph) throw new Replay("LIVE-007");
}

function inTime(exp: number, now: number): void {
  if (now > exp) throw new Expired("LIVE-011");
}

/** Epoch numbers: some, ascending, all of `among`. Throws FormatError, Replay. */
function ascending(ns: readonly number[], among?: readonly number[]): number[] {
  if (ns.length === 0 || ns[0]! < 1 || ns.some((n, at) => at > 0 && ns[at - 1]! >= n)) throw new FormatError("LIVE-002");
  if (among !== undefined && !ns.every((n) => among.includes(n))) throw new Replay("LIVE-003");
  return [...ns];
}

// --- ask (J), offer (P) ------------------------------------------------------------------------------------------------

/** Ask for the secrets of `ns` with a key pair made for it, `epk` its modulus (LIVE-002). Throws FormatError. */
export async function ask(
  { sph, me, ns, epk, unseal, now }: {
    sph: string; me: Party; ns: readonly number[]; epk: Uint8Array; unseal: Opener; now: number;
  },
  signer: Signer,
  rng: Rng,
): Promise<{ asking: Asking; jws: string }> {
  const wanted = ascending(ns);
  const sas = rng(16);
  rsaCheckPublic(epk);
  const members = { ns: wanted, epk: b64e(epk), hs: b64e(sha256(lp("live-sas", sas))), exp: now + SECONDS };
  const jws = await signed({ k: "ask", sph, from: me, now }, members, signer, rng);
  return { asking: { sph, me, unseal, sas, digest: digestOf(jws), ns: wanted, exp: now + SECONDS }, jws };
}

/** The epochs asked for, if it is an ask in time (LIVE-010, LIVE-011). Throws Replay, Expired, FormatError, KeyUnknown. */
export function checkAsk(message: Message, log: History, now: number): number[] {
  if (message.k !== "ask") throw new Replay("LIVE-001");
  const { iat, body } = message;
  const exp = body["exp"] as number;
  if (exp < iat || exp > iat + SECONDS || iat > now + SECONDS || now > exp) throw new Expired("LIVE-011");
  const ns = ascending(numbers(body));
  for (const n of ns) log.epoch(n);
  rsaCheckPublic(bytes(body, "epk"));
  return ns;
}

/** Offer some of what was asked for (LIVE-003). */
export async function offer(
  asked: Message, me: Party, ns: readonly number[], now: number, signer: Signer, rng: Rng,
): Promise<{ offering: Offering; jws: string }> {
  const { body, sender: asker, digest, sph } = asked;
  const sas = rng(16);
  const held = ascending(ns, numbers(body));
  const members = { ask: b64e(digest), ns: held, sas: b64e(sas) };
  const jws = await signed({ k: "offer", sph, from: me, to: asker, now }, members, signer, rng);
  const [epk, hs, exp] = [bytes(body, "epk"), bytes(body, "hs"), body["exp"] as number];
  return { offering: { sph, me, asker, epk, hs, sas, ask: digest, digest: digestOf(jws), ns: held, exp }, jws };
}

// --- open: the digits --------------------------------------------------------------------------------------------------

/** Six digits for two people to compare (LIVE-005); `offered` is H(SI) of the offer. */
export function digits(sasJ: Uint8Array, sasP: Uint8Array, offered: Uint8Array, ends: Ends): string {
  const value = kdf(concat(sasJ, sasP), offered, "live-sas", lp(...both(ends)), 8);
  const number = value.reduce((sum, byte) => (sum * 256n + BigInt(byte)), 0n);
  return (number % 1_000_000n).toString().padStart(6, "0");
}

/** The epochs offered, if it is an offer to this ask (LIVE-003). Throws Replay, Expired, FormatError. */
export function checkOffer(asking: Asking, offered: Message, now: number): number[] {
  const { sph, me, digest } = asking;
  expect(offered, { k: "offer", sph, me, before: ["ask", digest] });
  inTime(asking.exp, now);
  return ascending(numbers(offered.body), asking.ns);
}

/** Open an offer; only one that was here before the first open went out (LIVE-004). Throws as `checkOffer`. */
export async function openOffer(
  asking: Asking, offered: Message, now: number, signer: Signer, rng: Rng,
): Promise<{ pair: Pair; jws: string }> {
  const ns = checkOffer(asking, offered, now);
  const ends = { sph: asking.sph, asker: asking.me, provider: offered.sender };
  const code = digits(asking.sas, bytes(offered.body, "sas"), offered.digest, ends);
  const members = { offer: b64e(offered.digest), sas: b64e(asking.sas) };
  const jws = await signed({ k: "open", sph: asking.sph, from: asking.me, to: offered.sender, now }, members, signer, rng);
  return { pair: { ...ends, ns, ask: asking.digest, open: digestOf(jws), digits: code, exp: asking.exp }, jws };
}

/** The provider's side of it (LIVE-004, LIVE-005). Throws Replay, Expired, CommitmentMismatch. */
export function takeOpen(offering: Offering, opened: Message, now: number): Pair {
  const { sph, asker, me: provider, ns, ask: asked, exp, digest } = offering;
  expect(opened, { k: "open", sph, me: provider, sender: asker, before: ["offer", digest] });
  inTime(exp, now);
  const sas = bytes(opened.body, "sas");
  requireEqual(sha256(lp("live-sas", sas)), offering.hs, () => new CommitmentMismatch("LIVE-004"));
  const code = digits(sas, offering.sas, digest, { sph, asker, provider });
  return { sph, asker, provider, ns, ask: asked, open: opened.digest, digits: code, exp };
}

// --- give (P), done (J) ------------------------------------------------------------------------------------------------

function infoOf({ sph, asker, provider, open }: Pair, kem: string): Bytes {
  return lp("sph/1 live", sph, provider.id, provider.dv, asker.id, asker.dv, kem, open);
}

function keyOf(pair: Pair, z: Uint8Array, x: Uint8Array, entries: readonly Epoch[]): Bytes {
  const bound = entries.flatMap((one) => [one.n, one.digest]);
  return kdf(concat(z, x), pair.open, "live", lp(...both(pair), ...bound), 32);
}

/** What a `done` proves having opened the give with (LIVE-008); `given` is H(SI of the give). */
export function mac(pair: Pair, z: Uint8Array, x: Uint8Array, given: Uint8Array): Bytes {
  return hmacSha256(kdf(concat(z, x), pair.open, "live-ack", lp(...both(pair)), 32), given);
}

/**
 * Give `keys` (ascending) to the asker's device as the log knows it (LIVE-006).
 * Throws Expired, Replay for an epoch that was not offered, CommitmentMismatch for a key that is not the epoch's.
 */
export async function give(
  { pair, epk, keys, log, asker, now }: {
    pair: Pair; epk: Uint8Array; keys: readonly EpochKey[]; log: History; asker: Device; now: number;
  },
  signer: Signer,
  rng: Rng,
): Promise<{ given: Given; jws: string }> {
  inItsLog(pair, log);
  inTime(pair.exp, now);
  const ns = ascending(keys.map((one) => one.n), pair.ns);
  const entries = ns.map((n) => log.epoch(n));
  keys.forEach((one, at) => check(one.secret, entries[at]!, pair.sph));
  const [z, x] = [rng(32), rng(32)];
  const members = {
    open: b64e(pair.open),
    ns,
    kem: asker.kem,
    enc: b64e(await rsaSeal(epk, z)),
    cx: b64e(await sealTo(asker.kem, asker.de, infoOf(pair, asker.kem), x, rng)),
    ct: b64e(await aeadSeal(keyOf(pair, z, x, entries), ZERO, concat(...keys.map((one) => one.secret)), NONE)),
  };
  const jws = await signed({ k: "give", sph: pair.sph, from: pair.provider, to: pair.asker, now }, members, signer, rng);
  const digest = digestOf(jws);
  return { given: { pair, digest, mac: mac(pair, z, x, digest) }, jws };
}

/**
 * The keys that were given, and the `done` that says so (LIVE-007, LIVE-008); `secrets` are this device's for `kem`.
 * Throws Replay, Expired, FormatError, DecryptFailed, KeyUnknown, CommitmentMismatch; then nothing of it is taken.
 */
export async function take(
  { asking, pair, given, log, kem, secrets, now }: {
    asking: Asking; pair: Pair; given: Message; log: History; kem: string; secrets: readonly Uint8Array[]; now: number;
  },
  signer: Signer,
  rng: Rng,
): Promise<{ keys: EpochKey[]; jws: string }> {
  inItsLog(pair, log);
  expect(given, { k: "give", sph: pair.sph, me: pair.asker, sender: pair.provider, before: ["open", pair.open] });
  inTime(pair.exp, now);
  const { body } = given;
  const entries = ascending(numbers(body), pair.ns).map((n) => log.epoch(n));
  if (body["kem"] !== kem) throw new DecryptFailed("LIVE-007");
  const z = await asking.unseal(bytes(body, "enc"));
  const x = await openAny(kem, secrets, infoOf(pair, kem), bytes(body, "cx"));
  const plain = await aeadOpen(keyOf(pair, z, x, entries), ZERO, bytes(body, "ct"), NONE);
  if (plain.length !== 32 * entries.length) throw new DecryptFailed("LIVE-007");
  const keys = entries.map((entry, at) => check(plain.slice(32 * at, 32 * at + 32), entry, pair.sph));
  const members = { give: b64e(given.digest), mac: b64e(mac(pair, z, x, given.digest)) };
  const jws = await signed({ k: "done", sph: pair.sph, from: pair.asker, to: pair.provider, now }, members, signer, rng);
  return { keys, jws };
}

/** The asker has it (LIVE-008). Throws Replay, Expired, SignatureInvalid for a wrong mac. */
export function checkDone({ pair, digest, mac: expected }: Given, done: Message, now: number): void {
  expect(done, { k: "done", sph: pair.sph, me: pair.provider, sender: pair.asker, before: ["give", digest] });
  inTime(pair.exp, now);
  requireEqual(bytes(done.body, "mac"), expected, () => new SignatureInvalid("LIVE-008"));
}

// --- end ---------------------------------------------------------------------------------------------------------------

/** Say that nothing more comes of this ask (LIVE-009). */
export function end(
  { sph, me, to, asked, why, now }: { sph: string; me: Party; to: Party; asked: Uint8Array; why: Why; now: number },
  signer: Signer,
  rng: Rng,
): Promise<string> {
  return signed({ k: "end", sph, from: me, to, now }, { ask: b64e(asked), why }, signer, rng);
}

/** Why the other side ended it (LIVE-009). Throws Replay. */
export function checkEnd(ended: Message, sph: string, me: Party, other: Party, asked: Uint8Array): Why {
  expect(ended, { k: "end", sph, me, sender: other, before: ["ask", asked] });
  return ended.body["why"] as Why;
}

// --- way: another carrier ----------------------------------------------------------------------------------------------

/** Say where this side can be met; `after` is H(SI) of the offer, or of the other side's way (LIVE-015). */
export function way(
  { sph, me, to, after, where, now }: { sph: string; me: Party; to: Party; after: Uint8Array; where: Way; now: number },
  signer: Signer,
  rng: Rng,
): Promise<string> {
  const { ufrag, pwd, fp, at } = where;
  const members = { after: b64e(after), ufrag, pwd, fp: b64e(fp), at: at.map(b64e) };
  return signed({ k: "way", sph, from: me, to, now }, members, signer, rng);
}

/** Where the other side can be met (LIVE-015). Throws Replay, Expired, FormatError. */
export function checkWay(
  message: Message,
  { sph, me, other, after, exp, now }: { sph: string; me: Party; other: Party; after: Uint8Array; exp: number; now: number },
): Way {
  expect(message, { k: "way", sph, me, sender: other, before: ["after", after] });
  inTime(exp, now);
  const { body } = message;
  const [ufrag, pwd] = [body["ufrag"] as string, body["pwd"] as string];
  if (!UFRAG.test(ufrag) || !PWD.test(pwd)) throw new FormatError("LIVE-015");
  const at = (body["at"] as string[]).map((one) => b64d(one));
  if (at.length === 0 || at.some((one) => one[16] === 0 && one[17] === 0)) throw new FormatError("LIVE-015");
  return { ufrag, pwd, fp: bytes(body, "fp"), at };
}
