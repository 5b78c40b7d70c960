/**
 * Receiving messages: judge a page, open what can be opened, store everything, say what changed.
 *
 * The verdict comes from `sphere/run`; this module keeps the frames that have to wait, feeds them again when the log or a
 * successor speaks for them, and re-reads rows when a key arrives late. One call, one step, cursor included. A page is
 * read from the store at its beginning and opened all at once, so that its cost is that of its cryptography.
 *
 * An own chain that has gone further than this device ever sealed means a copy of this device exists: it retires
 * (CLT-014). A position beyond the own log may mean that an entry is withheld: `claims` keeps who says so (CLT-015).
 *
 * Spec: CLT-008, CLT-011, CLT-014, CLT-015, CLT-020.
 */

import { CloisterError } from "../errors.ts";
import type { Message } from "../sphere/message.ts";
import * as messages from "../sphere/message.ts";
import * as run from "../sphere/run.ts";
import type { Opened, Verdict } from "../sphere/run.ts";
import { type Chain, EMPTY, gaps } from "../sphere/chains.ts";
import { epochNumber } from "../protocol/state.ts";
import * as claims from "./claims.ts";
import { type Context, now } from "./context.ts";
import { type MessageRow, bare, fill, putRow } from "./message_row.ts";
import * as people from "./people.ts";
import { type ChainRow, NO_CHAIN, place } from "./places.ts";
import { type Note, type Replica, known, saveNote } from "./replica.ts";
import { type Reader, type Tx, meta, setMeta } from "./store.ts";
import { Telling } from "./telling.ts";

export type { MessageRow } from "./message_row.ts";

/** Waiting frames fed again at once: more is a flood. */
const MAX_AGAIN = 500;
const HELD: readonly string[] = ["sent", "unreadable", "damaged"];
const UNDECIDED: readonly string[] = ["C_GAP", "C_KEY_UNKNOWN", "C_LOG_FORK"];

/** A position of the relay and the message it shows there. */
export type Frame = readonly [pos: number, compact: string];

type Notes = Note & {
  /** What successors name and nobody held: [dv, seq, H]. */
  named?: [string, number, string][];
  judgedAt?: number;
  count?: number;
  inviter?: string;
  floor?: { seq: number; h: string };
  provisional?: boolean;
  orphans?: boolean;
  gappy?: string[];
};

/** Held chain states by dv. */
export async function chains(from: Reader, sph: string): Promise<Map<string, ChainRow>> {
  const rows = await from.list<ChainRow>("chain", { prefix: [sph] });
  return new Map(rows.map(([key, row]) => [(key as readonly [string, string])[1], row]));
}

/** One device's chain as verified so far. */
export async function ownChain(from: Reader, sph: string, dv: string): Promise<Chain> {
  return (await from.get<ChainRow>("chain", [sph, dv])) ?? EMPTY;
}

/** Judge and store frames inside the caller's step; returns how many messages are new. */
export async function takeNow(ctx: Context, rep: Replica, frames: readonly Frame[], tx: Tx): Promise<number> {
  const telling = new Telling(ctx, rep, tx);
  const count = (await new Page(ctx, rep, tx, telling).judge(frames)) + (await again(ctx, rep, tx, telling));
  await telling.done();
  return count;
}

/** Feed waiting frames again that a successor names or that the grown log may decide (RUN-012). */
async function again(ctx: Context, rep: Replica, tx: Tx, telling: Telling): Promise<number> {
  const note = rep.note as Notes;
  const tried = new Set<string>();
  let count = 0;
  for (;;) {
    const named = (note.named ?? []).filter((one) => !tried.has(one.join()));
    delete note.named;
    if (named.length === 0) break;
    for (const one of named) tried.add(one.join());
    const found = await Promise.all(named.map(async ([dv, seq, h]) => {
      const rows = (await tx.by<MessageRow>("message", "name", { prefix: [rep.sph, dv, seq] })).map(([, row]) => row);
      return rows.filter((row) => row.h === h && row.jws !== "" && (row.state === "quarantined" || row.state === "hidden"));
    }));
    const frames = found.flat().map((row): Frame => [row.pos, row.jws]);
    if (frames.length > 0) count += await new Page(ctx, rep, tx, telling).judge(frames.slice(0, MAX_AGAIN));
  }
  const { seq } = known(rep).history;
  if ((note.judgedAt ?? -1) !== seq) {
    note.judgedAt = seq;
    saveNote(tx, rep);
    const waiting = (await tx.by<MessageRow>("message", "state", { prefix: [rep.sph, "quarantined"] }))
      .map(([, row]) => row)
      .filter((row) => UNDECIDED.includes(row.code))
      .sort((one, other) => one.n - other.n)
      .slice(0, MAX_AGAIN);
    count += await new Page(ctx, rep, tx, telling).judge(waiting.map((row): Frame => [row.pos, row.jws]));
  }
  return count;
}

/** One page on its way into the store. Lives for a single call; what it reads it reads first. */
class Page {
  readonly #chains = new Map<string, ChainRow>();
  /** Rows at the names of this page, stored ones and new ones, by n. */
  readonly #at = new Map<string, MessageRow[]>();
  /** Readable rows by author and cid. */
  readonly #said = new Map<string, Set<number>>();

  constructor(
    readonly ctx: Context,
    readonly rep: Replica,
    readonly tx: Tx,
    readonly telling: Telling,
  ) {}

  async judge(frames: readonly Frame[]): Promise<number> {
    if (frames.length === 0) return 0;
    const { rep, tx } = this;
    const { history } = known(rep);
    const read = frames.map(([, compact]) => run.readFrame(compact));
    await this.#load(read.flatMap((one) => one.message ?? []));
    const held = new Map<string, string>();
    for (const [name, rows] of this.#at) {
      const standing = rows.filter((row) => HELD.includes(row.state) || row.code === "C_EXPIRED");
      const best = standing.filter((row) => row.state !== "damaged").at(-1) ?? standing.at(-1);
      if (best !== undefined) held.set(name, best.h);
    }
    const page = await run.verifyRead(read, history, this.#chains, rep.sph, held);
    const opened = new Map((await run.openPage(page.verdicts, rep.keys, history)).map((one) => [one.verdict, one]));
    await this.#loadSaid([...opened.values()]);
    let count = 0;
    for (const [at, verdict] of page.verdicts.entries()) {
      if (verdict.message === undefined) continue;
      const [pos, compact] = frames[at]!;
      count += await this.#store(pos, compact, verdict, verdict.message, opened.get(verdict));
    }
    for (const [dv, row] of this.#chains) {
      const { runs, floor } = page.chains.get(dv) ?? EMPTY;
      const chain = { ...row, runs, floor };
      tx.put("chain", [rep.sph, dv], chain);
      await this.#watchGaps(dv, chain);
    }
    const note = rep.note as Notes;
    note.named = [...(note.named ?? []), ...page.named];
    saveNote(tx, rep);
    return count;
  }

  /** Chains of the page's devices, and the rows that may stand at its names. */
  async #load(read: readonly Message[]): Promise<void> {
    const { tx, rep: { sph } } = this;
    const devices = [...new Set(read.map((one) => one.head.kid))];
    const rows = await Promise.all(devices.map((dv) => tx.get<ChainRow>("chain", [sph, dv])));
    for (const [at, dv] of devices.entries()) this.#chains.set(dv, { ...NO_CHAIN, ...rows[at] });
    const names = new Map(read.map(({ head: { kid, seq } }) => [run.known(kid, seq), [kid, seq] as const]));
    await Promise.all([...names].map(async ([name, [dv, seq]]) => {
      if (seq > this.#chains.get(dv)!.top) return;
      const found = await tx.by<MessageRow>("message", "name", { prefix: [sph, dv, seq] });
      this.#at.set(name, found.map(([, row]) => row));
    }));
    for (const { head: { kid, seq } } of read) {
      const chain = this.#chains.get(kid)!;
      chain.top = Math.max(chain.top, seq);
    }
  }

  async #loadSaid(opened: readonly Opened[]): Promise<void> {
    const cids = [...new Set(opened.flatMap(({ payload }) => payload?.cid ?? []))];
    await Promise.all(cids.map(async (cid) => {
      const found = await this.tx.by<MessageRow>("message", "cid", { prefix: [this.rep.sph, cid] });
      for (const [, row] of found) if (row.state === "sent") this.#note(row);
    }));
  }

  #note(row: MessageRow): void {
    const name = `${row.author} ${row.cid}`;
    this.#said.set(name, (this.#said.get(name) ?? new Set()).add(row.n));
  }

  /** The same words (author and cid) are shown once, however often they were sealed (MSG-006). */
  #saidBefore(row: MessageRow): boolean {
    const found = this.#said.get(`${row.author} ${row.cid}`);
    return found !== undefined && [...found].some((n) => n !== row.n);
  }

  #put(row: MessageRow, before?: MessageRow): void {
    const name = run.known(row.dv, row.seq);
    const rows = (this.#at.get(name) ?? []).filter((one) => one.n !== row.n);
    this.#at.set(name, [...rows, row].sort((one, other) => one.n - other.n));
    const said = this.#said.get(`${row.author} ${row.cid}`);
    if (row.state === "sent") this.#note(row);
    else said?.delete(row.n);
    this.telling.counted(before, row);
    putRow(this.tx, row, this.ctx.id);
  }

  async #store(pos: number, compact: string, verdict: Verdict, message: Message, opened: Opened | undefined): Promise<number> {
    const { ctx, rep, tx } = this;
    const { head } = message;
    const here = this.#at.get(run.known(head.kid, head.seq)) ?? [];
    const old = here.find((row) => row.h === message.link);
    const chain = this.#chains.get(head.kid)!;
    if (verdict.status === "duplicate") {
      if (old !== undefined && old.pos === 0 && pos > 0) {
        const row = { ...old, pos };
        if (row.chained) await place(tx, row, chain);
        this.#put(row, old);
      }
      return 0;
    }
    // What was taken once is not unmade by a frame that was not (RUN-005).
    const open = verdict.status === "refused" || verdict.status === "waiting";
    if (old !== undefined && old.state !== "quarantined" && open) return 0;
    if (head.kid === ctx.dv && verdict.status === "authentic") await this.#watchOwn(message);
    const replaced = verdict.replaces === "" ? undefined : here.find((row) => row.h === verdict.replaces);
    if (replaced !== undefined) this.#put({ ...replaced, state: "hidden" }, replaced);
    const row = bare(old?.n ?? (await tx.number("message")), rep.sph, Math.max(pos, old?.pos ?? 0), compact, message);
    await this.#decide(row, verdict, message, opened);
    if (verdict.code === "C_GAP" && head.ls > known(rep).history.seq) {
      // Told once, when first seen: a word set aside does not return with every later entry (CLT-036).
      let told = old?.code ?? "";
      if (told === "" && !claims.beyond(ctx, rep, head.kid, head.ls, head.lh)) told = "C_LOG_FORK";
      row.code = told || row.code;
    }
    if (verdict.status === "version" || verdict.replaces !== "") this.#compareVersions(row);
    if (verdict.status === "authentic") await place(tx, row, chain);
    this.#put(row, old);
    if (verdict.status === "waiting" && verdict.code === "C_LOG_FORK") claims.rival(ctx, rep, head.kid, head.ls, head.lh);
    if (verdict.status === "authentic") this.#heard(message);
    this.telling.row(row, old === undefined || old.state === "quarantined" || old.state === "hidden");
    return (verdict.status === "authentic" || verdict.status === "waiting") && old === undefined ? 1 : 0;
  }

  /** The members that a verdict and an opened payload decide. */
  async #decide(row: MessageRow, verdict: Verdict, { head }: Message, opened: Opened | undefined): Promise<void> {
    const { history } = known(this.rep);
    row.code = verdict.code;
    if (history.knows(head.kid)) row.author = history.ownerOf(head.kid);
    if (verdict.status === "waiting") row.state = "quarantined";
    else if (verdict.status === "version") {
      row.state = "hidden";
      if (opened?.payload !== undefined) fill(row, opened.payload, opened.role, head.enc);
    } else if (verdict.status === "authentic" && opened !== undefined) {
      if (opened.payload === undefined) {
        row.state = opened.code === "C_KEY_UNKNOWN" ? "unreadable" : "damaged";
        row.code = opened.code;
        return;
      }
      fill(row, opened.payload, opened.role, head.enc);
      await settle(this.rep, row, this.tx, this.telling, this.#saidBefore(row));
    }
  }

  /**
   * Two authentic messages at one place of a chain must be the same words sealed twice (RUN-006); if not, two programs
   * write with one device's key, and the words that do not stand are shown once, as what they are.
   */
  #compareVersions(row: MessageRow): void {
    const here = this.#at.get(run.known(row.dv, row.seq)) ?? [];
    const others = here.filter((one) => one.h !== row.h && one.cid !== "");
    const standing = others.find((one) => one.state === "sent")?.cid;
    if (row.state === "hidden" && standing !== undefined && row.cid !== "" && row.cid !== standing) {
      if (others.some((one) => one.cid === row.cid && one.state === "damaged")) return;
      row.state = "damaged";
      row.code = "C_REPLAY";
      return;
    }
    const said = new Set([row.cid, ""]);
    for (const one of others) {
      if (!said.has(one.cid) && one.state === "hidden") this.#put({ ...one, state: "damaged", code: "C_REPLAY" }, one);
      said.add(one.cid);
    }
  }

  /** Remember which devices have gaps, so that a reader need not ask for all, and tell of the first. */
  async #watchGaps(dv: string, chain: ChainRow): Promise<void> {
    const { ctx, rep, tx } = this;
    const { state, history } = known(rep);
    const note = rep.note as Notes;
    const before = note.gappy ?? [];
    const open = chain.runs.length > 1 || (chain.runs[0]?.first ?? 0) > chain.floor + 1;
    if (before.includes(dv) === open) return;
    note.gappy = open ? [...before, dv] : before.filter((one) => one !== dv);
    const loud = gaps(chain, state.policy, now(ctx)).filter((one) => !one.silent);
    const missing = loud.reduce((sum, one) => sum + one.last - one.first + 1, 0);
    if (!open || missing === 0) return;
    const name = await people.nameOf(tx, state, history.ownerOf(dv));
    tx.events.push({ event: "GapFound", sph: rep.sph, dv, name, missing });
  }

  /** Own messages this device did not seal: a copy of it speaks, so it retires (CLT-014). */
  async #watchOwn({ head, link }: Message): Promise<void> {
    const { tx, rep: { sph } } = this;
    const sealed = await meta<{ seq: number; hs: string[] }>(tx, `own/${sph}`, { seq: 0, hs: [] });
    const rival = head.seq === sealed.seq && !sealed.hs.includes(link);
    if (head.seq > sealed.seq || rival) setMeta(tx, "retired", { sph, seq: head.seq });
  }

  /**
   * A message judged against this very log confirms it: the inviter's for a joiner (INV-006), anybody's for a new device
   * of a member (CLT-005).
   */
  #heard({ head }: Message): void {
    const { ctx, rep } = this;
    const note = rep.note as Notes;
    const { state, history } = known(rep);
    if (head.kid !== ctx.dv && head.ls >= (note.floor?.seq ?? 0)) delete note.provisional;
    if (!note.confirmed && history.ownerOf(head.kid) === note.inviter) note.confirmed = true;
    note.count = (note.count ?? 0) + (head.ep === epochNumber(state) ? 1 : 0);
  }
}

/** A row whose payload is open: shown, unless the same words are shown already; a nickname is kept; comments find theirs. */
async function settle(rep: Replica, row: MessageRow, tx: Tx, telling: Telling, before: boolean): Promise<void> {
  row.state = before ? "hidden" : "sent";
  if (row.kind === "sys") {
    const nick = people.clean(row.body.text ?? "");
    setMeta(tx, `nick/${rep.sph}/${row.author}`, nick);
    tx.events.push({ event: "SphereChanged", sph: rep.sph, what: "nick", by: nick });
  }
  if (before) return;
  telling.said(row);
  const note = rep.note as Notes;
  if (row.kind === "comment") {
    const roots = (await tx.by<MessageRow>("message", "mid", { prefix: [rep.sph, row.re] })).map(([, one]) => one);
    const root = roots.find((one) => one.state !== "hidden" && one.n !== row.n);
    row.under = root === undefined ? "" : root.under || root.mid;
    if (root === undefined) note.orphans = true;
  }
  if (row.kind === "msg" && note.orphans === true) {
    for (const [, one] of await tx.by<MessageRow>("message", "re", { prefix: [rep.sph, row.mid] })) {
      if (one.kind === "comment" && one.under === "" && one.n !== row.n) putRow(tx, { ...one, under: row.mid }, telling.ctx.id);
    }
  }
}

/** Keys of these epochs arrived: open the rows that waited for them (CLT-017). Inside a step; how many were opened. */
export async function reopen(ctx: Context, rep: Replica, ns: readonly number[], tx: Tx): Promise<number> {
  const { history } = known(rep);
  const telling = new Telling(ctx, rep, tx);
  let count = 0;
  for (const n of ns) {
    const waiting = (await tx.by<MessageRow>("message", "state", { prefix: [rep.sph, "unreadable", n] })).map(([, row]) => row);
    const opened = await Promise.all(waiting.map(async (row) => {
      const message = messages.decode(row.jws);
      try {
        return { message, payload: await messages.open(message, rep.keys.get(n), history.modeAt(message.head.ls)), code: "" };
      } catch (error) {
        if (!(error instanceof CloisterError)) throw error;
        return { message, payload: undefined, code: error.code };
      }
    }));
    for (const [at, old] of waiting.entries()) {
      const { message: { head }, payload, code } = opened[at]!;
      const row = { ...old };
      if (payload === undefined) {
        row.state = code === "C_KEY_UNKNOWN" ? "unreadable" : "damaged";
        row.code = code;
      } else {
        fill(row, payload, run.roleFor(history, row.dv, row.seq, row.ls), head.enc);
        const same = await tx.by<MessageRow>("message", "cid", { prefix: [rep.sph, row.cid] });
        const before = same.some(([, one]) => one.n !== row.n && one.author === row.author && one.state === "sent");
        await settle(rep, row, tx, telling, before);
        telling.row(row, false);
        count += 1;
      }
      telling.counted(old, row);
      putRow(tx, row, ctx.id);
    }
  }
  await telling.done();
  if (count > 0) tx.events.push({ event: "KeysArrived", sph: rep.sph, ns: [...ns], messages: count });
  return count;
}
