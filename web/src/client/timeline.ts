/**
 * From stored rows to what is read: messages with their edits, deletion and reactions, notices and gaps between them.
 *
 * Rows were verified and their right to change another row judged when they were opened; here they are only put together
 * (MSG-012). A page costs what it shows: rows stand in the list they belong to in the order they are read, so nothing is
 * skipped over. Comments stand in the list of their message. Waiting texts of the outbox come last.
 *
 * Spec: CLT-011, WEB-031, WEB-032.
 */

import type { SphereState } from "../protocol/state.ts";
import { gaps } from "../sphere/chains.ts";
import { type Context, now, replica } from "./context.ts";
import { LAST, type MessageRow, SPOKEN, freshOf, isShown, keyOf } from "./message_row.ts";
import * as notices from "./notices.ts";
import { type Names, namesOf } from "./people.ts";
import type { ChainRow } from "./places.ts";
import * as queue from "./queue.ts";
import type { Message, Row, Rows } from "./records.ts";
import type { Replica } from "./replica.ts";
import type { Range, Reader, Tx } from "./store.ts";

export { SPOKEN } from "./message_row.ts";
export { noteEntries } from "./notices.ts";

/** Gaps looked up for one page; more are an attack on patience. */
const MAX_GAPS = 64;
/** Unread rows looked through at once for the first that stands in the list. */
const LOOK = 64;

// --- records ---------------------------------------------------------------------------------------------------------

/** The relay's position up to which this account has read. */
export async function readPosition(from: Reader, sph: string): Promise<number> {
  return (await from.get<number>("meta", `read/${sph}`)) ?? 0;
}

async function changesOf(from: Reader, sph: string, mid: string): Promise<MessageRow[]> {
  return (await from.by<MessageRow>("message", "of", { prefix: [sph, mid] })).map(([, row]) => row);
}

async function made(
  row: MessageRow,
  changes: readonly MessageRow[],
  me: string,
  names: Names,
  readPos: number,
): Promise<Message> {
  const { sph, mid, cid, pos, author, dv, seq, ep: epoch, at, kind, re, body, state, code } = row;
  const { text = "", open = false } = body;
  const shown = { text, edited: false, deleted: false };
  const reactions = new Map<string, Set<string>>();
  for (const change of changes) {
    const said = change.body.text ?? "";
    if (change.kind === "edit" && change.author === author) Object.assign(shown, { text: said, edited: true });
    if (change.kind === "delete" && (change.author === author || change.body.moderator === true)) shown.deleted = true;
    if (change.kind !== "react") continue;
    const who = reactions.get(said) ?? new Set();
    reactions.set(said, who);
    if (change.body.on !== false) who.add(change.author);
    else who.delete(change.author);
  }
  const given = shown.deleted ? [] : [...reactions].filter(([, who]) => who.size > 0);
  const [name, ...people] = await Promise.all([
    author === "" ? "" : names(author),
    ...given.map(async ([emoji, who]) => [emoji, await Promise.all([...who].map(names))] as const),
  ]);
  return {
    sph, mid, cid, pos, author, name, dv, seq, epoch, at, kind, ...shown, text: shown.deleted ? "" : shown.text, re,
    reactions: people, state: state === "hidden" ? "damaged" : state, code, open, mine: author === me,
    unread: pos > readPos && author !== me,
  };
}

/** The record of a row at hand. */
export async function record(
  from: Reader,
  sph: string,
  row: MessageRow,
  me: string,
  state: SphereState | undefined,
): Promise<Message> {
  const [changes, readPos] = await Promise.all([changesOf(from, sph, row.mid), readPosition(from, sph)]);
  return made(row, changes, me, namesOf(from, state), readPos);
}

/** The row that goes by a mid: a readable one before others, then the first that came. */
async function rowOf(from: Reader, sph: string, mid: string): Promise<MessageRow | undefined> {
  if (mid === "") return undefined;
  const rows = (await from.by<MessageRow>("message", "mid", { prefix: [sph, mid] })).map(([, row]) => row);
  return rows.find((row) => row.state === "sent") ?? rows.find((row) => row.state !== "hidden");
}

/** One message by mid. */
export async function one(
  from: Reader,
  sph: string,
  mid: string,
  me: string,
  state: SphereState | undefined,
): Promise<Message | undefined> {
  const row = await rowOf(from, sph, mid);
  return row && record(from, sph, row, me, state);
}

// --- unread ----------------------------------------------------------------------------------------------------------

interface Unread {
  /** The read position it was counted from. */
  read: number;
  count: number;
}

const after = (sph: string, read: number): Range => ({ prefix: [sph], from: [sph, read + 1] });

/** Texts of others after the read position. */
export async function unread(from: Reader, sph: string): Promise<number> {
  const [read, held] = await Promise.all([readPosition(from, sph), from.get<Unread>("meta", `unread/${sph}`)]);
  return held?.read === read ? held.count : from.count("message", after(sph, read), "fresh");
}

/** Positions that became unread or no longer are; inside the step that stored them. */
export async function countFresh(tx: Tx, sph: string, changed: readonly { pos: number; by: 1 | -1 }[]): Promise<void> {
  const [read, held] = await Promise.all([readPosition(tx, sph), tx.get<Unread>("meta", `unread/${sph}`)]);
  if (held?.read === read && changed.length === 0) return;
  const count =
    held?.read === read
      ? changed.reduce((sum, { pos, by }) => sum + (pos > read ? by : 0), held.count)
      : await tx.count("message", after(sph, read), "fresh");
  tx.put("meta", `unread/${sph}`, { read, count } satisfies Unread);
}

/** The first text of the main list that was not read. */
async function firstUnread(from: Reader, sph: string): Promise<MessageRow | undefined> {
  let pos = await readPosition(from, sph);
  for (;;) {
    const rows = (await from.by<MessageRow>("message", "fresh", { ...after(sph, pos), limit: LOOK })).map(([, row]) => row);
    const found = rows.find((row) => row.under === "");
    const last = rows.at(-1);
    if (found !== undefined || last === undefined) return found;
    pos = last.pos;
  }
}

// --- pages -----------------------------------------------------------------------------------------------------------

export interface Wanted {
  readonly thread?: string;
  /** Positions as the rows at the ends of the last page have them. */
  /** `Number.MAX_SAFE_INTEGER`: the newest, whatever is unread. */
  readonly before?: number;
  readonly after?: number;
  /** A message or the key of a row. */
  readonly around?: string;
  readonly limit: number;
}

/** Where a line stands: place, seq and n of a message; the position of a notice. */
type Point = readonly [place: number, seq: number, n: number];

/** One line to be. */
type Line = { at: Point; row: MessageRow } | { at: Point; fact: notices.Fact; pos: number; seq: number };

function compare(one: Point, other: Point): number {
  return one[0] - other[0] || one[1] - other[1] || one[2] - other[2];
}

const pointOf = ({ place, seq, n }: MessageRow): Point => [place, seq, n];
const END: Point = [LAST, LAST, LAST];

/** What reading one list needs. */
interface Reading {
  readonly ctx: Context;
  readonly rep: Replica;
  readonly from: Reader;
  readonly list: string;
  readonly names: Names;
  readonly readPos: number;
}

/** The nearest `limit` lines on one side of a point, which is not among them; in order. */
async function side(r: Reading, point: Point, reverse: boolean, limit: number): Promise<Line[]> {
  const { sph } = r.rep;
  const prefix = [sph, r.list];
  const range = reverse
    ? { from: prefix, to: [...prefix, ...point], reverse, limit: limit + 1 }
    : { prefix, from: [...prefix, ...point], limit: limit + 1 };
  const [rows, facts] = await Promise.all([
    r.from.by<MessageRow>("message", "list", range),
    r.list === "" ? notices.between(r.from, sph, reverse ? 0 : point[0], reverse ? point[0] : LAST, limit + 1, reverse) : [],
  ]);
  const lines: Line[] = [
    ...rows.map(([, row]): Line => ({ at: pointOf(row), row })),
    ...facts.map(([pos, seq, fact]): Line => ({ at: [pos, -1, seq], fact, pos, seq })),
  ];
  const beyond = (at: Point): boolean => (reverse ? compare(at, point) < 0 : compare(at, point) > 0);
  const found = lines.filter(({ at }) => beyond(at)).sort((a, b) => compare(a.at, b.at));
  return reverse ? found.slice(-limit) : found.slice(0, limit);
}

/** The line whose record has a position, as a bound. */
async function bound(r: Reading, pos: number, upper: boolean): Promise<Point> {
  const rows = (await r.from.by<MessageRow>("message", "pos", { prefix: [r.rep.sph, pos] })).map(([, row]) => row);
  const row = rows.find((found) => isShown(found) && found.under === r.list);
  if (row !== undefined) return pointOf(row);
  return upper ? [pos, -1, 0] : [pos, LAST, LAST];
}

/** The point a page is laid around, and whether its line belongs to the page (it always does). */
async function centre(r: Reading, key: string): Promise<MessageRow | undefined> {
  const { sph } = r.rep;
  const found = (await rowOf(r.from, sph, key)) ?? (await rowAt(r, key));
  return found?.under === r.list ? found : found && rowOf(r.from, sph, found.under);
}

async function rowAt({ ctx, rep, from }: Reading, key: string): Promise<MessageRow | undefined> {
  if (/^m[0-9]+$/.test(key)) {
    const row = await from.get<MessageRow>("message", Number(key.slice(1)));
    return row?.sph === rep.sph ? row : undefined;
  }
  const rows = await from.by<MessageRow>("message", "cid", { prefix: [rep.sph, key] });
  return rows.map(([, row]) => row).find((row) => row.author === ctx.id && row.state === "sent");
}

async function around(r: Reading, row: MessageRow, limit: number): Promise<{ lines: Line[]; before: boolean; after: boolean }> {
  const point = pointOf(row);
  const [older, newer] = await Promise.all([side(r, point, true, limit), side(r, point, false, limit)]);
  const below = Math.min(newer.length, Math.max(Math.ceil((limit - 1) / 2), limit - 1 - older.length));
  const above = Math.min(older.length, limit - 1 - below);
  const lines = [...older.slice(older.length - above), { at: point, row }, ...newer.slice(0, below)];
  return { lines, before: above < older.length, after: below < newer.length };
}

async function page(r: Reading, wanted: Wanted): Promise<{ lines: Line[]; before: boolean; after: boolean }> {
  const { limit } = wanted;
  if (wanted.after !== undefined) {
    const lines = await side(r, await bound(r, wanted.after, false), false, limit + 1);
    return { lines: lines.slice(0, limit), before: true, after: lines.length > limit };
  }
  const open = wanted.before === undefined && wanted.around === undefined && r.list === "";
  const first = open ? await firstUnread(r.from, r.rep.sph) : undefined;
  const middle = wanted.around === undefined ? first : await centre(r, wanted.around);
  if (middle !== undefined) return around(r, middle, limit);
  const newest = wanted.before === undefined || wanted.before === LAST;
  const point = newest ? END : await bound(r, wanted.before!, true);
  const lines = await side(r, point, true, limit + 1);
  return { lines: lines.slice(-limit), before: lines.length > limit, after: !newest };
}

async function reading(ctx: Context, sph: string, list: string): Promise<Reading> {
  const rep = await replica(ctx, sph);
  const from = ctx.store;
  return { ctx, rep, from, list, names: namesOf(from, rep.state), readPos: await readPosition(from, sph) };
}

/** Rows of a sphere or (with `thread`) of one message and its comments (WEB-031, WEB-032). */
export async function rows(ctx: Context, sph: string, wanted: Wanted): Promise<Rows> {
  const from = ctx.store;
  const root = wanted.thread === undefined ? undefined : await rowOf(from, sph, wanted.thread);
  const list = root === undefined ? (wanted.thread ?? "") : root.under || root.mid;
  const r = await reading(ctx, sph, list);
  const found = await page(r, wanted);
  const [lines, first, missing, waiting] = await Promise.all([
    Promise.all(found.lines.map((line) => rowFor(r, line))),
    list === "" ? firstUnread(from, sph) : undefined,
    list === "" ? gapLines(r, found.lines) : [],
    found.after ? [] : waitingRows(r),
  ]);
  const all: Row[] = [];
  for (const [at, line] of lines.entries()) {
    all.push(...missing.filter((gap) => gap.index === at).map((gap) => gap.row), line);
  }
  all.push(...waiting);
  if (list !== "" && !found.before) {
    const top = root?.under ? await rowOf(from, sph, root.under) : root;
    if (top !== undefined) all.unshift(await messageRow(r, top));
  }
  return { rows: all, more: { before: found.before, after: found.after }, firstUnread: first && keyOf(first, ctx.id) };
}

/** One row by key as it is now; undefined when it is no more. */
export async function row(ctx: Context, sph: string, key: string): Promise<Row | undefined> {
  const r = await reading(ctx, sph, "");
  const found = await rowAt(r, key);
  if (found !== undefined && isShown(found)) return messageRow(r, found);
  return (await waitingRows(r, key)).find((one) => one.key === key);
}

async function rowFor(r: Reading, line: Line): Promise<Row> {
  if ("row" in line) return messageRow(r, line.row);
  const notice = await notices.named(r.rep.sph, line.pos, line.seq, line.fact, r.names, r.ctx.id);
  return { row: "notice", key: `e${line.seq}`, notice };
}

async function messageRow(r: Reading, row: MessageRow): Promise<Row> {
  const { sph } = r.rep;
  const prefix = [sph, row.mid];
  const thread = row.under === "" && SPOKEN.includes(row.kind);
  const [changes, comments] = await Promise.all([
    changesOf(r.from, sph, row.mid), thread ? r.from.count("message", { prefix }, "list") : 0,
  ]);
  const unreadFrom = { prefix, from: [...prefix, r.readPos + 1] };
  const newer = comments === 0 ? [] : await r.from.by<MessageRow>("message", "list", unreadFrom);
  const unreadComments = newer.filter(([, one]) => (freshOf(one, r.ctx.id) ?? 0) > r.readPos).length;
  const message = await made(row, changes, r.ctx.id, r.names, r.readPos);
  return { row: "message", key: keyOf(row, r.ctx.id), message, comments, unreadComments };
}

/** Texts on their way that are not here as messages yet; with `key` only that one, whatever it answers. */
async function waitingRows(r: Reading, key?: string): Promise<Row[]> {
  const found: Row[] = [];
  for (const message of await queue.waiting(r.ctx, r.rep)) {
    const root = message.re === "" ? undefined : await rowOf(r.from, r.rep.sph, message.re);
    const under = message.kind === "comment" ? root?.under || message.re : "";
    if (key === undefined ? under !== r.list : message.cid !== key) continue;
    if ((await rowAt(r, message.cid)) !== undefined) continue;
    found.push({ row: "message", key: message.cid, message, comments: 0, unreadComments: 0 });
  }
  return found;
}

/** Gaps whose end falls into a page, with the line they stand before. */
async function gapLines(r: Reading, lines: readonly Line[]): Promise<{ index: number; row: Row }[]> {
  const { rep: { sph, state, note }, from } = r;
  const devices = (note["gappy"] as string[] | undefined) ?? [];
  const [first, last] = [lines[0], lines.at(-1)];
  if (state === undefined || first === undefined || last === undefined || devices.length === 0) return [];
  const found: { index: number; row: Row }[] = [];
  for (const dv of devices) {
    const chain = await from.get<ChainRow>("chain", [sph, dv]);
    const open = chain === undefined ? [] : gaps(chain, state.policy, now(r.ctx)).filter((gap) => !gap.silent);
    for (const gap of open.slice(-MAX_GAPS)) {
      const named = (await from.by<MessageRow>("message", "name", { prefix: [sph, dv, gap.last + 1] })).map(([, row]) => row);
      const next = named.find((row) => row.chained);
      if (next === undefined || compare(pointOf(next), first.at) < 0 || compare(pointOf(next), last.at) > 0) continue;
      const index = lines.findIndex((line) => compare(line.at, pointOf(next)) >= 0);
      const missing = gap.last - gap.first + 1;
      const name = await r.names(next.author);
      found.push({ index, row: { row: "gap", key: `g${dv}:${gap.first}`, gap: { sph, pos: next.pos, dv, name, missing } } });
    }
  }
  return found;
}
