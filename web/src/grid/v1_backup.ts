/**
 * WhisperGrid's backups: everything of one identity in one signed token, private keys under a password.
 *
 * The format protects the private keys only: invitations, contacts and relays in it can be read by whoever has the file.
 * So a backup is read for its keys and tokens; what it says about the state of a conversation is computed again from the
 * tokens themselves. Spec: GRID-036 to GRID-039.
 */

import { type Bytes, type Rng, aeadOpen, aeadSeal, pbkdf2Sha256 } from "../crypto.ts";
import { CheckFailed, DecryptFailed, FormatError, VaultError } from "../errors.ts";
import { type JsonObject, jsonEmit, jsonParse, textBytes } from "../protocol/encoding.ts";
import { jwkPublic } from "../protocol/ids.ts";
import { shape } from "../protocol/shape.ts";
import { Identity, newScalar, sameKey, thumbprint1 } from "./keys.ts";
import * as places from "./places.ts";
import * as v1 from "./v1.ts";
import * as jws from "./v1_jws.ts";
import { BACKUP, INVITE, MAX_TOKEN, OPENING, SELF } from "./v1_jws.ts";
import { type Held, type Thread, heldName, newSide, numberOf, placeOf } from "./v1_thread.ts";

export const ITERATIONS = 100_000;
export const SALT_LENGTH = 16;
const NONE = new Uint8Array(0);
const BODY = shape({
  thumbprint: "id", identity: "object", "invites?": "object", threads: "object", encryptedThreadKeys: "object",
});
const IDENTITY = shape({ id: "object", storage: "object" });
const STORED = shape({ jwk: "object", private: "text:4096" });
const THREAD = shape({ threadInfo: "object", messages: "object" });
/** `*`: what it says about the state. */
const INFO = shape({
  myThumbprint: "id",
  theirEPK: "object",
  signedInvite: `text:${MAX_TOKEN}`,
  theirSignature: "object",
  "syn?": "text:13",
  "*": "",
});
/** `*`: numbers. */
const MESSAGES = shape({ messages: `list:1000000:text:${MAX_TOKEN}`, "*": "" });

type Stored = { jwk: JsonObject; private: string };

interface Body {
  thumbprint: string;
  identity: { id: Stored; storage: Stored };
  invites?: Record<string, unknown>;
  threads: Record<string, unknown>;
  encryptedThreadKeys: Record<string, unknown>;
}

interface ThreadBody {
  threadInfo: { myThumbprint: string; theirEPK: unknown; signedInvite: string; theirSignature: unknown; syn?: string };
  messages: { messages: string[] };
}

export type Refusal = readonly [what: string, code: string];

/** What a backup gave: conversations with the tokens that were taken, and those that were refused with the code. */
export interface Restored {
  readonly identity: Identity;
  readonly invitations: readonly Held[];
  readonly threads: readonly Thread[];
  readonly tokens: ReadonlyMap<string, readonly string[]>;
  readonly refused: readonly Refusal[];
}

// --- private keys under a password ---------------------------------------------------------------------------------

/** A private key as that client stores it: ct, iv and salt in standard base64, joined by dots (GRID-036). */
export async function lock(scalar: Uint8Array, password: string, ops: readonly string[], rng: Rng): Promise<string> {
  const salt = rng(SALT_LENGTH);
  const nonce = rng(12);
  const plain = jsonEmit(jws.writePrivateJwk(scalar, ...ops));
  const sealed = await aeadSeal(await passwordKey(password, salt), nonce, plain, NONE);
  return [sealed, nonce, salt].map(jws.std64).join(".");
}

/** The scalar, 48 bytes (GRID-036). Throws VaultError for a wrong password or a damaged text. */
export async function unlock(text: string, password: string): Promise<Bytes> {
  const [sealed, nonce, salt, ...rest] = storedParts(text);
  if (sealed === undefined || nonce?.length !== 12 || salt?.length !== SALT_LENGTH || rest.length > 0) {
    throw new VaultError("stored key");
  }
  try {
    const plain = await aeadOpen(await passwordKey(password, salt), nonce, sealed, NONE);
    return jws.readPrivateJwk(jsonParse(plain));
  } catch (error) {
    if (!(error instanceof DecryptFailed || error instanceof FormatError)) throw error;
    throw new VaultError("stored key", { data: { reason: "password" } });
  }
}

function storedParts(text: string): Bytes[] {
  try {
    return text.split(".").map(jws.unstd64);
  } catch {
    throw new VaultError("stored key");
  }
}

async function passwordKey(password: string, salt: Uint8Array): Promise<Bytes> {
  return pbkdf2Sha256(textBytes(password), salt, ITERATIONS);
}

// --- conversation keys sealed to oneself -----------------------------------------------------------------------------

/** A conversation key sealed to oneself, as that client keeps it (GRID-037). */
export async function keep(identity: Identity, scalar: Uint8Array, { now, rng }: v1.Making): Promise<string> {
  const fresh = newScalar(rng);
  const pair = JSON.stringify({
    privateKeyJWK: jws.writePrivateJwk(scalar, "deriveKey", "deriveBits"),
    publicKeyJWK: jws.writeJwk(jwkPublic(scalar)),
  });
  const key = jws.sharedKey(fresh, jwkPublic(identity.store));
  const { iv, payload } = await jws.seal(key, pair, rng);
  const header = { alg: "ES384", jwk: jws.writeJwk(identity.jwk, "verify"), iat: now, sub: SELF, iv };
  return jws.sign({ ...header, epk: jws.writeJwk(jwkPublic(fresh)) }, payload, identity);
}

/** The scalar in `keep`'s token (GRID-037). Throws SignatureInvalid, DecryptFailed, FormatError. */
export async function kept(identity: Identity, compact: string): Promise<Bytes> {
  const text = await jws.openSelf(jws.expect(compact, SELF), identity.jwk, identity.store);
  const { privateKeyJWK, publicKeyJWK, ...rest } = jsonParse(textBytes(text));
  if (privateKeyJWK === undefined || publicKeyJWK === undefined || Object.keys(rest).length > 0) {
    throw new FormatError("key pair");
  }
  const scalar = jws.readPrivateJwk(privateKeyJWK);
  if (!sameKey(jws.readJwk(publicKeyJWK), jwkPublic(scalar))) throw new FormatError("key pair");
  return scalar;
}

// --- the backup ------------------------------------------------------------------------------------------------------

/** A backup that client can load (GRID-038). Each conversation comes with its tokens, the invitation first. */
export async function write(
  identity: Identity,
  password: string,
  invitations: readonly Held[],
  threads: readonly (readonly [Thread, readonly string[]])[],
  { now, rng }: v1.Making,
): Promise<string> {
  const locked = await lockedKeys(identity, password, rng);
  const [keys, invites, rows]: [JsonObject, JsonObject, JsonObject] = [{}, {}, {}];
  for (const held of invitations) {
    const name = heldName(held);
    invites[name] = held.compact;
    keys[name] = await keep(identity, held.scalar, { now, rng });
  }
  for (const [thread, tokens] of threads) {
    const name = thumbprint1(jwkPublic(thread.scalar));
    keys[name] ??= await keep(identity, thread.scalar, { now, rng });
    const number = (await v1.readInvite(thread.invite)).number.toString(16);
    rows[thread.th] = { threadInfo: info(thread, name), messages: { min: number, max: number, messages: [...tokens] } };
  }
  const body = { thumbprint: identity.id1, identity: locked, invites, threads: rows, encryptedThreadKeys: keys };
  const header = { alg: "ES384", jwk: jws.writeJwk(identity.jwk, "verify"), iat: now };
  return jws.sign(header, jsonEmit(body), identity);
}

async function lockedKeys(identity: Identity, password: string, rng: Rng): Promise<JsonObject> {
  const id = { jwk: jws.writeJwk(identity.jwk, "verify"), private: await lock(identity.sign, password, ["sign"], rng) };
  const opens = await lock(identity.store, password, ["deriveKey", "deriveBits"], rng);
  return { id, storage: { jwk: jws.writeJwk(jwkPublic(identity.store)), private: opens } };
}

/** The state as that client writes it, its list of what is missing included (GRID-038). */
function info({ mine, theirs, ...thread }: Thread, name: string): JsonObject {
  const heard: JsonObject = {};
  const lost: string[] = [];
  if (theirs !== undefined) {
    const text = (place: number): string => numberOf(theirs, place).toString(16);
    heard["maxAck"] = text(places.last(theirs.runs));
    heard["minAck"] = text(places.upto(theirs.runs));
    for (const [first, last] of places.gaps(theirs.runs)) {
      for (let place = first; place <= last; place += 1) lost.push(text(place));
    }
  }
  if (mine !== undefined) heard["syn"] = numberOf(mine, places.last(mine.runs)).toString(16);
  return {
    missing: lost,
    windowSize: 5,
    ...heard,
    myThumbprint: name,
    theirEPK: jws.writeJwk(thread.epk),
    signedInvite: thread.invite,
    theirSignature: jws.writeJwk(thread.them, "verify"),
    relays: thread.relay === "" ? {} : { [thumbprint1(thread.them)]: thread.relay },
  };
}

/**
 * Open a backup with its password and take every token of it anew (GRID-039).
 *
 * Throws SignatureInvalid, VaultError for a wrong password or keys that are not the owner's, FormatError. A
 * conversation or token that does not hold is listed in `refused` with its error's code; the others are taken.
 */
export async function read(compact: string, password: string): Promise<Restored> {
  const token = jws.expect(compact, BACKUP);
  await jws.verify(token, token.jwk);
  const content: unknown = token.body;
  BODY(content);
  const body = content as Body;
  const identity = await owner(body, password);
  if (!sameKey(identity.jwk, token.jwk) || body.thumbprint !== identity.id1) {
    throw new VaultError("a backup signed by somebody else");
  }
  const refused: Refusal[] = [];
  const keys = new Map<string, Bytes>();
  await each(body.encryptedThreadKeys, refused, async (sealed) => {
    const scalar = await kept(identity, textOf(sealed));
    keys.set(thumbprint1(jwkPublic(scalar)), scalar);
  });
  const invitations: Held[] = [];
  await each(body.invites ?? {}, refused, async (signed) => {
    const found = await v1.readInvite(textOf(signed));
    const scalar = keys.get(found.name);
    if (!sameKey(found.jwk, identity.jwk) || scalar === undefined) throw new FormatError("not an own invitation");
    invitations.push({ compact: found.compact, scalar });
  });
  const threads: Thread[] = [];
  const tokens = new Map<string, readonly string[]>();
  await each(body.threads, refused, async (row) => {
    const found = await threadOf(identity, keys, row);
    threads.push(found.thread);
    tokens.set(found.thread.th, found.taken);
    refused.push(...found.refused);
  });
  return { identity, invitations, threads, tokens, refused };
}

/** Take every row by itself; what does not hold is listed (GRID-039). */
async function each(
  rows: Record<string, unknown>,
  refused: Refusal[],
  take: (row: unknown) => Promise<void>,
): Promise<void> {
  for (const [name, row] of Object.entries(rows)) {
    try {
      await take(row);
    } catch (error) {
      if (!(error instanceof CheckFailed)) throw error;
      refused.push([name, error.code]);
    }
  }
}

async function owner(body: Body, password: string): Promise<Identity> {
  IDENTITY(body.identity);
  const scalars: Bytes[] = [];
  for (const one of [body.identity.id, body.identity.storage]) {
    STORED(one);
    const scalar = await unlock(one.private, password);
    if (!sameKey(jwkPublic(scalar), jws.readJwk(one.jwk))) throw new VaultError("a private key and another's public half");
    scalars.push(scalar);
  }
  return new Identity(scalars[0]!, scalars[1]!);
}

interface Found {
  thread: Thread;
  taken: string[];
  refused: Refusal[];
}

/** A conversation, the tokens taken and those refused. Throws CheckFailed when the conversation itself does not hold. */
async function threadOf(identity: Identity, keys: ReadonlyMap<string, Bytes>, row: unknown): Promise<Found> {
  THREAD(row);
  const { threadInfo, messages } = row as ThreadBody;
  INFO(threadInfo);
  MESSAGES(messages);
  const found = await v1.readInvite(threadInfo.signedInvite);
  const scalar = keys.get(threadInfo.myThumbprint);
  if (scalar === undefined) throw new VaultError("the conversation's key is not in the backup");
  const [them, epk] = [jws.readJwk(threadInfo.theirSignature), jws.readJwk(threadInfo.theirEPK)];
  let thread = v1.begin(identity.jwk, them, scalar, epk, found);
  const waiting = messages.messages.filter((text) => text !== threadInfo.signedInvite);
  const openings = waiting.filter((text) => kindOf(text) === OPENING);
  const others = waiting.filter((text) => kindOf(text) !== OPENING);
  const taken = [found.compact];
  const refused: Refusal[] = [];
  for (const text of [...openings, ...others]) {
    try {
      [thread] = await v1.read(thread, text);
      taken.push(text);
    } catch (error) {
      if (!(error instanceof CheckFailed)) throw error;
      refused.push([text.slice(-16), error.code]);
    }
  }
  return { thread: threadInfo.syn === undefined ? thread : given(thread, v1.readNumber(threadInfo.syn)), taken, refused };
}

/** A number that was given away is never given again (GRID-039). */
function given(thread: Thread, number: number): Thread {
  const mine = thread.mine ?? newSide(number);
  const place = placeOf(mine, number);
  const runs = places.holds(mine.runs, place) ? mine.runs : places.put(mine.runs, place);
  return { ...thread, mine: { ...mine, runs } };
}

function kindOf(text: string): string {
  try {
    return jws.decode(text).kind;
  } catch {
    return INVITE;
  }
}

function textOf(value: unknown): string {
  if (typeof value !== "string") throw new FormatError("token expected");
  return value;
}
