import { digits, headCode, safetyNumber } from "../../src/protocol/digits.ts";
import { type Op, unhex } from "./index.ts";

export const OPS: Record<string, Op> = {
  digits: ({ bytes }) => digits(unhex(bytes)),
  "safety-number": ({ one, other }) => safetyNumber(one, other),
  "head-code": ({ digest }) => headCode(unhex(digest)),
};
