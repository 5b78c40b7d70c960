/**
 * Where a message is read: at the relay's position, as far as the chain of its device allows.
 *
 * A relay may turn the messages of one device round. Within a chain the place never goes back: a message comes after
 * the one it names and before the one that names it. What arrives late therefore fills the place where it was missing,
 * and no row that was shown before it moves. Spec: CLT-011.
 */

import type { Chain } from "../sphere/chains.ts";
import { LAST, type MessageRow } from "./message_row.ts";
import type { Reader } from "./store.ts";

/** A row of the table `chain`: what is held, and where the next message of the device stands without a look-up. */
export interface ChainRow extends Chain {
  /** The highest seq of any row stored of this device, authentic or not. */
  top: number;
  /** The highest message held, and its place. */
  last: { seq: number; place: number };
}

export const NO_CHAIN: ChainRow = { runs: [], floor: 0, top: 0, last: { seq: 0, place: 0 } };

/** Set the place of an authentic row and take note of it in `chain`. */
export async function place(from: Reader, row: MessageRow, chain: ChainRow): Promise<void> {
  const wanted = row.pos || LAST;
  if (row.seq > chain.last.seq) row.place = Math.max(wanted, chain.last.place);
  else {
    const [below, above] = await Promise.all([neighbour(from, row, true), neighbour(from, row, false)]);
    row.place = Math.min(Math.max(wanted, below?.place ?? 0), above?.place ?? LAST);
  }
  row.chained = true;
  if (row.seq >= chain.last.seq && row.pos > 0) chain.last = { seq: row.seq, place: row.place };
}

/** The nearest row of the same chain that has a place of its own. */
async function neighbour(from: Reader, { sph, dv, seq }: MessageRow, reverse: boolean): Promise<MessageRow | undefined> {
  const prefix = [sph, dv];
  for (let at = reverse ? seq - 1 : seq + 1; at >= 1; ) {
    const bound = [...prefix, at];
    const range = reverse ? { from: prefix, to: bound, reverse, limit: 4 } : { prefix, from: bound, limit: 4 };
    const rows = (await from.by<MessageRow>("message", "name", range)).map(([, row]) => row);
    const found = rows.find((row) => row.chained && row.place !== LAST);
    const last = rows.at(-1);
    if (found !== undefined || last === undefined) return found;
    at = reverse ? last.seq - 1 : last.seq + 1;
  }
  return undefined;
}
