/**
 * What a waiting text asks its author before it goes weaker than it was written, and what a yes says.
 *
 * An item keeps what its author could know when composing: the mode, and whether everybody was confirmed. A yes adds to
 * that what its question named, as it was shown, and nothing that came up since.
 *
 * As `src/cloister/client/questions.py`. Spec: CLT-016.
 */

import { UsageError } from "../errors.ts";
import { isMember } from "../protocol/state.ts";
import { MODES, accept, seenMode } from "./announce.ts";
import * as claims from "./claims.ts";
import type { Context } from "./context.ts";
import * as people from "./people.ts";
import type { OutboxRow, Seen } from "./queue.ts";
import { type Replica, known, saveNote } from "./replica.ts";
import type { Reader, Tx } from "./store.ts";

/** What the author of a text can know now: the mode, and whether all who read are confirmed. */
export async function surroundings(from: Reader, me: string, rep: Replica): Promise<Seen> {
  const { state } = known(rep);
  const others = [...state.members.values()].filter((one) => isMember(one) && one.id !== me).map((one) => one.id);
  return { mode: seenMode(rep), verified: await allConfirmed(from, others) };
}

/** One after another, because the first who is not confirmed decides: a thousand pins are not read for a word. */
async function allConfirmed(from: Reader, ids: readonly string[]): Promise<boolean> {
  for (const id of ids) if ((await people.pin(from, id))?.confirmed !== true) return false;
  return true;
}

/** Devices that claim another history, or a longer one, and have not been heard yet (CLT-020, CLT-036). */
function openClaims(rep: Replica): string[] {
  return [...claims.unsettled(rep).keys()];
}

/**
 * Why an item has to be asked about before it is sealed now; "" when it goes as it was meant: the weaker mode in force
 * (`open`, `public`), `confirmed` or `claim`.
 */
export async function question(ctx: Context, rep: Replica, row: OutboxRow): Promise<string> {
  const here = await surroundings(ctx.store, ctx.id, rep);
  const { mode } = known(rep).state;
  if (MODES[mode]! < MODES[row.seen.mode]!) return mode;
  if (row.seen.verified && !here.verified) return "confirmed";
  return openClaims(rep).some((dv) => !row.claims.includes(dv)) ? "claim" : "";
}

/** Whether an item may go as it is meant: one in clear only where the policy says so now (MSG-008). */
export function allowed(rep: Replica, row: OutboxRow): boolean {
  const { mode, policy } = known(rep).state;
  return !row.openly || mode !== "e2ee" || policy.plaintext;
}

/** An item with a question, and with what that shows. */
export function held(rep: Replica, row: OutboxRow, asks: string): OutboxRow {
  const shown = asks === "claim" ? openClaims(rep) : row.asked;
  return { ...row, state: "held", question: asks, asked: shown, jws: "" };
}

/** An item whose author meant what the question `yes` was about. Throws UsageError for one that does not exist. */
export function answered(rep: Replica, row: OutboxRow, yes: string, tx: Tx): OutboxRow {
  const { seen, claims: known, asked } = row;
  switch (yes) {
    case "open": case "public":
      if (accept(rep, yes)) saveNote(tx, rep);
      return { ...row, question: "", seen: { ...seen, mode: MODES[yes]! < MODES[seen.mode]! ? yes : seen.mode } };
    case "confirmed":
      return { ...row, question: "", seen: { ...seen, verified: false } };
    case "claim":
      return { ...row, question: "", claims: [...new Set([...known, ...asked])] };
    default:
      throw new UsageError("there is no such question");
  }
}
