import { b64d, b64e, jsonParse, kdf, lp } from "../../src/protocol/encoding.ts";
import { shape } from "../../src/protocol/shape.ts";
import { type Op, hex, unhex } from "./index.ts";

type Part = { t: string } | { b: string } | { i: string };

export const OPS: Record<string, Op> = {
  lp: ({ parts }) =>
    hex(lp(...(parts as Part[]).map((part) => ("t" in part ? part.t : "b" in part ? unhex(part.b) : BigInt(part.i))))),
  kdf: ({ ikm, salt, label, ctx, length }) => hex(kdf(unhex(ikm), unhex(salt), label, unhex(ctx), length)),
  b64e: ({ bytes }) => b64e(unhex(bytes)),
  b64d: ({ text }) => hex(b64d(text)),
  "json-parse": ({ bytes }) => jsonParse(unhex(bytes)),
  shape: (given) => {
    shape(given.shape)(jsonParse(unhex(given.bytes)));
    return true;
  },
};
