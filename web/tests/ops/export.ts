import { concat } from "../../src/crypto.ts";
import * as exports from "../../src/sphere/export.ts";
import { type Op, hex, unhex } from "./index.ts";
import { drawn } from "./keys.ts";
import { history } from "./log.ts";

const secret = (by: string, typed: string): exports.Secret => (by === "code" ? exports.readCode(typed) : exports.readWords(typed));
const rows = (keys: Iterable<readonly [number, Uint8Array]>): unknown => [...keys].map(([n, one]) => [n, hex(one)]);

export const OPS: Record<string, Op> = {
  "export-code": ({ bytes }) => exports.showCode(unhex(bytes)),
  "export-code-read": ({ text }) => hex(exports.readCode(text).data),
  "export-words": ({ text }) => hex(exports.readWords(text).data),
  "export-seal": ({ sph, keys, by, typed, iat, salt, nonce }) => {
    const made = keys.map(([n, one, prev]: [number, string, string]) => ({ sph, n, secret: unhex(one), prev: unhex(prev) }));
    return exports.seal(made, secret(by, typed), iat, drawn(concat(unhex(salt), unhex(nonce))));
  },
  "export-parse": ({ text }) => {
    const { sph, by, eps, kcs, iat } = exports.parse(text);
    return { sph, by, eps, kcs: kcs.map(hex), iat };
  },
  "export-open": async ({ text, typed }) => {
    const read = exports.parse(text);
    return rows(await exports.open(read, exports.readSecret(read, typed)));
  },
  "export-recognise": async (given) => {
    const found = new Map<number, Uint8Array>(given.found.map(([n, one]: [number, string]) => [n, unhex(one)]));
    const { keys, unknown, refused } = exports.recognise(found, await history(given), given.sph);
    return { keys: rows(keys.map(({ n, secret: one }) => [n, one] as const)), unknown, refused };
  },
};
