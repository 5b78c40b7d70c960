/**
 * Tokens in whatever somebody pasted: wrapped, quoted, hyphenated, between words, several at once.
 *
 * A mail program may break a token at any place and put marks before the pieces; nothing it does changes which letters
 * the token has, and every token ends with a signature of known length. So a token is read on over marks and line ends,
 * and ends by itself. What begins like one and does not come to its end is reported as cut. Spec: GRID-060, GRID-061.
 */

import { FormatError } from "../errors.ts";
import { type JsonObject, b64d, jsonParse } from "../protocol/encoding.ts";
import { MAX_HEADER } from "../protocol/jws.ts";
import { ALG, TYPS } from "./envelope.ts";
import { BACKUP, KINDS } from "./v1_jws.ts";

export const [V1, V2] = ["grid-v1", "grid-v2"] as const;

/** Profile and kind (`typ` or `sub`) of a token. */
export interface Kind {
  readonly profile: string;
  readonly kind: string;
}

/** A token that is cut within its header has neither. */
const CUT: Kind = { profile: "", kind: "" };
/** Characters of an ES384 signature. */
const SIGNATURE = 128;
/** Letters of a header that are looked at before the rest. */
const BEGUN = 16;
const INVISIBLE = /[\u00ad\u180e\u200b-\u200d\u2060\ufeff]/g;
const HYPHEN = /[\u2010\u2011]/g;
const QUOTE = /(^|\n)[ \t\u00a0]*(?:[>|][ \t\u00a0]?)+/g;
const SOFT = /=[ \t]*\n/g;
const FIRST = /^\{"(?:alg|typ|kid|jwk|sub|iat|from|re|iv|epk|invite|th|seq|ph|rk|cs|enc|n|cm|jti)"/;
const PIECE = /([A-Za-z0-9_-]+)|(\.)|([\t-\r \u00a0\u2000-\u200a\u2028\u2029\u202f\u205f\u3000]+)/y;

/** A token and the line it begins in, from 1. */
export interface Found extends Kind {
  readonly compact: string;
  readonly line: number;
}

/** The beginning of a token whose end is not there. */
export interface Cut extends Kind {
  readonly line: number;
  readonly length: number;
}

/** Every token in a pasted text, in order, each once per place (GRID-060, GRID-061). Nothing is verified. */
export function find(pasted: string): { found: Found[]; cut: Cut[] } {
  const text = pasted.replace(INVISIBLE, "").replace(HYPHEN, "-").replace(/\r\n?/g, "\n");
  const clean = text.replace(QUOTE, "$1").replace(SOFT, "");
  const lines = begunLines(text);
  const found: Found[] = [];
  const cut: Cut[] = [];
  const start = /(?<![A-Za-z0-9_-])eyJ/g;
  let [line, counted] = [0, 0];
  for (let match = start.exec(clean); match !== null; match = start.exec(clean)) {
    const at = match.index;
    const kind = kindAt(clean, at);
    if (kind === undefined) continue;
    const { compact, end } = readOn(clean, at);
    for (let next = clean.indexOf("\n", counted); next >= 0 && next < at; next = clean.indexOf("\n", next + 1)) line += 1;
    counted = at;
    const where = lines[Math.min(line, lines.length - 1)]!;
    const [, , signature, ...rest] = compact.split(".");
    if (signature?.length === SIGNATURE && rest.length === 0) found.push({ compact, ...kind, line: where });
    else if (compact.length >= BEGUN) cut.push({ ...kind, line: where, length: compact.length });
    start.lastIndex = Math.max(start.lastIndex, end);
  }
  return { found, cut };
}

/** For each line left after soft breaks are taken out, the number of the line it began as. */
function begunLines(text: string): number[] {
  const out: number[] = [];
  let joined = false;
  text.split("\n").forEach((line, at) => {
    if (!joined) out.push(at + 1);
    joined = /=[ \t]*$/.test(line);
  });
  return out;
}

interface Piece {
  word: string | undefined;
  dot: string | undefined;
  blank: string | undefined;
  end: number;
}

function pieceAt(text: string, at: number): Piece | undefined {
  PIECE.lastIndex = at;
  const match = PIECE.exec(text);
  if (match === null) return undefined;
  return { word: match[1], dot: match[2], blank: match[3], end: at + match[0].length };
}

/** The letters of the token that begins at `start`, up to the end of its signature, and where it stopped. */
function readOn(text: string, start: number): { compact: string; end: number } {
  const parts = [""];
  let end = start;
  for (let piece = pieceAt(text, end); piece !== undefined; piece = pieceAt(text, end)) {
    const { word, dot, blank } = piece;
    const last = parts.at(-1)!;
    if (dot !== undefined) {
      if (parts.length === 3) break;
      parts.push("");
    } else if (word !== undefined) {
      parts[parts.length - 1] = parts.length === 3 ? (last + word).slice(0, SIGNATURE) : last + word;
    } else if (blank !== undefined && kindAt(text, piece.end) !== undefined) {
      break;
    }
    end = piece.end;
    if (parts.length === 3 && parts[2]!.length === SIGNATURE) break;
  }
  return { compact: parts.join("."), end };
}

/** What begins at a place: a token's profile and kind when its header does, CUT when the text ends within it. */
function kindAt(text: string, from: number): Kind | undefined {
  if (!text.startsWith("eyJ", from)) return undefined;
  let letters = "";
  let at = from;
  for (let piece = pieceAt(text, at); piece !== undefined; piece = pieceAt(text, at)) {
    if (piece.dot !== undefined) {
      return kindOf(letters) ?? (letters.length < BEGUN || headerOf(letters) !== undefined ? undefined : CUT);
    }
    const began = letters.length < BEGUN;
    letters += piece.word ?? "";
    at = piece.end;
    if (letters.length > MAX_HEADER || (began && letters.length >= BEGUN && !begins(letters))) return undefined;
  }
  return letters.length >= BEGUN && begins(letters) ? CUT : undefined;
}

/** A whole header, if only of somebody else's token. */
function headerOf(letters: string): JsonObject | undefined {
  try {
    return jsonParse(b64d(letters));
  } catch (error) {
    if (error instanceof FormatError) return undefined;
    throw error;
  }
}

/** Whether a header's first letters name a member that headers of this chapter have (GRID-061). */
function begins(letters: string): boolean {
  return FIRST.test(String.fromCharCode(...b64d(letters.slice(0, BEGUN))));
}

/** What a token's first part shows; undefined for what is no token of this chapter (GRID-061). */
export function kindOf(headerPart: string): Kind | undefined {
  const header = headerOf(headerPart);
  if (header === undefined || header["alg"] !== ALG) return undefined;
  const { typ, sub = BACKUP } = header;
  if (typeof sub !== "string") return undefined;
  if (typ !== undefined) return typeof typ === "string" && TYPS.has(typ) ? { profile: V2, kind: typ } : undefined;
  return KINDS.has(sub) && (sub !== BACKUP || Object.hasOwn(header, "jwk")) ? { profile: V1, kind: sub } : undefined;
}
