/**
 * What a page of messages changes beside its rows: the count of unread ones, the search index, and the events.
 *
 * Collected while a page is stored and written once at its end, in the same step. Spec: CLT-009, WEB-031, WEB-033.
 */

import type { Context } from "./context.ts";
import { type MessageRow, SPOKEN, freshOf, isShown } from "./message_row.ts";
import type { Replica } from "./replica.ts";
import * as search from "./search.ts";
import type { Tx } from "./store.ts";
import * as timeline from "./timeline.ts";

/** More changes in one page are a backlog: said once, not one by one. */
const MAX_TOLD = 64;

export class Telling {
  readonly #fresh: { pos: number; by: 1 | -1 }[] = [];
  readonly #texts: search.Text[] = [];
  readonly #rows: { row: MessageRow; isNew: boolean }[] = [];

  constructor(
    readonly ctx: Context,
    readonly rep: Replica,
    readonly tx: Tx,
  ) {}

  /** A row took the place of another (or of none). */
  counted(before: MessageRow | undefined, after: MessageRow): void {
    for (const [row, by] of [[before, -1], [after, 1]] as const) {
      const pos = row && freshOf(row, this.ctx.id);
      if (pos !== undefined) this.#fresh.push({ pos, by });
    }
  }

  /** Words became readable. */
  said(row: MessageRow): void {
    if (SPOKEN.includes(row.kind)) this.#texts.push({ mid: row.mid, text: row.body.text ?? "" });
    if (row.kind === "edit") this.#texts.push({ mid: row.re, text: row.body.text ?? "" });
  }

  /** A row to tell of; `isNew` when nothing was shown of it before. */
  row(row: MessageRow, isNew: boolean): void {
    if (row.state !== "hidden" && (isShown(row) || row.re !== "")) this.#rows.push({ row, isNew });
  }

  async done(): Promise<void> {
    const { tx, rep: { sph } } = this;
    await timeline.countFresh(tx, sph, this.#fresh);
    await search.add(tx, sph, this.#texts);
    if (!this.ctx.store.heard()) return;
    if (this.#rows.length > MAX_TOLD) {
      tx.events.push({ event: "Backlog", sph, messages: this.#rows.length });
      return;
    }
    for (const { row, isNew } of this.#rows) {
      const shown = isShown(row);
      const mid = shown ? row.mid : row.re;
      const message = shown
        ? await timeline.record(tx, sph, row, this.ctx.id, this.rep.state)
        : await timeline.one(tx, sph, mid, this.ctx.id, this.rep.state);
      if (message !== undefined) tx.events.push({ event: shown && isNew ? "MessageReceived" : "MessageChanged", sph, message });
    }
  }
}
