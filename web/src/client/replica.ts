/**
 * One sphere as this device has verified it: log state, history, keys and the device's own notes.
 *
 * `state` and `history` stand after the last verified entry, undefined before the first. `note` is the small document of
 * things the log does not say: own status, read label, stop, pins of the link. Both are written in the same step as what
 * changed them. Knows how to load and save; decides nothing. As `src/cloister/client/replica.py`.
 */

import type { Bytes } from "../crypto.ts";
import { CheckFailed, NotMember, VaultError } from "../errors.ts";
import { History, type HistoryDump } from "../protocol/history.ts";
import { type SphereState, epochNumber } from "../protocol/state.ts";
import { type EpochKey, check } from "../sphere/epoch.ts";
import type { Stop } from "./records.ts";
import type { Reader, Tx } from "./store.ts";

/** What a device notes about a sphere beside its log. Open, as in Python: each module names the members it keeps. */
export interface Note {
  status: string;
  label: string;
  confirmed: boolean;
  stop?: Omit<Stop, "sph">;
  [more: string]: unknown;
}

export interface Replica {
  readonly sph: string;
  note: Note;
  state: SphereState | undefined;
  history: History | undefined;
  /** The epoch keys on this device, each matching the log's commitment. */
  readonly keys: Map<number, EpochKey>;
}

/** A row of the table `epochKey`. `slot`: as in `store.py`. */
export interface EpochRow {
  readonly secret: Bytes;
  readonly slot: number;
}

interface View {
  readonly state: SphereState;
  readonly history: HistoryDump;
}

/** Digests of a log lie in parts of this many, so that an entry more rewrites one part. */
const PART = 512;
const DIGEST = 32;

/** Read from the store, which this program wrote after verifying; undefined when the sphere is unknown. */
export async function load(from: Reader, sph: string): Promise<Replica | undefined> {
  const note = await from.get<Note>("sphere", sph);
  if (note === undefined) return undefined;
  const made: Replica = { sph, note, state: undefined, history: undefined, keys: new Map() };
  const view = await from.get<View>("view", sph);
  if (view === undefined) return made;
  const parts = await from.list<Bytes>("digests", { prefix: [sph] });
  const digests: Bytes[] = [];
  for (const [, part] of parts) {
    for (let at = 0; at < part.length; at += DIGEST) digests.push(part.slice(at, at + DIGEST));
  }
  if (digests.length !== view.state.seq + 1) throw new VaultError("digests do not cover the log", { data: { sph } });
  made.state = view.state;
  made.history = History.load(view.history, digests, view.state);
  for (const [key, row] of await from.list<EpochRow>("epochKey", { prefix: [sph] })) {
    const n = (key as readonly [string, number])[1];
    try {
      made.keys.set(n, check(row.secret, made.history.epoch(n), sph));
    } catch (error) {
      // What is no epoch's key is as good as missing, and comes again (CLT-017).
      if (!(error instanceof CheckFailed)) throw error;
    }
  }
  return made;
}

/** Write the notes. */
export function saveNote(tx: Tx, rep: Replica): void {
  tx.put("sphere", rep.sph, rep.note);
}

/** Write state and history; inside the step that stored the entries. */
export async function saveView(tx: Tx, sph: string, state: SphereState, history: History): Promise<void> {
  tx.put("view", sph, { state, history: history.dump() } satisfies View);
  const begun = await tx.count("digests", { prefix: [sph] });
  for (let part = Math.max(begun - 1, 0); part * PART <= history.seq; part += 1) {
    const end = Math.min((part + 1) * PART, history.seq + 1);
    const bytes = new Uint8Array((end - part * PART) * DIGEST);
    for (let seq = part * PART; seq < end; seq += 1) bytes.set(history.digest(seq), (seq - part * PART) * DIGEST);
    tx.put("digests", [sph, part], bytes);
  }
}

/** The persistent stop, if any. */
export function stopOf(rep: Replica): Stop | undefined {
  return rep.note.stop === undefined ? undefined : { sph: rep.sph, ...rep.note.stop };
}

export const statusOf = (rep: Replica): string => rep.note.status;

/** State and history. Throws NotMember while the log was not read: this device still waits to be let in. */
export function known(rep: Replica): { state: SphereState; history: History } {
  const { state, history } = rep;
  if (state === undefined || history === undefined) throw new NotMember("you are not in this sphere yet");
  return { state, history };
}

/** The key of the running epoch, if it is here. */
export function sendingKey(rep: Replica): EpochKey | undefined {
  return rep.state === undefined ? undefined : rep.keys.get(epochNumber(rep.state));
}

/** The notes of a sphere first heard of. */
export function newNote(status: string, more: Record<string, unknown> = {}): Note {
  return { status, label: "", confirmed: true, ...more };
}
