/**
 * Shares that came before the log reached them, kept until it does, and shares that prove who lied.
 *
 * Anybody whom the relay lets, and the relay itself, can write shares of epochs that never come: what is kept has bounds and
 * an end, and is looked at again only when the log has grown. What is dropped is asked for like any missing key.
 * As `src/cloister/client/kept.py`. Spec: CLT-017.
 */

import type { CloisterError } from "../errors.ts";
import { b64e } from "../protocol/encoding.ts";
import type { Letter } from "../protocol/p2p.ts";
import { type Context, now } from "./context.ts";

/** Shares of one device, and of one sphere, that wait at once; a further one is dropped. */
export const PER_SENDER = 64;
const PER_SPHERE = 2048;
/** Seconds after which one that still waits is dropped. */
const LIFE = 30 * 86_400;
/** Wrong shares of one device that are kept as evidence. */
const EVIDENCE = 16;

/** A row of the table `todo`: a share that the log up to `seq` (-1: none) could not judge, kept at unix seconds `at`. */
export interface Kept {
  readonly jws: string;
  readonly at: number;
  readonly seq: number;
}

/** Keep a share that the log up to `seq` (-1: none) cannot judge. */
export async function put(ctx: Context, letter: Letter, seq: number): Promise<void> {
  const here = `letter/${letter.sph}/`;
  const own = `${here}${letter.kid}/`;
  await ctx.store.step(async (tx) => {
    const of = async (prefix: string): Promise<number> => (await tx.list("todo", { prefix })).length;
    const name = own + b64e(letter.envelope.digest);
    if ((await of(here)) >= PER_SPHERE || (await of(own)) >= PER_SENDER || (await tx.get("todo", name)) !== undefined) return;
    tx.put("todo", name, { jws: letter.envelope.compact, at: now(ctx), seq } satisfies Kept);
  });
}

/** What waits, by sphere; what has waited too long is dropped. */
export async function bySphere(ctx: Context): Promise<Map<string, [string, Kept][]>> {
  const found = new Map<string, [string, Kept][]>();
  for (const [key, row] of await ctx.store.list<Kept>("todo", { prefix: "letter/" })) {
    const name = String(key);
    const sph = name.split("/")[1]!;
    if (now(ctx) - (row.at ?? 0) > LIFE) await drop(ctx, name);
    else found.set(sph, [...(found.get(sph) ?? []), [name, row]]);
  }
  return found;
}

/** The log up to `seq` does not reach it either. */
export async function judged(ctx: Context, name: string, row: Kept, seq: number): Promise<void> {
  await ctx.store.step(async (tx) => tx.put("todo", name, { ...row, seq }));
}

/** It was taken, or has failed its check. */
export async function drop(ctx: Context, name: string): Promise<void> {
  await ctx.store.step(async (tx) => tx.drop("todo", name));
}

/** A signed share that holds another secret than its epoch's is kept: its author cannot deny it (SHR-006). */
export async function evidence(ctx: Context, letter: Letter, error: CloisterError): Promise<void> {
  if (error.code !== "C_KC_MISMATCH") return;
  const own = `evidence/${letter.kid}/`;
  const row = { jws: letter.envelope.compact, code: error.code, sph: letter.sph };
  await ctx.store.step(async (tx) => {
    if ((await tx.list("todo", { prefix: own })).length < EVIDENCE) tx.put("todo", own + b64e(letter.envelope.digest), row);
  });
}
