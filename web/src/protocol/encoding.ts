/**
 * How bytes, text and numbers become wire bytes: LP, strict base64url, strict JSON.
 *
 * The parser is written by hand: the platform's takes duplicate names, a byte order mark, white space and every number.
 * Spec: ENC-001 to ENC-008.
 */

import { type Bytes, concat, hkdfSha256 } from "../crypto.ts";
import { FormatError } from "../errors.ts";

export const MAX_INT = Number.MAX_SAFE_INTEGER;
export const MAX_DEPTH = 8;
export const PROTOCOL = "sph/1";

export type Part = Uint8Array | string | number | bigint;
export type Json = boolean | number | string | Json[] | JsonObject;
export type JsonObject = { [name: string]: Json };

const utf8 = new TextEncoder();
const strictUtf8 = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

/** UTF-8 of text that holds no lone surrogate. Throws FormatError. */
export function textBytes(text: string): Bytes {
  if (/\p{Surrogate}/u.test(text)) throw new FormatError("text is not Unicode");
  return utf8.encode(text) as Bytes;
}

/** Length-prefixed concatenation: for each part u32be(length) then the bytes (ENC-001). */
export function lp(...parts: Part[]): Bytes {
  const out: Uint8Array[] = [];
  for (const part of parts) {
    const bytes = typeof part === "string" ? textBytes(part) : part instanceof Uint8Array ? part : u64be(part);
    const length = new Uint8Array(4);
    new DataView(length.buffer).setUint32(0, bytes.length);
    out.push(length, bytes);
  }
  return concat(...out);
}

function u64be(value: number | bigint): Bytes {
  if (typeof value === "number" && !Number.isSafeInteger(value)) throw new FormatError("integer outside u64");
  const number = BigInt(value);
  if (number < 0n || number >= 1n << 64n) throw new FormatError("integer outside u64");
  const out = new Uint8Array(8);
  new DataView(out.buffer).setBigUint64(0, number);
  return out;
}

/** KDF of the spec: HKDF-SHA-256 with info = LP("sph/1", label, ctx) (ENC-002). */
export function kdf(ikm: Uint8Array, salt: Uint8Array, label: string, ctx: Uint8Array, length: number): Bytes {
  return hkdfSha256(ikm, salt, lp(PROTOCOL, label, ctx), length);
}

const ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
const VALUES = new Int8Array(128).fill(-1);
for (let i = 0; i < 64; i += 1) VALUES[ALPHABET.charCodeAt(i)] = i;

/** base64url without padding (ENC-003). */
export function b64e(data: Uint8Array): string {
  let out = "";
  for (let at = 0; at < data.length; at += 3) {
    const word = (data[at]! << 16) | ((data[at + 1] ?? 0) << 8) | (data[at + 2] ?? 0);
    const chars = Math.min(data.length - at, 3) + 1;
    for (let i = 0; i < chars; i += 1) out += ALPHABET[(word >> (18 - 6 * i)) & 63];
  }
  return out;
}

/** Strict inverse of b64e (ENC-003). Throws FormatError. */
export function b64d(text: string): Bytes {
  const extra = text.length % 4;
  if (extra === 1) throw new FormatError("base64url form");
  const out = new Uint8Array(Math.floor((text.length * 3) / 4));
  let bits = 0;
  let held = 0;
  let at = 0;
  for (let i = 0; i < text.length; i += 1) {
    const code = text.charCodeAt(i);
    const value = code < 128 ? VALUES[code]! : -1;
    if (value < 0) throw new FormatError("base64url alphabet");
    held = ((held << 6) | value) & 0xffff;
    bits += 6;
    if (bits >= 8) {
      bits -= 8;
      out[at] = (held >> bits) & 255;
      at += 1;
    }
  }
  if ((held & ((1 << bits) - 1)) !== 0) throw new FormatError("base64url trailing bits");
  return out;
}

/** Compact UTF-8 JSON (ENC-004). What it writes, jsonParse reads, provided the members are of the kinds of ENC-009. */
export function jsonEmit(value: JsonObject): Bytes {
  return textBytes(JSON.stringify(value));
}

/** Parse one strict JSON object (ENC-004 to ENC-008). Throws FormatError, never anything else. */
export function jsonParse(data: Uint8Array): JsonObject {
  let text: string;
  try {
    text = strictUtf8.decode(data);
  } catch {
    throw new FormatError("JSON is not UTF-8");
  }
  const reader = new Reader(text);
  if (text[0] !== "{") throw new FormatError("JSON grammar");
  const value = reader.object(1);
  if (reader.at !== text.length) throw new FormatError("JSON grammar");
  return value;
}

const STRING = /"((?:[^"\\\u0000-\u001f]|\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4}))*)"/y;
const NUMBER = /(?:0|[1-9][0-9]{0,15})(?![0-9])/y;

class Reader {
  at = 0;
  readonly #text: string;

  constructor(text: string) {
    this.#text = text;
  }

  object(depth: number): JsonObject {
    this.#deeper(depth);
    const out: JsonObject = Object.create(null) as JsonObject;
    this.#list("{", "}", () => {
      const name = this.#string();
      this.#expect(":");
      // ENC-005: compared after unescaping; a null prototype leaves no inherited name to collide with
      if (name === "__proto__" || name === "constructor" || name in out) throw new FormatError("JSON name");
      out[name] = this.#value(depth);
    });
    return { ...out };
  }

  #value(depth: number): Json {
    switch (this.#text[this.at]) {
      case "{":
        return this.object(depth + 1);
      case "[": {
        this.#deeper(depth + 1);
        const out: Json[] = [];
        this.#list("[", "]", () => out.push(this.#value(depth + 1)));
        return out;
      }
      case '"':
        return this.#string();
      case "t":
        this.#expect("true");
        return true;
      case "f":
        this.#expect("false");
        return false;
      default:
        return this.#number();
    }
  }

  #list(open: string, close: string, item: () => void): void {
    this.#expect(open);
    if (this.#text[this.at] === close) {
      this.at += 1;
      return;
    }
    for (;;) {
      item();
      if (this.#text[this.at] === close) break;
      this.#expect(",");
    }
    this.at += 1;
  }

  #expect(token: string): void {
    if (!this.#text.startsWith(token, this.at)) throw new FormatError("JSON grammar");
    this.at += token.length;
  }

  #deeper(depth: number): void {
    if (depth > MAX_DEPTH) throw new FormatError("JSON depth"); // ENC-008
  }

  #match(pattern: RegExp): string {
    pattern.lastIndex = this.at;
    const found = pattern.exec(this.#text);
    if (found === null) throw new FormatError("JSON grammar");
    this.at = pattern.lastIndex;
    return found[0];
  }

  #string(): string {
    const quoted = this.#match(STRING);
    if (!quoted.includes("\\")) return quoted.slice(1, -1);
    const value = JSON.parse(quoted) as string;
    if (/\p{Surrogate}/u.test(value)) throw new FormatError("JSON lone surrogate"); // ENC-006
    return value;
  }

  #number(): number {
    const value = Number(this.#match(NUMBER));
    if (value > MAX_INT) throw new FormatError("JSON integer from 2^53"); // ENC-007
    return value;
  }
}
