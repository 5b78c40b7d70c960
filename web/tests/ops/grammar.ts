import { FormatError } from "../../src/errors.ts";
import { b64d, jsonParse } from "../../src/protocol/encoding.ts";
import { type Op, hex, unhex } from "./index.ts";

function each(inputs: string[], read: (text: string) => unknown): unknown[] {
  return inputs.map((text) => {
    try {
      return read(text);
    } catch (error) {
      if (error instanceof FormatError) return false;
      throw error;
    }
  });
}

export const OPS: Record<string, Op> = {
  "json-verdicts": ({ inputs }) => each(inputs, (text) => jsonParse(unhex(text))),
  "b64-verdicts": ({ inputs }) => each(inputs, (text) => hex(b64d(text))),
};
