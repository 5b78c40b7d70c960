/**
 * Messages that stay missing: ask members for the very envelopes, and hand on those that others miss.
 *
 * What the relay does not show, or shows damaged, its author and everybody who has read it still holds as it was signed.
 * A question names the device and the numbers; an answer carries the stored envelopes, and they are judged like any that
 * the relay shows, so whoever answers need not be trusted. Both are bounded: a question about one chain is put once in ten
 * minutes and eight times unasked, an asker gets sixteen letters in that time. Spec: CLT-052.
 */

import { FormatError } from "../errors.ts";
import type { Letter } from "../protocol/p2p.ts";
import { type Device, activeDevices } from "../protocol/state.ts";
import * as messages from "../sphere/message.ts";
import { type Context, now } from "./context.ts";
import * as intake from "./intake.ts";
import type { Frame } from "./intake.ts";
import * as keys from "./keys.ts";
import { MAX_SEQS, type Notes, wanted } from "./lacking.ts";
import * as memory from "./memory.ts";
import { LAST, type MessageRow, putRow } from "./message_row.ts";
import { type Replica, known, saveNote } from "./replica.ts";
import { cursor } from "./store.ts";

/** Chains asked about in one round. */
const MAX_CHAINS = 16;
const ASKED = 4;
/** Questions about one chain without a person's word. */
export const TRIES = 8;
/** Characters of envelopes in one answer: encoded once more they fit into a letter. */
const ROOM = 180_000;
const MAX_IN_LETTER = 64;
/** Letters one device is answered with in `keys.ASK_AGAIN` seconds. */
export const LETTERS = 16;
const REMEMBERED = 64;
const DAY = 86_400;

export { due, heal, wanted } from "./lacking.ts";

/** Ask for what is missing; the devices asked. `again`: a person says so, whatever was asked before. */
export async function ask(ctx: Context, rep: Replica, again = false): Promise<string[]> {
  const lacking = await wanted(ctx, rep);
  const at = now(ctx);
  const note = rep.note as Notes;
  const rows = Object.fromEntries(Object.entries(note.resend ?? {}).filter(([dv]) => lacking.has(dv)));
  const everybody: string[] = [];
  for (const [dv, seqs] of lacking) {
    const was = rows[dv] ?? { at: 0, n: 0, top: 0, of: [] };
    const tries = seqs[0]! <= was.top ? was.n : 0;
    const open = again || (tries < TRIES && at - was.at >= keys.ASK_AGAIN);
    const chosen = open && everybody.length < MAX_CHAINS * ASKED ? await holders(ctx, rep, dv, new Set(was.of)) : [];
    if (chosen.length === 0) continue;
    await ctx.relay.post(chosen, await keys.letter(ctx, rep.sph, "resend-ask", { dv, seqs }));
    rows[dv] = { at, n: tries + 1, top: seqs[0]!, of: [...was.of, ...chosen].slice(-REMEMBERED) };
    everybody.push(...chosen);
  }
  if (lacking.size > 0 || note.resend !== undefined || note.lacks !== undefined) {
    await ctx.store.step(async (tx) => {
      Object.assign(note, { resend: rows, lacks: lacking.size > 0, lacksNext: at + keys.ASK_AGAIN } satisfies Partial<Notes>);
      saveNote(tx, rep);
    });
  }
  return [...new Set(everybody)];
}

/**
 * Whom to ask: the author's device, the author's others, own ones, then who has been here longest; those who were asked
 * before come last.
 */
async function holders(ctx: Context, rep: Replica, dv: string, before: ReadonlySet<string>): Promise<string[]> {
  const { state, history } = known(rep);
  const author = history.ownerOf(dv);
  const revoked = await memory.revoked(ctx.store);
  const order = (one: Device): number[] =>
    [before.has(one.dv), one.dv !== dv, one.owner !== author, one.owner !== ctx.id].map(Number).concat(one.since);
  const others = activeDevices(state).filter((one) => one.dv !== ctx.dv && !revoked.has(one.dv));
  return others.map((one) => ({ dv: one.dv, by: order(one) }))
    .sort((one, other) => one.by.map((value, i) => value - other.by[i]!).find((value) => value !== 0) ?? 0)
    .slice(0, ASKED).map((one) => one.dv);
}

/**
 * Send the envelopes that are here to the member's device that misses them; how many.
 *
 * Nothing that retention lets go, nothing that was not taken here, and no more than the bound.
 */
export async function answer(ctx: Context, rep: Replica, asked: Letter): Promise<number> {
  if ((await memory.revoked(ctx.store)).has(asked.kid)) return 0;
  const at = now(ctx);
  const note = rep.note as Notes;
  const { dv, seqs } = asked.body as { dv: string; seqs: number[] };
  const rows = Object.fromEntries(Object.entries(note.resent ?? {}).filter(([, row]) => at - row.at < keys.ASK_AGAIN));
  const row = { ...(rows[asked.kid] ?? { at, n: 0 }) };
  let sent = 0;
  for (const msgs of await bundles(ctx, rep, dv, seqs)) {
    if (row.n >= LETTERS) break;
    await ctx.relay.post([asked.kid], await keys.letter(ctx, rep.sph, "resend", { dv, msgs }));
    row.n += 1;
    sent += msgs.length;
  }
  await ctx.store.step(async (tx) => {
    note.resent = { ...rows, [asked.kid]: row };
    saveNote(tx, rep);
  });
  return sent;
}

/** Held envelopes of a chain, as many in each bundle as one letter takes. What no letter can hold stays out. */
async function bundles(ctx: Context, rep: Replica, dv: string, seqs: readonly number[]): Promise<string[][]> {
  const days = known(rep).state.policy.retention;
  const oldest = days > 0 ? now(ctx) - days * DAY : 0;
  const made: string[][] = [[]];
  let size = 0;
  for (const seq of [...new Set(seqs)].sort((one, other) => one - other).slice(0, MAX_SEQS)) {
    for (const [, row] of await ctx.store.by<MessageRow>("message", "name", { prefix: [rep.sph, dv, seq] })) {
      const taken = row.chained || row.state === "damaged";
      if (!taken || row.at < oldest || row.jws === "" || row.jws.length > ROOM) continue;
      if (made.at(-1)!.length >= MAX_IN_LETTER || size + row.jws.length > ROOM) {
        made.push([]);
        size = 0;
      }
      made.at(-1)!.push(row.jws);
      size += row.jws.length;
    }
  }
  return made.filter((one) => one.length > 0);
}

/**
 * Judge the envelopes of an answer like any the relay shows; how many were new. What this device did not ask that one for
 * is not looked at.
 */
export async function take(ctx: Context, rep: Replica, letter: Letter): Promise<number> {
  const { dv, msgs } = letter.body as { dv: string; msgs: string[] };
  const note = rep.note as Notes;
  const asked = note.resend?.[dv];
  if (asked === undefined || !asked.of.includes(letter.kid)) return 0;
  const lacking = (await wanted(ctx, rep)).get(dv) ?? [];
  const frames = msgs.filter((compact) => isWanted(compact, rep.sph, dv, lacking)).map((compact): Frame => [0, compact]);
  if (frames.length === 0) return 0;
  return ctx.store.step(async (tx) => {
    const count = await intake.takeNow(ctx, rep, frames, tx);
    const here = await cursor(tx, rep.sph);
    for (const seq of lacking) {
      for (const [, row] of await tx.by<MessageRow>("message", "name", { prefix: [rep.sph, dv, seq] })) {
        // Nothing above tells where it belongs: it is read where this device has come to.
        if (row.pos === 0 && row.chained && row.place === LAST) putRow(tx, { ...row, place: here }, ctx.id);
      }
    }
    const left = (await wanted(ctx, rep, tx)).get(dv) ?? [];
    if (lacking.some((seq) => !left.includes(seq))) {
      note.resend = { ...note.resend, [dv]: { ...asked, at: 0, n: 0 } };
      note.lacksNext = 0;
    }
    saveNote(tx, rep);
    return count;
  });
}

function isWanted(compact: string, sph: string, dv: string, seqs: readonly number[]): boolean {
  try {
    const { head } = messages.decode(compact);
    return head.sph === sph && head.kid === dv && seqs.includes(head.seq);
  } catch (error) {
    if (error instanceof FormatError) return false;
    throw error;
  }
}
