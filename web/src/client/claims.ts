/**
 * What members claim about the log that it does not show: another entry at a position held, or entries beyond its end.
 *
 * A claim is one device's word. It is asked about once (`head-ask`); until then nothing is sent unasked. A position
 * beyond the log may be an entry the relay keeps back, so sending waits for it. But a word alone must not silence anybody
 * for good: a device that was asked and shows no such entry is set aside, its message counts as a claim of another
 * history, and at this head no further word of it makes anybody wait. Spec: CLT-015, CLT-020, CLT-036.
 */

import { CheckFailed, VersionTooOld } from "../errors.ts";
import * as entries from "../protocol/entry.ts";
import { decode as decodeEnvelope } from "../protocol/jws.ts";
import { b64e } from "../protocol/encoding.ts";
import * as machine from "../protocol/machine.ts";
import { type Context, now } from "./context.ts";
import type { MessageRow } from "./intake.ts";
import { type Note, type Replica, known } from "./replica.ts";
import type { Tx } from "./store.ts";

/** Seconds after which a device that did not answer is no longer waited for; the person is asked instead. */
const WAIT = 600;

/** See CLT-020; `hi` and `lo` bound the first difference, `beyond` is a position past the own head. */
export interface Claim {
  ls: number;
  lh: string;
  at: number;
  beyond?: number;
  asked?: number;
  answered?: boolean;
  shown?: boolean;
  aside?: number;
  from?: number;
  hi?: number;
  lo?: number;
  back?: number;
}

type Notes = Note & { claims?: Record<string, Claim>; wanted?: number };

/** The claims noted, by device. */
export function claimsOf(rep: Replica): Record<string, Claim> {
  const note = rep.note as Notes;
  return (note.claims ??= {});
}

/** A message names another entry at a position held (CLT-020). The caller saves the notes. */
export function rival(ctx: Context, rep: Replica, dv: string, ls: number, lh: string): void {
  const all = claimsOf(rep);
  const held = all[dv];
  if (held === undefined || held.beyond !== undefined) all[dv] = { ls, lh, at: now(ctx) };
}

/**
 * A message names a position beyond the log (CLT-015). False when this device's word no longer counts at this head
 * (CLT-036). The caller saves the notes.
 */
export function beyond(ctx: Context, rep: Replica, dv: string, ls: number, lh: string): boolean {
  const all = claimsOf(rep);
  const claim = all[dv];
  const { seq } = known(rep).history;
  if (claim?.aside === seq) return false;
  if (claim === undefined || claim.answered || (claim.beyond ?? 0) <= seq) {
    if (claim === undefined || claim.beyond !== undefined) all[dv] = { ls, lh, at: now(ctx), beyond: ls };
  } else {
    claim.beyond = Math.max(ls, claim.beyond!);
  }
  return true;
}

/** Claims that have not been answered and that the log has not answered by growing. */
export function unsettled(rep: Replica): Map<string, Claim> {
  const seq = rep.history?.seq ?? -1;
  const open = (claim: Claim): boolean => !claim.answered && (claim.beyond === undefined || claim.beyond > seq);
  return new Map(Object.entries(claimsOf(rep)).filter(([, claim]) => open(claim)));
}

/**
 * Whether an entry may be missing here, so that nothing is sent (CLT-015).
 *
 * So says the relay, which names a later head than it shows; a device that has shown such an entry; or one that was not
 * heard yet and was asked less than `WAIT` ago. `allowed`: devices whose claim the author knew and overrode.
 */
export function gap(ctx: Context, rep: Replica, allowed: readonly string[] = []): boolean {
  const { state, history } = known(rep);
  if (((rep.note as Notes).wanted ?? 0) > history.seq) return true;
  for (const [dv, claim] of Object.entries(claimsOf(rep))) {
    if ((claim.beyond ?? 0) <= history.seq) continue;
    if (claim.shown) return true;
    const active = state.devices.get(dv)?.status === "active";
    const heard = claim.answered === true || allowed.includes(dv) || !active;
    if (!heard && now(ctx) - (claim.asked || now(ctx)) < WAIT) return true;
  }
  return false;
}

/**
 * The claim of `dv` after its answer, inside a step: it showed an entry that follows the head, or is set aside (CLT-036).
 */
export async function answered(
  rep: Replica,
  dv: string,
  compacts: readonly string[],
  attached: readonly string[],
  tx: Tx,
): Promise<Claim> {
  const claim: Claim = { ...claimsOf(rep)[dv]!, answered: true };
  const { seq } = known(rep).history;
  if ((claim.beyond ?? 0) <= seq) return claim;
  const last = await following(rep, compacts, attached);
  if (last > seq) return { ...claim, shown: true, beyond: last };
  for (const [, row] of await tx.by<MessageRow>("message", "state", { prefix: [rep.sph, "quarantined"] })) {
    if (row.dv === dv && row.ls > seq) tx.put("message", row.n, { ...row, code: "C_LOG_FORK" });
  }
  return { ...claim, aside: seq };
}

/** Position of the last of `compacts` that validly follows the head; the head's own when none does. */
async function following(rep: Replica, compacts: readonly string[], attached: readonly string[]): Promise<number> {
  const { history, ...held } = known(rep);
  let { state } = held;
  try {
    const given = new Map(attached.map((one) => [b64e(decodeEnvelope(one, "sph-join+1").digest), one]));
    for (const one of compacts.map(entries.decode)) {
      if (one.seq === state.seq + 1) state = await machine.apply(state, one, given);
    }
  } catch (error) {
    if (error instanceof VersionTooOld) return state.seq + 1;
    if (!(error instanceof CheckFailed)) throw error;
  }
  return Math.max(state.seq, history.seq);
}
