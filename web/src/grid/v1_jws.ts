/**
 * WhisperGrid's tokens: a JWS without `typ`, told apart by `sub`. Kept away from the project's own envelopes.
 *
 * What is loose here is what that client writes: keys with `key_ops` and `ext`, ciphertext in base64url twice, nonces
 * in standard base64, quotes around a token. Everything else is closed: no other algorithm, no other member, no `typ`,
 * so no token of ours is one of theirs nor the other way round. Spec: GRID-020 to GRID-024 (RFC 7515).
 */

import { type Bytes, type Rng, aeadOpen, aeadSeal, es384Verify, p384CheckPublic } from "../crypto.ts";
import { DecryptFailed, FormatError } from "../errors.ts";
import { type Json, type JsonObject, b64d, b64e, jsonEmit, jsonParse, textBytes } from "../protocol/encoding.ts";
import { type Jwk, jwkPublic } from "../protocol/ids.ts";
import { type Check, isObject, shape } from "../protocol/shape.ts";
import { agree, point, sameKey } from "./keys.ts";

export const [INVITE, OPENING, REPLY] = ["grid-invitation", "reply-to-invite", "grid-reply"] as const;
export const [SELF, BACKUP, LOGIN, REMOVE] = ["self-encrypted", "", "login", "removeBackup"] as const;
export const MAX_TOKEN = 1 << 20;
export const MAX_BACKUP = 64 << 20;
const BLANK = " \t\r\n\ufeff";
/** UTF-16 units; a shorter plaintext gets fifteen random bytes. */
const SHORT = 30;
const BASE = { alg: "enum:ES384", iat: "int" };
const SEALED = { ...BASE, re: "text:64", iv: "text:16", from: "id" };
export const KINDS: ReadonlyMap<string, Check> = new Map([
  [INVITE, shape({ ...BASE, sub: `enum:${INVITE}`, jwk: "object" })],
  [OPENING, shape({ ...SEALED, sub: `enum:${OPENING}`, jwk: "object", invite: "id", epk: "object" })],
  [REPLY, shape({ ...SEALED, sub: `enum:${REPLY}` })],
  [SELF, shape({ ...BASE, sub: `enum:${SELF}`, jwk: "object", iv: "text:16", epk: "object" })],
  [LOGIN, shape({ ...BASE, sub: `enum:${LOGIN}`, jwk: "object" })],
  [REMOVE, shape({ ...BASE, sub: `enum:${REMOVE}`, jwk: "object" })],
  [BACKUP, shape({ ...BASE, jwk: "object" })],
]);
const JWK = shape({
  kty: "enum:EC", crv: "enum:P-384", x: "bytes:48", y: "bytes:48", "key_ops?": "list:8:text:16", "ext?": "bool",
});
const NONE = new Uint8Array(0);
const latin = new TextDecoder("latin1");

/** What headers have; which of it stands there the kind decides. */
export interface Header extends JsonObject {
  iat: number;
  re: string;
  iv: string;
  from: string;
  invite: string;
  epk: JsonObject;
}

/** A decoded, not yet verified token. `kind` is its `sub`, empty for a backup. */
export class Token {
  constructor(
    readonly compact: string,
    readonly kind: string,
    readonly header: Header,
    readonly payload: Bytes,
    readonly signature: Bytes,
  ) {}

  /** What is signed (JWS-004). */
  get signingInput(): Bytes {
    return textBytes(this.compact.slice(0, this.compact.lastIndexOf(".")));
  }

  /** The key in the header. Throws FormatError for a reply, which has none. */
  get jwk(): Jwk {
    return readJwk(this.header["jwk"]);
  }

  /** The payload as JSON. Throws FormatError. */
  get body(): JsonObject {
    return jsonParse(this.payload);
  }
}

/** Without the blanks at its beginning, and perhaps its end (GRID-020). */
export function strip(text: string, both = true): string {
  let [from, to] = [0, text.length];
  while (from < to && BLANK.includes(text[from]!)) from += 1;
  while (both && to > from && BLANK.includes(text[to - 1]!)) to -= 1;
  return text.slice(from, to);
}

/** Without the blanks and the one pair of quotes around it (GRID-020). */
export function bare(text: string): string {
  const compact = strip(text);
  return compact.length > 1 && compact.startsWith('"') && compact.endsWith('"') ? compact.slice(1, -1) : compact;
}

/** Read one token, its quotes taken off (GRID-020, GRID-021). Throws FormatError, for one of ours too (GRID-004). */
export function decode(text: string): Token {
  const compact = bare(text);
  const [head, payload, signature, ...rest] = compact.split(".");
  if (head === undefined || payload === undefined || signature === undefined || rest.length > 0 || head.length > MAX_TOKEN) {
    throw new FormatError("token does not have three parts");
  }
  const header = jsonParse(b64d(head));
  const named = Object.hasOwn(header, "sub");
  const kind = named ? header["sub"] : BACKUP;
  const check = typeof kind === "string" && (kind === BACKUP) !== named ? KINDS.get(kind) : undefined;
  if (typeof kind !== "string" || check === undefined) throw new FormatError("token of no known kind");
  if (compact.length > (kind === BACKUP ? MAX_BACKUP : MAX_TOKEN)) throw new FormatError("token too large");
  check(header);
  const token = new Token(compact, kind, header as Header, b64d(payload), b64d(signature));
  for (const name of ["jwk", "epk"]) {
    if (Object.hasOwn(header, name)) readJwk(header[name]);
  }
  if (Object.hasOwn(header, "iv")) nonceOf(token.header.iv);
  return token;
}

/** `decode` of a token that must be of `kind`. Throws FormatError. */
export function expect(text: string, kind: string): Token {
  const token = decode(text);
  if (token.kind !== kind) throw new FormatError("token of another kind");
  return token;
}

/** Check the signature under `jwk` (GRID-022, CRY-008). Throws SignatureInvalid. */
export async function verify(token: Token, jwk: Jwk): Promise<void> {
  await es384Verify(b64d(jwk.x), b64d(jwk.y), token.signature, token.signingInput);
}

/** Make a token; what is made passes `decode` (GRID-021). Throws FormatError before anything is signed. */
export function sign(header: JsonObject, payload: Uint8Array, identity: { signer(message: Uint8Array): Bytes }): string {
  const named = Object.hasOwn(header, "sub");
  KINDS.get(named ? (header["sub"] as string) : BACKUP)!(header);
  const signingInput = `${b64e(jsonEmit(header))}.${b64e(payload)}`;
  if (signingInput.length + 129 > (named ? MAX_TOKEN : MAX_BACKUP)) throw new FormatError("token too large");
  return `${signingInput}.${b64e(identity.signer(textBytes(signingInput)))}`;
}

// --- standard base64 -----------------------------------------------------------------------------------------------

/** Standard base64 with padding (RFC 4648, section 4), as that client writes nonces and stored keys. */
export function std64(data: Uint8Array): string {
  const text = b64e(data).replaceAll("-", "+").replaceAll("_", "/");
  return text.padEnd(Math.ceil(text.length / 4) * 4, "=");
}

/** Strict inverse of `std64`. Throws FormatError. */
export function unstd64(text: string): Bytes {
  if (!/^[A-Za-z0-9+/]*={0,2}$/.test(text)) throw new FormatError("standard base64");
  const data = b64d(text.replace(/=+$/, "").replaceAll("+", "-").replaceAll("/", "_"));
  if (std64(data) !== text) throw new FormatError("standard base64");
  return data;
}

// --- keys ----------------------------------------------------------------------------------------------------------

/** A public key as that client exports it, without what it adds (GRID-023). Throws FormatError. */
export function readJwk(value: unknown): Jwk {
  JWK(value);
  const { x, y } = value as Jwk;
  p384CheckPublic(b64d(x), b64d(y));
  return { kty: "EC", crv: "P-384", x, y };
}

/** The same with what it adds: the operations the key is for, and that it may be exported (GRID-023). */
export function writeJwk(jwk: Jwk, ...ops: string[]): JsonObject {
  return { key_ops: ops, ext: true, kty: "EC", x: jwk.x, y: jwk.y, crv: "P-384" };
}

/** A private key as that client exports it (GRID-023). */
export function writePrivateJwk(scalar: Uint8Array, ...ops: string[]): JsonObject {
  return { ...writeJwk(jwkPublic(scalar), ...ops), d: b64e(scalar) };
}

/** The scalar, 48 bytes, of a private key whose public half fits (GRID-023). Throws FormatError. */
export function readPrivateJwk(value: unknown): Bytes {
  if (!isObject(value) || typeof value["d"] !== "string") throw new FormatError("private key");
  const { d, ...shown } = value;
  const scalar = b64d(d as string);
  if (!sameKey(jwkPublic(scalar), readJwk(shown))) throw new FormatError("a private key and another's public half");
  return scalar;
}

// --- encryption ----------------------------------------------------------------------------------------------------

/** The first 32 bytes of ECDH, as that client uses them: no derivation, no context (GRID-024). */
export function sharedKey(scalar: Uint8Array, jwk: Jwk): Bytes {
  return agree(scalar, point(jwk)).subarray(0, 32);
}

/** `iv` and payload of `content`: text or an object (GRID-024). */
export async function seal(key: Uint8Array, content: Json, rng: Rng): Promise<{ iv: string; payload: Bytes }> {
  let plain: JsonObject = { m: content };
  if (JSON.stringify(plain).length < SHORT) plain = { random: hex(rng(SHORT / 2)), m: content };
  const nonce = rng(12);
  const sealed = b64e(await aeadSeal(key, nonce, jsonEmit(plain), NONE));
  return { iv: std64(nonce), payload: textBytes(sealed) };
}

export function hex(data: Uint8Array): string {
  return [...data].map((byte) => byte.toString(16).padStart(2, "0")).join("");
}

/** What `seal` was given. Throws DecryptFailed, and FormatError for what opens and does not fit (GRID-024). */
export async function open(key: Uint8Array, token: Token): Promise<Json> {
  const [nonce, sealed] = [nonceOf(token.header.iv), ciphertext(token.payload)];
  const plain = jsonParse(await aeadOpen(key, nonce, sealed, NONE));
  const { m, random: _random, ...rest } = plain;
  if (m === undefined || Object.keys(rest).length > 0) throw new FormatError("content");
  return m;
}

/** base64url once more; whatever is no ASCII is none of its characters. */
function ciphertext(payload: Uint8Array): Bytes {
  return b64d(latin.decode(payload));
}

function nonceOf(text: string): Bytes {
  const nonce = unstd64(text);
  if (nonce.length !== 12) throw new FormatError("nonce length");
  return nonce;
}

/**
 * What the owner of `signJwk` sealed to itself: text (GRID-037). `store` is its storage scalar.
 * Throws SignatureInvalid, DecryptFailed, FormatError.
 */
export async function openSelf(token: Token, signJwk: Jwk, store: Uint8Array): Promise<string> {
  if (!sameKey(token.jwk, signJwk)) throw new DecryptFailed("sealed by somebody else");
  await verify(token, signJwk);
  const content = await open(sharedKey(store, readJwk(token.header.epk)), token);
  if (typeof content !== "string") throw new FormatError("content");
  return content;
}
