/**
 * A pouch: one file with many tokens, and what its maker already has, so that the answer brings what is missing.
 *
 * What a pouch says about itself is not signed and changes nothing: `have` only chooses what the next pouch carries, and
 * each token is taken or refused by itself, so a pouch can be taken twice, in part, or after another.
 * Spec: GRID-064 to GRID-066.
 */

import { FormatError } from "../errors.ts";
import { type JsonObject, jsonEmit, jsonParse, textBytes } from "../protocol/encoding.ts";
import { type Check, shape } from "../protocol/shape.ts";
import type { Gap, Runs } from "./places.ts";
import { strip } from "./v1_jws.ts";
import { type Stretch, readStretches, reportHas } from "./v2_thread.ts";

const MARK = '{"pouch":1,';
export const MAX_TEXT = 64 << 20;
const POUCH = shape({ pouch: "int", iat: "int", have: "list:10000:object", items: "list:100000:object" });
const HAVE = shape({ th: "text:64", of: "id", up: "int", "more?": "list:1000:object" });
/** `*`: by k. */
const ITEM = shape({ k: "text:32", "*": "" });
const GRID: Check = shape({ k: "enum:grid", jws: "text:67108864" });

/** Of the chain of `of` in conversation `th`: all up to place `up`, and the stretches `more` above it. */
export interface Have {
  readonly th: string;
  readonly of: string;
  readonly up: number;
  readonly more: readonly Gap[];
}

/** `tokens` in the order to be taken; `others` are items of other kinds, kept as they came. */
export interface Pouch {
  readonly iat: number;
  readonly have: readonly Have[];
  readonly tokens: readonly string[];
  readonly others: readonly JsonObject[];
}

/** What is held of one chain (GRID-065). */
export function have(th: string, of: string, runs: Runs): Have {
  const [{ last }, ...above] = runs;
  return { th, of, up: last, more: above.map((run) => [run.first, run.last]) };
}

/** The file's text (GRID-064). Throws FormatError when it is too large. */
export function pack(pouch: Pouch): string {
  const rows = pouch.have.map(({ th, of, up, more }): JsonObject => {
    return { th, of, up, ...(more.length === 0 ? {} : { more: more.map(([a, b]) => ({ a, b })) }) };
  });
  const items = [...pouch.tokens.map((jws) => ({ k: "grid", jws })), ...pouch.others];
  const text = new TextDecoder().decode(jsonEmit({ pouch: 1, iat: pouch.iat, have: rows, items }));
  unpack(text);
  return text;
}

/** Read a pouch; white space around it is taken off (GRID-064). Throws FormatError. No token is looked at. */
export function unpack(text: string): Pouch {
  if (text.length > MAX_TEXT) throw new FormatError("pouch too large");
  const value: unknown = jsonParse(textBytes(strip(text)));
  POUCH(value);
  const { pouch, iat, have: rows, items } = value as { pouch: number; iat: number; have: JsonObject[]; items: JsonObject[] };
  if (pouch !== 1) throw new FormatError("a pouch of a later version");
  const tokens: string[] = [];
  const others: JsonObject[] = [];
  for (const item of items) {
    ITEM(item);
    if (item["k"] === "grid") {
      GRID(item);
      tokens.push(item["jws"] as string);
    } else {
      others.push(item);
    }
  }
  return { iat, have: rows.map(readHave), tokens, others };
}

function readHave(row: unknown): Have {
  HAVE(row);
  const { th, of, up, more = [] } = row as { th: string; of: string; up: number; more?: Stretch[] };
  return { th, of, up, more: readStretches(more, up + 1) };
}

/** Whether a text is to be read as a pouch and not searched for tokens (GRID-064). */
export function isPouch(text: string): boolean {
  return strip(text, false).startsWith(MARK);
}

/** Which of the places `written` by `of` in `th` the pouch's maker does not have (GRID-065). */
export function wanted(pouch: Pouch, th: string, of: string, written: readonly number[]): number[] {
  const known = pouch.have.filter((one) => one.th === th && one.of === of);
  return written.filter((place) => !known.some((one) => reportHas(one, place)));
}
