/**
 * Retention on this device: what a sphere's policy lets go is emptied here as well, and the keys of dead epochs die.
 *
 * Of an expired message only its place and hash stay, so that its chain has no hole. An epoch whose every message has
 * expired needs no key: a copy of its ciphertext that somebody kept opens with nothing of this device any more.
 * As `src/cloister/client/expiry.py`. Spec: CLT-039.
 */

import * as slotNames from "../account/slot_names.ts";
import { type Context, now } from "./context.ts";
import { type MessageRow, freshOf, putRow } from "./message_row.ts";
import type { EntryRow } from "./notices.ts";
import { type Note, type Replica, known, saveNote } from "./replica.ts";
import * as search from "./search.ts";
import type { Reader, Tx } from "./store.ts";
import * as timeline from "./timeline.ts";

const DAY = 86_400;
/** Seconds between two looks through the messages of a sphere. */
const EVERY = 3600;
export const CODE = "C_EXPIRED";
/** Rows looked through at once. */
const SLICE = 512;
const STATES: readonly MessageRow["state"][] = ["sent", "unreadable", "quarantined", "damaged", "hidden"];

type Notes = Note & {
  swept?: number;
  shredded?: number;
};

/** The last epoch whose key was given up here; neither it nor one before it is taken again. */
export function shredded(rep: Replica): number {
  return (rep.note as Notes).shredded ?? 0;
}

/** Empty what has expired; how many messages. One step, at most once an hour. */
export async function sweep(ctx: Context, rep: Replica): Promise<number> {
  const note = rep.note as Notes;
  const days = known(rep).state.policy.retention;
  const at = now(ctx);
  if (days === 0 || Math.abs(at - (note.swept ?? 0)) < EVERY) return 0;
  const oldest = at - days * DAY;
  return ctx.store.step(async (tx) => {
    const dead = await lastDead(rep, oldest, tx);
    const expired = await found(tx, rep.sph, (row) => row.at < oldest || (row.ep > 0 && row.ep <= dead));
    await empty(ctx, rep, expired, tx);
    if (dead > shredded(rep)) {
      await shred(rep, dead, tx);
      note.shredded = dead;
    }
    note.swept = at;
    saveNote(tx, rep);
    if (expired.length > 0) tx.events.push({ event: "Backlog", sph: rep.sph, messages: expired.length });
    return expired.length;
  });
}

/**
 * The last epoch all of whose messages have expired: the next one began, and was seen here, before `oldest`. Never one
 * that the title in force needs.
 */
async function lastDead(rep: Replica, oldest: number, from: Reader): Promise<number> {
  const { state, history } = known(rep);
  let last = shredded(rep);
  for (const { n, seq, iat } of history.epochs()) {
    const row = n - 1 <= last ? undefined : await from.get<EntryRow>("entry", [rep.sph, seq]);
    if (row === undefined) continue;
    if (Math.max(iat, row.seen) >= oldest) break;
    last = n - 1;
  }
  const title = state.meta?.ep ?? 0;
  return title > 0 ? Math.min(last, title - 1) : last;
}

/** Rows of a sphere that were not emptied yet and of which `wanted` is true. */
async function found(from: Reader, sph: string, wanted: (row: MessageRow) => boolean): Promise<MessageRow[]> {
  const rows: MessageRow[] = [];
  for (const state of STATES) {
    const prefix = [sph, state];
    for (let start: (string | number)[] = prefix; ; ) {
      const slice = await from.by<MessageRow>("message", "state", { prefix, from: start, limit: SLICE });
      for (const [, row] of slice) if (row.code !== CODE && wanted(row)) rows.push(row);
      const last = slice.at(-1)?.[1];
      if (last === undefined || slice.length < SLICE) break;
      start = [...prefix, last.ep, last.n + 1];
    }
  }
  return rows;
}

async function empty(ctx: Context, rep: Replica, expired: readonly MessageRow[], tx: Tx): Promise<void> {
  const { sph } = rep;
  const mids = new Set<string>();
  const fresh: { pos: number; by: -1 }[] = [];
  for (const row of expired) {
    mids.add(row.mid);
    const pos = freshOf(row, ctx.id);
    if (pos !== undefined) fresh.push({ pos, by: -1 });
    putRow(tx, { ...row, state: "hidden", code: CODE, cid: "", kind: "", re: "", under: "", body: {}, jws: "" }, ctx.id);
  }
  for (const mid of mids) {
    // Comments that are younger stand in the list of the sphere from now on.
    for (const [, row] of await tx.by<MessageRow>("message", "list", { prefix: [sph, mid] })) {
      putRow(tx, { ...row, under: "" }, ctx.id);
    }
  }
  await timeline.countFresh(tx, sph, fresh);
  await search.drop(tx, sph, mids);
}

/** Keys up to `dead` go, and what was fetched of them and waits for its place in the log. */
async function shred(rep: Replica, dead: number, tx: Tx): Promise<void> {
  for (const [key] of await tx.list("epochKey", { prefix: [rep.sph] })) {
    if ((key as readonly [string, number])[1] <= dead) tx.drop("epochKey", key);
  }
  for (const kind of ["slot", "kept"]) {
    for (const [name] of await tx.list("todo", { prefix: `${kind}/e.${rep.sph}.` })) {
      if (slotNames.parse(String(name).slice(kind.length + 1)).n <= dead) tx.drop("todo", name);
    }
  }
  for (const n of [...rep.keys.keys()]) if (n <= dead) rep.keys.delete(n);
}
