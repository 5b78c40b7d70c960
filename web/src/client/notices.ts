/**
 * What is said of the log between messages: who came, went, changed what, and why there is a new key.
 *
 * A notice is made from a verified entry, when it is verified; the relay only says where in the stream it stands, and only
 * for an entry that is held under that hash. Names are put in when it is read. Spec: WEB-032.
 */

import { b64e } from "../protocol/encoding.ts";
import * as entries from "../protocol/entry.ts";
import type { Entry } from "../protocol/entry.ts";
import { type SphereState, epochNumber } from "../protocol/state.ts";
import { isOld } from "../sphere/epoch.ts";
import { signer, target } from "./announce.ts";
import type { Names } from "./people.ts";
import type { Notice } from "./records.ts";
import { type Note, type Replica, known } from "./replica.ts";
import type { Reader, Tx } from "./store.ts";

/** An entry as a notice says it, without names. */
export interface Fact {
  op: string;
  at: number;
  by: string;
  who: string;
  epoch: number;
  role: string;
  mode: string;
  why: string[];
}

/** A row of the table `entry`. `pos`: where the relay's stream has it, once it was seen there. */
export interface EntryRow {
  h: string;
  jws: string;
  seen: number;
  fact?: Fact;
  pos?: number;
}

interface NoticeRow extends Fact {
  seq: number;
  pos: number;
}

type Notes = Note & { reasons?: string[]; count?: number; began?: Record<string, number> };

/** Operations nobody is told of between messages: they change nothing for a reader. */
const QUIET: readonly string[] = ["invite", "revoke-invite", "checkpoint", "mark", "device renew"];
const REASONS: Record<string, string> = { remove: "removed", leave: "left", "device revoke": "device", identity: "device" };

/** What entry `one` says, with the state before and after it; remembers why the next key is due. The caller saves the notes. */
export function factOf(rep: Replica, before: SphereState | undefined, one: Entry, now: number): Fact | undefined {
  const { state } = known(rep);
  const { change } = state;
  const note = rep.note as Notes;
  if (change.hard) note.reasons = [...new Set([...(note.reasons ?? []), REASONS[change.op] ?? "asked"])];
  const why = change.epoch ? reasons(note, before, now) : [];
  if (change.epoch) delete note.reasons;
  const mh = before?.meta?.mh ?? "";
  const rewrapped = change.op === "meta" && mh !== "" && mh === state.meta?.mh;
  if (QUIET.includes(change.op) || rewrapped) return undefined;
  const who = target(state, one);
  const role = state.members.get(who)?.role ?? "";
  return { op: change.op, at: one.iat, by: signer(state, one), who, epoch: epochNumber(state), role, mode: state.mode, why };
}

function reasons(note: Notes, before: SphereState | undefined, now: number): string[] {
  if (before?.epoch === undefined) return ["first"];
  if (note.reasons !== undefined && note.reasons.length > 0) return note.reasons;
  const began = note.began?.[before.epoch.n] ?? before.epoch.iat;
  if (isOld(began, now, before.policy.T, 0)) return ["period"];
  return [isOld(began, now, 0, note.count ?? 0) ? "count" : "asked"];
}

/** Entries as the relay's stream shows them: [position, compact]. Inside a step; told, since the entry itself was before. */
export async function noteEntries(tx: Tx, rep: Replica, shown: readonly (readonly [number, string])[]): Promise<void> {
  const { history } = known(rep);
  let placed = false;
  for (const [pos, compact] of shown) {
    const { seq, digest } = entries.decode(compact);
    if (seq > history.seq || b64e(history.digest(seq)) !== b64e(digest)) continue;
    const row = await tx.get<EntryRow>("entry", [rep.sph, seq]);
    if (row === undefined || row.pos !== undefined) continue;
    tx.put("entry", [rep.sph, seq], { ...row, pos });
    if (row.fact === undefined) continue;
    tx.put("notice", [rep.sph, pos, seq], { ...row.fact, seq, pos } satisfies NoticeRow);
    placed = true;
  }
  if (placed) tx.events.push({ event: "NoticesPlaced", sph: rep.sph });
}

/** Notices between two positions, both inclusive, in order; with `reverse` the last `limit` of them. */
export async function between(
  from: Reader,
  sph: string,
  low: number,
  high: number,
  limit: number,
  reverse: boolean,
): Promise<[pos: number, seq: number, row: Fact][]> {
  const rows = await from.list<NoticeRow>("notice", { prefix: [sph], from: [sph, low], to: [sph, high], limit, reverse });
  return (reverse ? rows.reverse() : rows).map(([, row]) => [row.pos, row.seq, row]);
}

/** A notice with its names. */
export async function named(sph: string, pos: number, seq: number, fact: Fact, names: Names, me: string): Promise<Notice> {
  const [byName, whoName] = await Promise.all([names(fact.by), names(fact.who)]);
  const mine = fact.by === me;
  return { sph, pos, seq, ...fact, byName, whoName, mine };
}
