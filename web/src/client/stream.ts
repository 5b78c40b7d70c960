/**
 * The pages of a sphere's stream: what the relay leaves out is asked for again, then said (CLT-033).
 *
 * Positions have no hole (STR-001). A relay that shows one, or a head it does not lead up to, keeps something back or has
 * lost it; asking for ever would keep everything else from being read. As `src/cloister/client/stream.py`.
 */

import { type Context, replica } from "./context.ts";
import { type Note, type Replica, saveNote } from "./replica.ts";
import { cursor } from "./store.ts";

/** How often a round asks again for what was left out. */
const AGAIN = 2;
/** Stretches remembered, the latest. */
const MAX_HOLES = 16;

/** A row of a sphere's stream. */
export interface Item {
  readonly pos: number;
  readonly k: string;
  readonly jws?: string;
}

interface Page {
  readonly items: readonly Item[];
  readonly head: number;
}

/** Positions, from first to last. */
export type Stretch = readonly [first: number, last: number];
type Notes = Note & { holes?: Stretch[]; hidden?: number };

/** One round's reading of a sphere's stream, as its writer. */
export class Pages {
  private left = AGAIN;

  constructor(private readonly ctx: Context, private readonly sph: string) {}

  /**
   * The rows after the durable cursor, and whether there are more behind them. What does not go on from the cursor is no
   * row: so the cursor moves with every page, or the reading ends.
   */
  async next(): Promise<{ rows: Item[]; more: boolean }> {
    const after = await cursor(this.ctx.store, this.sph);
    let page = await this.ctx.relay.items(this.sph, after);
    while (this.left > 0 && (holesOf(after, page).length > 0 || hides(after, page))) {
      this.left -= 1;
      page = await this.ctx.relay.items(this.sph, after);
    }
    await this.note(holesOf(after, page), hides(after, page) ? page.head : 0);
    const rows = page.items.filter((one) => one.pos > after);
    return { rows, more: rows.length > 0 && highest(rows) < page.head };
  }

  private async note(found: readonly Stretch[], hidden: number): Promise<void> {
    const rep = await replica(this.ctx, this.sph);
    const known = leftOut(rep);
    const fresh = found.filter(([first, last]) => !known.some((one) => one[0] === first && one[1] === last));
    if (fresh.length === 0 && hidden === hiddenHead(rep)) return;
    await this.ctx.store.step(async (tx) => {
      const held = await replica(this.ctx, this.sph, tx);
      Object.assign(held.note, { holes: [...known, ...fresh].slice(-MAX_HOLES), hidden });
      saveNote(tx, held);
    });
  }
}

/** The highest position of rows, of which there is one. */
export const highest = (rows: readonly Item[]): number => rows.reduce((top, one) => Math.max(top, one.pos), 0);

/** Stretches that a page leaves out. */
function holesOf(after: number, { items }: Page): Stretch[] {
  const found: Stretch[] = [];
  let last = after;
  for (const pos of items.map((one) => one.pos).filter((one) => one > after).sort((one, other) => one - other)) {
    if (pos > last + 1) found.push([last + 1, pos - 1]);
    last = pos;
  }
  return found;
}

/** Whether the relay names rows after the cursor and shows none. */
const hides = (after: number, { items, head }: Page): boolean => head > after && items.every((one) => one.pos <= after);

/** Stretches of positions that the relay did not show here. */
export const leftOut = (rep: Replica): readonly Stretch[] => (rep.note as Notes).holes ?? [];

/** The head that the relay names without showing what leads up to it, or 0. */
export const hiddenHead = (rep: Replica): number => (rep.note as Notes).hidden ?? 0;
