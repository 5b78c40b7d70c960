/**
 * What signed checkpoints say of message chains, held against what the relay has shown here.
 *
 * An owner or admin who signs a checkpoint names the last message of every device. Whoever holds less was shown less;
 * whoever holds another message there was shown another chain. A checkpoint is its author's word: it is told and kept as
 * evidence, it stops nobody. Spec: CLT-037.
 */

import type { Entry } from "../protocol/entry.ts";
import { ascending } from "../protocol/state.ts";
import { type Chain, EMPTY, gaps } from "../sphere/chains.ts";
import { type Context, now } from "./context.ts";
import * as intake from "./intake.ts";
import type { MessageRow } from "./message_row.ts";
import type { EntryRow } from "./notices.ts";
import * as people from "./people.ts";
import { type Note, type Replica, known, saveNote } from "./replica.ts";
import type { Reader, Tx } from "./store.ts";

/** What one checkpoint named for a device, and what was said of it here. */
interface Head {
  seq: number;
  h: string;
  /** Position and signing device of the checkpoint. */
  at: number;
  by: string;
  said: Verdict;
}

/** `short`: the chain ends before the named message; `other`: another message stands there; empty while it agrees. */
export type Verdict = "" | "short" | "other";

type Notes = Note & { heads?: Record<string, Head> };

/** Remember the heads a verified checkpoint names; the caller saves the notes. */
export function take(rep: Replica, one: Entry): void {
  const named = ((rep.note as Notes).heads ??= {});
  for (const [dv, seq, h] of (one.body["heads"] ?? []) as [string, number, string][]) {
    if (seq > 0 && seq >= (named[dv]?.seq ?? 0)) named[dv] = { seq, h, at: one.seq, by: one.kid, said: "" };
  }
}

/** Whether there is anything to compare. */
export function waiting(rep: Replica): boolean {
  return Object.keys((rep.note as Notes).heads ?? {}).length > 0;
}

const last = (chain: Chain): number => chain.runs.at(-1)?.last ?? 0;

/**
 * Compare what checkpoints up to entry `upto` name with the chains held; inside a step.
 *
 * Call when every item has been read that the relay had after it showed that entry. What agrees is forgotten.
 */
export async function compare(ctx: Context, rep: Replica, upto: number, tx: Tx): Promise<void> {
  const named = (rep.note as Notes).heads ?? {};
  const due = Object.entries(named).filter(([, head]) => head.at <= upto);
  if (due.length === 0) return;
  const chains = await intake.chains(tx, rep.sph);
  for (const [dv, head] of due) {
    const chain = chains.get(dv) ?? EMPTY;
    const verdict = await judge(ctx, rep, dv, chain, head, tx);
    if (verdict === "") delete named[dv];
    else if (verdict !== head.said) {
      head.said = verdict;
      await tell(rep, dv, chain, head, tx);
    }
  }
  saveNote(tx, rep);
}

/** Messages of a device at a place of its chain, as they were taken. */
async function standing(from: Reader, sph: string, dv: string, seq: number): Promise<MessageRow[]> {
  const rows = await from.by<MessageRow>("message", "name", { prefix: [sph, dv, seq] });
  return rows.map(([, row]) => row).filter((row) => row.chained);
}

/** Empty also when what is missing is a gap like any other (RUN-012) or may have expired (RUN-013). */
async function judge(ctx: Context, rep: Replica, dv: string, chain: Chain, head: Head, tx: Tx): Promise<Verdict> {
  if (last(chain) < head.seq) {
    const missing = gaps(chain, known(rep).state.policy, now(ctx), head.seq).at(-1);
    return missing !== undefined && !missing.silent ? "short" : "";
  }
  const held = (await standing(tx, rep.sph, dv, head.seq)).map((row) => row.h);
  const links = [...held, ...chain.runs.filter((run) => run.first === head.seq + 1).map((run) => run.ph)];
  return links.length > 0 && !links.includes(head.h) ? "other" : "";
}

async function tell(rep: Replica, dv: string, chain: Chain, head: Head, tx: Tx): Promise<void> {
  const { state, history } = known(rep);
  const { sph } = rep;
  if (head.said === "short") {
    const name = await people.nameOf(tx, state, history.ownerOf(dv));
    tx.events.push({ event: "GapFound", sph, dv, name, missing: head.seq - last(chain) });
    return;
  }
  const entry = (await tx.get<EntryRow>("entry", [sph, head.at]))?.jws ?? "";
  const frames = (await standing(tx, sph, dv, head.seq)).map((row) => row.jws);
  tx.put("todo", `evidence/${sph}.${dv}`, { code: "C_REPLAY", sph, entry, frames });
}

/** The ends that checkpoints name and that were not shown here, by device (CLT-052). */
export function shortOf(rep: Replica): Map<string, number> {
  const named = Object.entries((rep.note as Notes).heads ?? {});
  return new Map(named.filter(([, head]) => head.said === "short").map(([dv, head]) => [dv, head.seq]));
}

/** What a checkpoint says and this device was not shown; `short` messages, or 0. */
export interface Open {
  readonly verdict: Verdict;
  readonly dv: string;
  /** Who signed the checkpoint. */
  readonly by: string;
  readonly short: number;
}

export async function openOnes(ctx: Context, rep: Replica): Promise<Open[]> {
  const { history } = known(rep);
  const chains = await intake.chains(ctx.store, rep.sph);
  const said = Object.entries((rep.note as Notes).heads ?? {}).filter(([, head]) => head.said !== "");
  return said.sort(([one], [other]) => ascending(one, other)).map(([dv, head]) => {
    const short = head.said === "short" ? Math.max(0, head.seq - last(chains.get(dv) ?? EMPTY)) : 0;
    return { verdict: head.said, dv, by: history.ownerOf(head.by), short };
  });
}
