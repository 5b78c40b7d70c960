/**
 * Live transfers under way on this device: in memory alone, gone with the worker (LIVE-002).
 *
 * As `src/cloister/client/transfers.py`.
 */

import type { Asking, Given, Offering, Pair } from "../sphere/live.ts";

/** An ask of this device; `pair` from the moment an offer was opened. */
export interface Asked {
  readonly asking: Asking;
  pair?: Pair;
}

/** An ask of another device; `pair` once it was opened, `given` once keys went out. */
export interface Answered {
  readonly offering: Offering;
  pair?: Pair;
  given?: Given;
}

/** Everything under way, by b64 of H(SI) of the ask. */
export interface Transfers {
  readonly asked: Map<string, Asked>;
  readonly answered: Map<string, Answered>;
  /** Until when an ask is remembered. */
  readonly seen: Map<string, number>;
  /** When this device asked in a sphere. */
  readonly last: Map<string, number>;
}

export const none = (): Transfers => ({ asked: new Map(), answered: new Map(), seen: new Map(), last: new Map() });
