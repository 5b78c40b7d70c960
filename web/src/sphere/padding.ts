/** Padding: a relay sees a length out of a short list. Spec: MSG-007. */

import type { Bytes } from "../crypto.ts";
import { FormatError } from "../errors.ts";

const SIZES = [256, 512, 1024, 2048, 4096];

const log2 = (value: number): number => 31 - Math.clz32(value);

/** The padded size of `length` bytes of content. */
export function paddedLength(length: number): number {
  const least = length + 1;
  const size = SIZES.find((one) => one >= least);
  if (size !== undefined) return size;
  const exponent = log2(least);
  const step = 2 ** (exponent - (log2(exponent) + 1));
  return Math.ceil(least / step) * step;
}

export function pad(data: Uint8Array): Bytes {
  const out = new Uint8Array(paddedLength(data.length));
  out.set(data);
  out[data.length] = 0x80;
  return out;
}

/** Throws FormatError for every other length and filling. */
export function unpad(padded: Uint8Array): Uint8Array {
  let end = padded.length - 1;
  while (end >= 0 && padded[end] === 0) end -= 1;
  if (end < 0 || padded[end] !== 0x80 || paddedLength(end) !== padded.length) throw new FormatError("MSG-007");
  return padded.subarray(0, end);
}
