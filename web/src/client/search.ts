/**
 * Finding words in what was read on this device.
 *
 * The texts themselves, folded (case, accents, compatibility forms), lie packed in sealed blocks: a hundred thousand
 * messages are a few hundred records, read one after another and searched as text. So words are found inside words and in
 * scripts that put no space between them, nothing of them stands in a key of the database, and adding a page rewrites one
 * block. A hit is only a pointer: what is given back is the message as it reads now, and only if it still says it.
 *
 * Spec: WEB-033.
 */

import { type Context, replica } from "./context.ts";
import type { Message } from "./records.ts";
import type { Reader, Tx } from "./store.ts";
import * as timeline from "./timeline.ts";

/** Characters after which the next block begins. */
const BLOCK = 32_768;
const MAX_WORDS = 8;

export interface Text {
  mid: string;
  text: string;
}

interface Block {
  size: number;
  texts: [mid: string, folded: string][];
}

/** As it is compared: case, accents and forms of the same letter do not count. */
export function fold(text: string): string {
  return text.normalize("NFKD").replace(/\p{M}+/gu, "").toLowerCase().replace(/\s+/gu, " ").trim();
}

/** Take texts into the index of a sphere; inside a step. */
export async function add(tx: Tx, sph: string, texts: readonly Text[]): Promise<void> {
  if (texts.length === 0) return;
  const [last] = await tx.list<Block>("words", { prefix: [sph], reverse: true, limit: 1 });
  let k = last === undefined ? 0 : (last[0] as readonly [string, number])[1];
  let block: Block = last?.[1] ?? { size: 0, texts: [] };
  for (const { mid, text } of texts) {
    if (block.size >= BLOCK) {
      tx.put("words", [sph, k], block);
      k += 1;
      block = { size: 0, texts: [] };
    }
    const folded = fold(text);
    block.texts.push([mid, folded]);
    block.size += folded.length + mid.length;
  }
  tx.put("words", [sph, k], block);
  tx.put("meta", `searched/${sph}`, (await searched(tx, sph)) + texts.length);
}

/** The words of these messages leave the index; inside a step. */
export async function drop(tx: Tx, sph: string, mids: ReadonlySet<string>): Promise<void> {
  if (mids.size === 0) return;
  let gone = 0;
  for (const [key, { texts }] of await tx.list<Block>("words", { prefix: [sph] })) {
    const left = texts.filter(([mid]) => !mids.has(mid));
    if (left.length === texts.length) continue;
    gone += texts.length - left.length;
    const size = left.reduce((sum, [mid, text]) => sum + mid.length + text.length, 0);
    tx.put("words", key, { size, texts: left } satisfies Block);
  }
  tx.put("meta", `searched/${sph}`, (await searched(tx, sph)) - gone);
}

async function searched(from: Reader, sph: string): Promise<number> {
  return (await from.get<number>("meta", `searched/${sph}`)) ?? 0;
}

/** Messages that hold every word, the newest of each sphere first. `whole`: nothing stored here was left out as unreadable. */
export async function find(
  ctx: Context,
  words: string,
  limit: number,
): Promise<{ found: Message[]; searched: number; whole: boolean }> {
  const wanted = fold(words).split(" ").filter((one) => one !== "").slice(0, MAX_WORDS);
  const spheres = (await ctx.store.list("sphere")).map(([key]) => String(key));
  const found: Message[] = [];
  let count = 0;
  let closed = 0;
  for (const sph of spheres) {
    count += await searched(ctx.store, sph);
    closed += await ctx.store.count("message", { prefix: [sph, "unreadable"] }, "state");
    if (wanted.length > 0) found.push(...(await inSphere(ctx, sph, wanted, limit)));
  }
  found.sort((one, other) => other.at - one.at);
  return { found: found.slice(0, limit), searched: count, whole: closed === 0 };
}

async function inSphere(ctx: Context, sph: string, wanted: readonly string[], limit: number): Promise<Message[]> {
  const { state } = await replica(ctx, sph);
  const says = (text: string): boolean => wanted.every((word) => text.includes(word));
  const found: Message[] = [];
  const seen = new Set<string>();
  const [last] = await ctx.store.list("words", { prefix: [sph], reverse: true, limit: 1 });
  const top = last === undefined ? -1 : (last[0] as readonly [string, number])[1];
  for (let k = top; k >= 0 && found.length < limit; k -= 1) {
    const block = await ctx.store.get<Block>("words", [sph, k]);
    const hits = (block?.texts ?? []).filter(([mid, text]) => !seen.has(mid) && says(text)).map(([mid]) => mid);
    for (const mid of hits.reverse()) {
      if (seen.has(mid) || found.length >= limit) continue;
      seen.add(mid);
      const message = await timeline.one(ctx.store, sph, mid, ctx.id, state);
      if (message !== undefined && !message.deleted && says(fold(message.text))) found.push(message);
    }
  }
  return found;
}
