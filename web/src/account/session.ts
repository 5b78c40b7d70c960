/**
 * Session tokens: 256 random bits at the client; the relay stores and looks up only a hash. Spec: SRP-015.
 */

import type { Rng } from "../crypto.ts";
import { b64e } from "../protocol/encoding.ts";

/** A bearer token, 43 characters (SRP-015). */
export function newToken(rng: Rng): string {
  return b64e(rng(32));
}
