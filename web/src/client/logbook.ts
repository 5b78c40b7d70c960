/**
 * Following a sphere's log: fetch, verify every entry, store, and notice when the relay shows something else.
 *
 * Only entries that pass the state machine enter the store, in the step that also writes state and history. A shorter log
 * than seen is a rollback; another entry where one stood is a fork when it is validly signed on a common past, and an
 * invalid log when it is not; all three are persistent stops with evidence (CLT-019, CLT-020). An operation this version
 * does not know makes the sphere read-only, not stopped (LOG-010).
 */

import {
  CheckFailed, CloisterError, FormatError, LogFork, LogInvalid, LogRollback, RelayError, Unreachable, VersionTooOld,
} from "../errors.ts";
import { b64d, b64e } from "../protocol/encoding.ts";
import * as entries from "../protocol/entry.ts";
import type { Entry } from "../protocol/entry.ts";
import * as fork from "../protocol/fork.ts";
import { History } from "../protocol/history.ts";
import { decode as decodeEnvelope, verifyEd25519 } from "../protocol/jws.ts";
import * as machine from "../protocol/machine.ts";
import type { SphereState } from "../protocol/state.ts";
import * as announce from "./announce.ts";
import type { Claim } from "./claims.ts";
import { type Context, now } from "./context.ts";
import * as keys from "./keys.ts";
import { type EntryRow, factOf } from "./notices.ts";
import * as people from "./people.ts";
import { type Note, type Replica, known, saveNote, saveView } from "./replica.ts";
import * as stops from "./stops.ts";
import type { Reader, Tx } from "./store.ts";

const PAGE = 500;
/** Entries of either side kept as evidence. */
export const MAX_PROOF = 64;
/** Characters of entries and join requests in one letter; the largest of both fit. */
const MAX_LETTER = 180_000;

type Attachments = ReadonlyMap<string, string>;
type Notes = Note & { wanted?: number };

/**
 * Bring the local log to the relay's head (CLT-019); the number of new entries.
 *
 * Call as the sphere's writer. Throws the RelayError or Unreachable of the request, and after recording the stop:
 * LogRollback, LogFork, LogInvalid.
 */
export async function pull(ctx: Context, rep: Replica): Promise<number> {
  let added = 0;
  for (;;) {
    const page = await ctx.relay.log(rep.sph, rep.history?.seq ?? 0, PAGE);
    const fresh = await continuing(ctx, rep, page.entries, page.head.seq, page.head.h);
    await stops.settle(ctx, rep);
    if (fresh.length > 0) added += await take(ctx, rep, fresh);
    if (fresh.length === 0 || (rep.history !== undefined && rep.history.seq >= page.head.seq)) {
      await expect(ctx, rep, page.head.seq);
      return added;
    }
  }
}

/** The relay names a head it does not show: nothing is sent until it does, or names it no more (CLT-015). */
async function expect(ctx: Context, rep: Replica, seq: number): Promise<void> {
  const note = rep.note as Notes;
  const wanted = rep.history !== undefined && seq > rep.history.seq ? seq : 0;
  if (wanted === (note.wanted ?? 0)) return;
  await ctx.store.step(async (tx) => {
    note.wanted = wanted;
    saveNote(tx, rep);
  });
}

/** The entries after the local head, once the relay's log is seen to contain that head (CLT-020). */
async function continuing(ctx: Context, rep: Replica, page: readonly string[], seq: number, h: string): Promise<Entry[]> {
  const { history } = rep;
  if (history === undefined) return decoded(ctx, rep, page);
  const head = { seq, h };
  if (page.length === 0) throw await stop(ctx, rep, new LogRollback("the relay's log is shorter than the one seen"), { head });
  const shown = await decoded(ctx, rep, page);
  if (shown[0]!.seq !== history.seq) {
    throw await stop(ctx, rep, new LogInvalid("the relay shows other positions than asked for"), { head });
  }
  if (b64e(shown[0]!.digest) !== b64e(history.digest(history.seq))) throw await judgeRival(ctx, rep, shown[0]!);
  return shown.slice(1);
}

async function decoded(ctx: Context, rep: Replica, page: readonly string[]): Promise<Entry[]> {
  try {
    return page.map(entries.decode);
  } catch (error) {
    if (!(error instanceof FormatError)) throw error;
    throw await stop(ctx, rep, new LogInvalid(`entry form: ${error.detail}`), { entries: [...page] });
  }
}

/** Verify and store entries that follow the head, in one step; attachments not given are fetched. */
export async function take(
  ctx: Context,
  rep: Replica,
  fresh: readonly Entry[],
  attachments: Attachments = new Map(),
): Promise<number> {
  const given = new Map(attachments);
  await Promise.all(fresh.map(async (one) => {
    const digest = joinOf(one);
    if (digest !== "" && !given.has(digest)) given.set(digest, await ctx.relay.attachment(rep.sph, b64d(digest)));
  }));
  await ctx.store.step((tx) => takeNow(ctx, rep, fresh, given, tx));
  return fresh.length;
}

/** As `take`, inside the caller's step and with every attachment at hand. */
export async function takeNow(
  ctx: Context,
  rep: Replica,
  fresh: readonly Entry[],
  attachments: Attachments,
  tx: Tx,
): Promise<void> {
  for (const one of fresh) {
    const before = rep.state;
    const state = await next(ctx, rep, one, attachments, tx);
    rep.state = state;
    if (rep.history === undefined) rep.history = new History(state);
    else rep.history.append(state);
    const fact = factOf(rep, before, one, now(ctx));
    const row: EntryRow = { h: b64e(one.digest), jws: one.compact, seen: now(ctx), ...(fact === undefined ? {} : { fact }) };
    tx.put("entry", [rep.sph, one.seq], row);
    const digest = joinOf(one);
    if (digest !== "") tx.put("attach", [rep.sph, digest], attachments.get(digest)!);
    await announce.entry(ctx, rep, before, one, tx);
  }
  if (rep.state !== undefined && rep.history !== undefined) {
    await saveView(tx, rep.sph, rep.state, rep.history);
    saveNote(tx, rep);
  }
  ctx.replicas.set(rep.sph, rep);
  if (fresh.some((one) => one.op === "meta")) await keys.readMeta(ctx, rep, tx);
}

/** The state after one more entry. What is wrong with it is recorded once the step is undone. */
async function next(ctx: Context, rep: Replica, one: Entry, attachments: Attachments, tx: Tx): Promise<SphereState> {
  try {
    if (rep.state !== undefined) return await machine.apply(rep.state, one, attachments);
    const made = await machine.genesis(one);
    if (made.sph !== rep.sph) throw new LogInvalid("the log shown is another sphere's");
    return made;
  } catch (error) {
    if (error instanceof VersionTooOld) {
      throw await stop(ctx, rep, new VersionTooOld("the log holds an operation of a newer version"), {}, tx);
    }
    if (!(error instanceof CheckFailed)) throw error;
    const rule = String(error.data["rule"] ?? error.code);
    const wrapped = new LogInvalid(`entry ${one.seq}: ${error.detail}`, { data: { rule } });
    throw await stop(ctx, rep, wrapped, { at: one.seq, entry: one.compact }, tx);
  }
}

/** H of the join request an `add` names; empty for anything else, malformed ones included. */
function joinOf(one: Entry): string {
  try {
    const named = one.op === "add" ? one.body["join"] : undefined;
    return typeof named === "string" ? b64e(b64d(named)) : "";
  } catch (error) {
    if (error instanceof FormatError) return "";
    throw error;
  }
}

/**
 * Another entry stands at our head: find where the two logs part and judge the relay's side (CLT-020).
 *
 * A relay that will not show that side is judged by what it has shown.
 */
async function judgeRival(ctx: Context, rep: Replica, rival: Entry): Promise<CloisterError> {
  try {
    return await parting(ctx, rep);
  } catch (error) {
    if (!(error instanceof RelayError || error instanceof FormatError || error instanceof Unreachable)) throw error;
    const shown = { common: known(rep).history.seq - 1, theirs: [rival.compact] };
    return stop(ctx, rep, new LogInvalid(`a different log that is not shown: ${error.code}`), shown);
  }
}

async function parting(ctx: Context, rep: Replica): Promise<CloisterError> {
  const { history } = known(rep);
  let [low, high] = [0, history.seq]; // the logs agree below `low` and differ at `high`
  while (low < high) {
    const middle = (low + high) >> 1;
    const [shown] = (await ctx.relay.log(rep.sph, middle, 1)).entries;
    if (shown !== undefined && b64e(entries.decode(shown).digest) === b64e(history.digest(middle))) low = middle + 1;
    else high = middle;
  }
  const theirs = (await ctx.relay.log(rep.sph, low, MAX_PROOF)).entries;
  const evidence: stops.Evidence = { common: low - 1, mine: await compacts(ctx.store, rep.sph, low, MAX_PROOF), theirs };
  try {
    const attached = await attachmentsOf(ctx, rep.sph, theirs);
    evidence["attach"] = Object.fromEntries(attached);
    if (low === 0) throw new LogInvalid("the first entry differs: another sphere");
    const state = await replay(ctx.store, rep.sph, low - 1);
    if (theirs[0] === undefined) throw new LogInvalid("nothing is shown there");
    await machine.apply(state, entries.decode(theirs[0]), attached);
  } catch (error) {
    if (!(error instanceof CheckFailed || error instanceof VersionTooOld)) throw error;
    return stop(ctx, rep, new LogInvalid(`a different log that does not verify: ${error.message}`), evidence);
  }
  return forked(ctx, rep, "two validly signed histories", low, evidence);
}

async function attachmentsOf(ctx: Context, sph: string, shown: readonly string[]): Promise<Map<string, string>> {
  const found = new Map<string, string>();
  for (const compact of shown) {
    const digest = joinOf(entries.decode(compact));
    if (digest !== "") found.set(digest, await ctx.relay.attachment(sph, b64d(digest)));
  }
  return found;
}

/** Own entries from a position on, as they were received. */
export async function compacts(from: Reader, sph: string, start: number, limit?: number): Promise<string[]> {
  const range = { prefix: [sph], from: [sph, start], ...(limit === undefined ? {} : { limit }) };
  return (await from.list<EntryRow>("entry", range)).map(([, row]) => row.jws);
}

/** The state after entry `upto`, from the own store. */
export async function replay(from: Reader, sph: string, upto: number): Promise<SphereState> {
  const rows = await from.list<EntryRow>("entry", { prefix: [sph], from: [sph, 0], to: [sph, upto] });
  const states = await fork.replay(rows.map(([, row]) => row.jws), await held(from, sph));
  return states.at(-1)!;
}

/** Attachments of the own store, by H. */
export async function held(from: Reader, sph: string): Promise<Map<string, string>> {
  const rows = await from.list<string>("attach", { prefix: [sph] });
  return new Map(rows.map(([key, compact]) => [(key as readonly [string, string])[1], compact]));
}

/**
 * An answer to a claim: entries said to stand from `claim.from` on, with their join requests (CLT-020).
 *
 * `claim.hi` is the lowest position known to differ, `claim.lo` the highest known to agree. Gives the claim with the
 * position to ask from next while the first difference lies elsewhere, undefined when the matter is settled: by a recorded
 * stop, or because nothing is proved.
 */
export async function judgeProof(
  ctx: Context,
  rep: Replica,
  claim: Claim,
  shownCompacts: readonly string[],
  attached: readonly string[],
): Promise<Claim | undefined> {
  const { history } = known(rep);
  const start = claim.from!;
  let shown: Entry[];
  let given: Map<string, string>;
  try {
    shown = shownCompacts.map(entries.decode).filter((one) => one.seq <= history.seq);
    given = new Map(attached.map((one) => [b64e(decodeEnvelope(one, "sph-join+1").digest), one]));
  } catch (error) {
    if (error instanceof FormatError) return undefined;
    throw error;
  }
  if (shown.length === 0 || shown.some((one, n) => one.seq !== start + n)) return undefined;
  const at = shown.findIndex((one) => b64e(one.digest) !== b64e(history.digest(one.seq)));
  const [lo, hi] = [claim.lo ?? -1, claim.hi!];
  if (at >= 0 && shown[at]!.seq > 0 && (at > 0 || start === lo + 1)) {
    await prove(ctx, rep, shown[at]!.seq, shownCompacts.slice(at), given);
    return undefined;
  }
  const [low, high] = at < 0 ? [shown.at(-1)!.seq, hi] : [lo, start];
  // nothing new, a contradiction, or another sphere
  if ((low === lo && high === hi) || low >= high || high === 0) return undefined;
  const back = (claim.back ?? MAX_PROOF / 2) * 4;
  const between = high - low < MAX_PROOF ? low + 1 : (low + high) >> 1;
  return { ...claim, from: low < 0 ? Math.max(0, high - back) : between, lo: low, hi: high, back };
}

/** Record the stop if `rival`, whose first entry stands at `low` instead of ours, is valid there. */
async function prove(ctx: Context, rep: Replica, low: number, rival: readonly string[], given: Attachments): Promise<void> {
  const { history } = known(rep);
  const all = new Map([...given, ...(await held(ctx.store, rep.sph))]);
  try {
    await fork.prove(history, await replay(ctx.store, rep.sph, low - 1), rival, all);
  } catch (error) {
    if (!(error instanceof CheckFailed || error instanceof VersionTooOld)) throw error;
    if (!(error instanceof LogFork)) return;
  }
  const mine = await compacts(ctx.store, rep.sph, low, MAX_PROOF);
  const evidence = { common: low - 1, mine, theirs: [...rival], attach: Object.fromEntries(given) };
  await forked(ctx, rep, "a member proved another history", low, evidence);
}

/**
 * Record a proven fork. A member whose devices signed both entries where the histories part is named (LOG-028); two
 * authors are merely the relay's two answers.
 */
async function forked(ctx: Context, rep: Replica, detail: string, low: number, evidence: stops.Evidence): Promise<LogFork> {
  const { state, history } = known(rep);
  const owner = (side: string): string | undefined => {
    const [first] = evidence[side] as string[];
    try {
      return first === undefined ? undefined : history.ownerOf(entries.decode(first).kid);
    } catch (error) {
      if (error instanceof CheckFailed) return undefined;
      throw error;
    }
  };
  const by = owner("mine");
  const both = by !== undefined && by === owner("theirs");
  const named = both ? { ...evidence, by, who: await people.nameOf(ctx.store, state, by) } : evidence;
  return stop(ctx, rep, new LogFork(detail, { data: { seq: low } }), named);
}

/**
 * Entries nobody asked for: looked at only when the first follows our log right before `start`, where another entry of ours
 * stands, and is signed by a device that was active there (CLT-020).
 */
export async function judgeUnasked(
  ctx: Context,
  rep: Replica,
  start: number,
  shown: readonly string[],
  attached: readonly string[],
): Promise<void> {
  const { history } = known(rep);
  let given: Map<string, string>;
  try {
    given = new Map(attached.map((one) => [b64e(decodeEnvelope(one, "sph-join+1").digest), one]));
    const first = shown[0] === undefined ? undefined : entries.decode(shown[0]);
    const stopped = rep.note.stop?.code === "C_LOG_FORK";
    if (first?.seq !== start || start < 1 || start > history.seq || stopped) return;
    if (b64e(first.prev) !== b64e(history.digest(start - 1)) || b64e(first.digest) === b64e(history.digest(start))) return;
    if (!history.active(first.kid, start - 1)) return;
    await verifyEd25519(first.envelope, history.keyOf(first.kid));
  } catch (error) {
    if (error instanceof CheckFailed) return;
    throw error;
  }
  await prove(ctx, rep, start, shown, given);
}

/** The own entries from `start` on and the join requests they admit, as many as one letter holds (CLT-020). */
export async function shownFrom(from: Reader, sph: string, start: number): Promise<{ entries: string[]; attached: string[] }> {
  const requests = await held(from, sph);
  const found: string[] = [];
  const attached: string[] = [];
  let room = MAX_LETTER;
  for (const compact of await compacts(from, sph, start, MAX_PROOF)) {
    const request = requests.get(joinOf(entries.decode(compact))) ?? "";
    room -= compact.length + request.length;
    if (room < 0 && found.length > 0) break;
    found.push(compact);
    if (request !== "") attached.push(request);
  }
  return { entries: found, attached };
}

/** Record the stop in a step of its own (with `tx`: once the running one is undone by the error that follows). */
async function stop<E extends CloisterError>(
  ctx: Context,
  rep: Replica,
  error: E,
  evidence: stops.Evidence,
  tx?: Tx,
): Promise<E> {
  const { history } = rep;
  const at = history === undefined ? {} : { held: { seq: history.seq, h: b64e(history.digest(history.seq)) } };
  await stops.note(ctx, rep.sph, error, { ...evidence, ...at }, tx);
  return error;
}
