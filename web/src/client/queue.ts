/**
 * The rows of the outbox: what was written and is not yet accepted. Sending them is `outbox`'s work.
 *
 * A row is named by the cid of its words for ever; `n` is its place in the order of writing. Spec: CLT-016.
 */

import { NotFound } from "../errors.ts";
import * as messages from "../sphere/message.ts";
import type { Context } from "./context.ts";
import * as people from "./people.ts";
import type { Message, OutboxItem, OutboxState } from "./records.ts";
import type { Replica } from "./replica.ts";
import type { Reader, Tx } from "./store.ts";
import * as timeline from "./timeline.ts";

/** What the author of a text could know when composing: the mode, and whether all who read are confirmed. */
export interface Seen {
  readonly mode: string;
  readonly verified: boolean;
}

export interface OutboxRow {
  readonly id: string;
  readonly n: number;
  readonly sph: string;
  readonly state: OutboxState;
  /** The words: kind, text (or emoji), whom they answer, on or off, and whether they go in clear. */
  readonly kind: string;
  readonly text: string;
  readonly re: string;
  readonly on: boolean;
  readonly about: string;
  readonly openly: boolean;
  readonly at: number;
  readonly seen: Seen;
  readonly question: string;
  /** Devices whose claims the author was asked about last. */
  readonly asked: readonly string[];
  readonly code: string;
  /** Seconds of patience that the relay asked for when it last refused. */
  readonly patience?: number | undefined;
  /** Devices whose claims the author knew and overrode. */
  readonly claims: readonly string[];
  /** The envelope last sealed, while its outcome is open. */
  readonly jws: string;
  readonly tries: number;
}

/** Stored rows of one sphere or of all, in order. */
export async function rows(from: Reader, sph?: string): Promise<OutboxRow[]> {
  if (sph !== undefined) return (await from.by<OutboxRow>("outbox", "sph", { prefix: [sph] })).map(([, row]) => row);
  return (await from.list<OutboxRow>("outbox")).map(([, row]) => row);
}

/** Rows looked at together for the next that may go. */
const LOOK = 16;

/** The first row of a sphere that was not refused for good; a long queue is not read for it. */
export async function next(from: Reader, sph: string): Promise<OutboxRow | undefined> {
  for (let after = 0; ; ) {
    const page = await from.by<OutboxRow>("outbox", "sph", { prefix: [sph], from: [sph, after + 1], limit: LOOK });
    const found = page.find(([, row]) => row.state !== "failed");
    const last = page.at(-1);
    if (found !== undefined || last === undefined) return found?.[1];
    after = last[1].n;
  }
}

/** Everything not yet accepted, in order. */
export async function items(ctx: Context, sph?: string): Promise<OutboxItem[]> {
  return (await rows(ctx.store, sph)).map(record);
}

/** One row by id, undefined when it was accepted or dropped. */
export async function get(from: Reader, id: string): Promise<OutboxRow | undefined> {
  return (await from.by<OutboxRow>("outbox", "id", { prefix: [id], limit: 1 }))[0]?.[1];
}

/** One row by id. Throws NotFound. */
export async function find(from: Reader, id: string): Promise<OutboxRow> {
  const found = await get(from, id);
  if (found === undefined) throw new NotFound("nothing waits under this id");
  return found;
}

export function record(row: OutboxRow): OutboxItem {
  const { id, sph, kind, text, at, state, question, code, re } = row;
  return { id, sph, kind, text, at, state, question, code, ...(re === "" ? {} : { re }) };
}

/** Write a row and tell of it. */
export function update(tx: Tx, row: OutboxRow): void {
  tx.put("outbox", row.n, row);
  tx.events.push({ event: "ItemChanged", sph: row.sph, id: row.id, item: record(row) });
}

/** Forget a row that was not sent. */
export function forget(tx: Tx, row: OutboxRow): void {
  tx.drop("outbox", row.n);
  tx.events.push({ event: "ItemChanged", sph: row.sph, id: row.id, item: undefined });
}

/** The relay has it: remove the row; inside a step. */
export async function done(ctx: Context, rep: Replica, id: string, compact: string, tx: Tx): Promise<void> {
  const row = await get(tx, id);
  if (row === undefined) return;
  tx.drop("outbox", row.n);
  const { mid } = messages.decode(compact).head;
  const message = await timeline.one(tx, rep.sph, mid, ctx.id, rep.state);
  tx.events.push({ event: "MessageSent", sph: rep.sph, item: record(row), message });
}

/** Rows of a sphere as messages, to be shown after the last one. */
export async function waiting(ctx: Context, rep: Replica): Promise<Message[]> {
  const { sph } = rep;
  const spoken = (await rows(ctx.store, sph)).filter((one) => one.kind === "msg" || one.kind === "comment");
  const name = await people.nameOf(ctx.store, rep.state, ctx.id);
  return spoken.map((one) => ({
    sph, mid: "", cid: one.id, pos: 0, author: ctx.id, name, dv: ctx.dv, seq: 0, epoch: 0, at: one.at, kind: one.kind,
    text: one.text, re: one.re, edited: false, deleted: false, reactions: [], state: "waiting", code: one.code,
    open: one.openly, mine: true, unread: false,
  }));
}
