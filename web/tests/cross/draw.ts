/** A seeded source of everything random in these cases, and a changed character. As `tests/web_cross/make.py`. */

import { type Bytes, sha256 } from "../../src/crypto.ts";
import { type JsonObject, b64e, textBytes } from "../../src/protocol/encoding.ts";
import type { Payload } from "../../src/sphere/payload.ts";

export interface Case {
  op: string;
  in: JsonObject;
  flip?: true;
}

const LETTERS = [..."abcdefghijklmnopqrstuvwxyz  äßЖ漢\u{1f980}\u2028\"\\/\t\n<&"];
const URL64 = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
const HEX = "0123456789abcdef";

export class Source {
  readonly cases: Case[] = [];
  #count = 0;
  readonly seed: string;

  constructor(seed: string) {
    this.seed = seed;
  }

  /** Bytes that depend on the seed and on what was drawn before. */
  readonly bytes = (length: number): Bytes => {
    const out = new Uint8Array(length);
    for (let at = 0; at < length; at += 32) {
      this.#count += 1;
      out.set(sha256(textBytes(`${this.seed}/${this.#count}`)).subarray(0, length - at), at);
    }
    return out;
  };

  below(most: number): number {
    return new DataView(this.bytes(4).buffer).getUint32(0) % most;
  }

  chance(share: number): boolean {
    return this.below(1000) < share * 1000;
  }

  pick<T>(from: readonly T[]): T {
    return from[this.below(from.length)]!;
  }

  text(most: number): string {
    return Array.from({ length: this.below(most + 1) }, () => this.pick(LETTERS)).join("");
  }

  id(kind: "id" | "dv" | "sp"): string {
    return `${kind}-${b64e(this.bytes(32))}`;
  }

  payload(): Payload {
    const cid = b64e(this.bytes(16));
    const re = b64e(this.bytes(16));
    switch (this.pick(["msg", "msg", "comment", "edit", "delete", "react", "sys"] as const)) {
      case "comment": return { k: "comment", cid, t: this.text(300), re };
      case "edit": return { k: "edit", cid, t: this.text(300), re };
      case "delete": return { k: "delete", cid, re };
      case "react": return { k: "react", cid, re, e: this.pick(["\u{1f44d}", "❤️"]), on: this.chance(0.5) };
      case "sys": return { k: "sys", cid, s: "nick", v: "nick" };
      default: return { k: "msg", cid, t: this.text(300) };
    }
  }

  /** Keep a case, and often one in which a character at one of `paths` is another. */
  keep(op: string, given: object, paths: readonly string[] = [], often = 0.4): void {
    const plain = JSON.parse(JSON.stringify(given)) as JsonObject;
    this.cases.push({ op, in: plain });
    if (paths.length > 0 && this.chance(often)) this.cases.push({ op, in: this.#flipped(plain, this.pick(paths)), flip: true });
  }

  #flipped(given: JsonObject, path: string): JsonObject {
    const made = structuredClone(given);
    const way = path.split(".");
    const last = way.pop()!;
    const holder = way.reduce((at, name) => at[name] as JsonObject, made);
    const text = holder[last] as string;
    const alphabet = [...text].every((one) => HEX.includes(one)) ? HEX : URL64;
    const at = this.pick([...text].flatMap((one, n) => (alphabet.includes(one) ? [n] : [])));
    const other = this.pick([...alphabet].filter((one) => one !== text[at]));
    holder[last] = text.slice(0, at) + other + text.slice(at + 1);
    return made;
  }
}
