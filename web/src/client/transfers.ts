/**
 * Live transfers under way on this device: in memory alone, gone with the worker (LIVE-002).
 *
 * As `src/cloister/client/transfers.py`.
 */

import type { Asking, Given, Message, Offering, Pair, Way } from "../sphere/live.ts";
import type { Channel } from "./channel.ts";

/**
 * An ask of this device, `jws`, and how many devices it `reached`. `offers` are those not opened yet, `left` how many more
 * may be opened; `closed` once the first was: what comes later is dropped (LIVE-004). `pair` while an offer is open.
 */
export interface Asked {
  readonly asking: Asking;
  readonly jws: string;
  reached: number;
  readonly offers: Message[];
  left: number;
  closed: boolean;
  pair: Pair | undefined;
}

/** An ask of another device; `pair` once it was opened, `given` once keys went out; `way` where it can be met (LIVE-015). */
export interface Answered {
  readonly offering: Offering;
  pair?: Pair;
  given?: Given;
  way?: { readonly where: Way; readonly digest: Uint8Array };
}

/** Everything under way, by b64 of H(SI) of the ask. */
export interface Transfers {
  readonly asked: Map<string, Asked>;
  readonly answered: Map<string, Answered>;
  /** Until when the asks of a device are remembered. */
  readonly seen: Map<string, Map<string, number>>;
  /** When this device asked in a sphere. */
  readonly last: Map<string, number>;
  /** Devices whose last opened offer came to nothing. */
  readonly vain: Set<string>;
  readonly channels: Map<string, Channel>;
  /** What came in is taken one after the other, whichever way it came. */
  turn: Promise<unknown>;
}

export const none = (): Transfers => ({
  asked: new Map(), answered: new Map(), seen: new Map(), last: new Map(), vain: new Set(), channels: new Map(),
  turn: Promise.resolve(),
});
