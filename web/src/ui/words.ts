/**
 * Texts by message id, from the two catalogues both languages read: words.json (shared with the terminal) and
 * words_app.json (the page's own labels). No text shown to people stands anywhere else in the page.
 *
 * Knows plurals (`{"of": n, "one": …, "other": …}`) and arguments; somebody else's text is kept from turning the
 * line around it. Spec: ERR-003, WEB-021.
 */

import own from "../../../src/cloister/words_app.json" with { type: "json" };
import shared from "../../../src/cloister/words.json" with { type: "json" };

export type Value = string | number;
export type Values = Readonly<Record<string, Value>>;
export interface Plural { readonly of: string; readonly one: string; readonly other: string }
export interface FaultWords {
  readonly why: string;
  readonly next: string;
  readonly you: string;
  readonly actions?: readonly string[];
}
export type Entry = string | Plural | FaultWords;

/** One piece of a text: words as they are, or the name of an argument. */
export type Piece = { readonly text: string } | { readonly name: string };

export const CATALOGUE: Readonly<Record<string, Entry>> = {
  ...(shared as unknown as Record<string, Entry>),
  ...(own as Record<string, Entry>),
};

/** Letters written from right to left, and signs that turn the direction. */
const TURNS =
  /[\u0590-\u08ff\u200e\u200f\u202a-\u202e\u2066-\u2069\ufb1d-\ufdff\ufe70-\ufeff\u{10800}-\u{10fff}\u{1e800}-\u{1efff}]/u;
const CONTROLS = /[\u200e\u200f\u202a-\u202e\u2066-\u2069]/gu;

/** Another locale's changes: which of `one` and `other` a number takes, and what becomes of the words between arguments. */
export interface Locale { readonly many: (n: number) => "one" | "other"; readonly change: (text: string) => string }
const ENGLISH: Locale = { many: (n) => (n === 1 ? "one" : "other"), change: (text) => text };
let locale = ENGLISH;

export function useLocale(next: Locale | undefined): void {
  locale = next ?? ENGLISH;
}

/** Somebody else's text inside a line: isolated where it could turn the line, its own turning marks removed. */
export function isolated(text: string): string {
  return TURNS.test(text) ? `\u2068${text.replace(CONTROLS, "")}\u2069` : text;
}

export function known(id: string): boolean {
  return Object.hasOwn(CATALOGUE, id);
}

export function fault(id: string): FaultWords | undefined {
  const entry = CATALOGUE[id];
  return typeof entry === "object" && "why" in entry ? entry : undefined;
}

function template(id: string, values: Values): string {
  const entry = CATALOGUE[id];
  if (entry === undefined) throw new Error(`no text: ${id}`);
  if (typeof entry === "string") return entry;
  if ("of" in entry) return entry[locale.many(Number(values[entry.of]))];
  throw new Error(`a fault is not a text: ${id}`);
}

const cuts = new Map<string, readonly Piece[]>();

/** The pieces of a template, of which there are as many as texts. `{{` and `}}` stand for braces. */
export function cut(text: string): readonly Piece[] {
  const found = cuts.get(text) ?? cutNow(text);
  cuts.set(text, found);
  return found;
}

function cutNow(text: string): readonly Piece[] {
  const pieces: Piece[] = [];
  let at = 0;
  for (const found of text.matchAll(/\{\{|\}\}|\{(\w+)\}/g)) {
    if (found.index > at) pieces.push({ text: text.slice(at, found.index) });
    pieces.push(found[1] === undefined ? { text: found[0][0]! } : { name: found[1] });
    at = found.index + found[0].length;
  }
  if (at < text.length) pieces.push({ text: text.slice(at) });
  return pieces;
}

/** The pieces of a text of the catalogue, for those who put nodes where arguments stand. */
export function pieces(id: string, values: Values = {}): Piece[] {
  return cut(template(id, values)).map((one) => ("text" in one ? { text: locale.change(one.text) } : one));
}

export function filled(value: Value | undefined): string {
  if (value === undefined) throw new Error("a text lacks its argument");
  return typeof value === "number" ? grouped(value) : isolated(value);
}

/** A text of the catalogue with its arguments. */
export function say(id: string, values: Values = {}): string {
  return pieces(id, values).map((one) => ("text" in one ? one.text : filled(values[one.name]))).join("");
}

/** A line of a fault (which may hold arguments) in the locale's words. */
export function line(text: string, values: Values = {}): string {
  return cut(text).map((one) => ("text" in one ? locale.change(one.text) : filled(values[one.name]))).join("");
}

const NUMBERS = new Intl.NumberFormat("en");

/** 12400 → 12,400 */
export function grouped(n: number): string {
  return NUMBERS.format(n);
}

/** 2100000 → 2.1 MB */
export function size(bytes: number): string {
  const units = ["bytes", "KB", "MB", "GB", "TB"];
  let at = 0;
  let n = bytes;
  while (n >= 1000 && at < units.length - 1) [n, at] = [n / 1000, at + 1];
  return `${at === 0 || n >= 100 ? Math.round(n) : n.toFixed(1)} ${units[at]}`;
}
