/** The random bytes of a case of the off-the-grid vectors, in the order in which they are drawn. */

import type { Rng } from "../../src/crypto.ts";
import { unhex } from "./index.ts";

/** Run `act` with the bytes of a case; all of them are needed, and no more. */
export async function drawing<T>(drawn: string, act: (rng: Rng) => T | Promise<T>): Promise<T> {
  let left = unhex(drawn);
  const made = await act((length) => {
    if (left.length < length) throw new Error("more is drawn than the case has");
    const data = left.slice(0, length);
    left = left.slice(length);
    return data;
  });
  if (left.length > 0) throw new Error("less is drawn than the case has");
  return made;
}
