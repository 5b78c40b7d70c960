/**
 * Making a commit happen exactly once: durable before the request, judged by the log afterwards.
 *
 * The whole request and the new epoch's secret are on disk (a pledge) before the relay hears of it. After any error the
 * log decides: our first entry stands there: won; another stands there: lost, and the same intents are composed again
 * with fresh secrets; nothing stands there: the very same bytes are sent again. A crash at any point leaves a pledge,
 * settled at the next sync. No answer of the relay makes a key used or dropped, only the verified log does.
 *
 * Every function here that talks to the relay is called as the sphere's writer. Spec: CLT-008, CLT-013.
 */

import type { Bytes } from "../crypto.ts";
import {
  Busy, CheckFailed, Conflict, Forbidden, Internal, LogInvalid, LogRollback, RateLimited, RelayError, StaleEpoch,
  StaleHead, Unreachable, UsageError, part,
} from "../errors.ts";
import type { ChainHead } from "../protocol/chain.ts";
import type { Commit } from "../protocol/commit.ts";
import { b64e, textBytes } from "../protocol/encoding.ts";
import * as entries from "../protocol/entry.ts";
import { type SphereState, devicesOf } from "../protocol/state.ts";
import type { Chain } from "../sphere/chains.ts";
import type { Author, Draft, Words, compose } from "../sphere/compose.ts";
import * as epoch from "../sphere/epoch.ts";
import type { EpochKey } from "../sphere/epoch.ts";
import type { Intent } from "../sphere/intents.ts";
import * as messages from "../sphere/message.ts";
import { type Context, now, replica, signer } from "./context.ts";
import * as heads from "./heads.ts";
import * as intake from "./intake.ts";
import * as keys from "./keys.ts";
import { writer } from "./locks.ts";
import * as logbook from "./logbook.ts";
import * as organisation from "./organisation.ts";
import * as queue from "./queue.ts";
import { type Replica, known, newNote, saveNote } from "./replica.ts";
import * as stops from "./stops.ts";
import * as stream from "./stream.ts";
import { type Reader, type Tx, meta, move, setMeta } from "./store.ts";
import * as timeline from "./timeline.ts";

/** Races lost in a row before the caller is told that the sphere is busy. */
const MAX_RACES = 12;
/** Own sealings remembered at the last place of the chain. */
const MAX_SEALED = 64;

/** What is wanted of the sphere as it is now; asked anew after every lost race. */
export type Make = (rep: Replica) => readonly Intent[] | Promise<readonly Intent[]>;
export type MakeWords = (rep: Replica) => Promise<Words | undefined>;

/** A commit on its way. `first` is its first entry, `out` the outbox row spoken in it. */
export interface Pledge {
  readonly idem: string;
  readonly sph: string;
  readonly create: boolean;
  /** The request as it is sent, every time the same. */
  readonly body: string;
  readonly first: { readonly seq: number; readonly h: string };
  readonly secret: { readonly n: number; readonly secret: Bytes } | undefined;
  readonly out: string;
}

/** This device as the signer of a commit. */
export function author(ctx: Context): Author {
  return { id: ctx.id, dv: ctx.dv, signer: signer(ctx) };
}

/** Commits of a sphere whose outcome is not known. */
export async function pledges(from: Reader, sph: string): Promise<Pledge[]> {
  return (await from.by<Pledge>("pledge", "sph", { prefix: [sph] })).map(([, row]) => row);
}

/** Write a draft durably, before it is sent (CLT-013); inside a step. */
export async function pledge(tx: Tx, draft: Draft, more: { create?: boolean; out?: string } = {}): Promise<Pledge> {
  const { commit, key } = draft;
  const first = entries.decode(commit.entries[0]!);
  const made: Pledge = {
    idem: commit.idem, sph: commit.sph, create: more.create ?? false, body: JSON.stringify(commit),
    first: { seq: first.seq, h: b64e(first.digest) },
    secret: key === undefined ? undefined : { n: key.n, secret: key.secret }, out: more.out ?? "",
  };
  tx.put("pledge", made.idem, made);
  if (commit.msg !== undefined) await sealed(tx, commit.sph, commit.msg);
  return made;
}

/** What this device sealed last in a sphere. */
export interface Own {
  seq: number;
  hs: string[];
}

/** Remember what this device sealed last, before anybody sees it (CLT-014); inside a step. */
export async function sealed(tx: Tx, sph: string, compact: string): Promise<void> {
  const { head, link } = messages.decode(compact);
  const own = await meta<Own>(tx, `own/${sph}`, { seq: 0, hs: [] });
  const hs = own.seq === head.seq ? [...own.hs, link] : [link];
  setMeta(tx, `own/${sph}`, { seq: head.seq, hs: hs.slice(-MAX_SEALED) });
}

/** Commit a new sphere. On Unreachable the pledge stays and the next sync finishes it. */
export async function create(ctx: Context, draft: Draft): Promise<Replica> {
  const { sph } = draft.commit;
  const rep: Replica = { sph, note: newNote("active"), state: undefined, history: undefined, keys: new Map() };
  const made = await ctx.store.step(async (tx) => {
    saveNote(tx, rep);
    return pledge(tx, draft, { create: true });
  });
  await writer(ctx, sph, () => settle(ctx, rep, made));
  return replica(ctx, sph);
}

/**
 * `compose`, whose refusals are the caller's here: the log itself is verified and at rest.
 *
 * Throws Forbidden for a missing right, UsageError for what the rules exclude, KeyUnknown, FormatError, Unreachable.
 */
export async function composed(...parts: Parameters<typeof compose>): Promise<Draft> {
  try {
    const making = await part(import("../sphere/compose.ts"));
    return await making.compose(...parts);
  } catch (error) {
    if (!(error instanceof LogInvalid)) throw error;
    throw error.data["forbidden"] === true ? new Forbidden(error.detail) : new UsageError(error.detail);
  }
}

/**
 * Compose and commit what `make` asks for on the present head, again after every lost race (CLT-013).
 *
 * `make` may find nothing left to do (an empty list and no words): false then. Throws the stop of a stopped sphere,
 * Forbidden for what the rules forbid this account, Unreachable (the pledge stays), Busy after too many lost races, and
 * refusals of the relay.
 */
export async function commit(
  ctx: Context,
  rep: Replica,
  make: Make,
  more: { words?: MakeWords | undefined; out?: string } = {},
): Promise<boolean> {
  const { sph } = rep;
  await settleAll(ctx, rep);
  for (let race = 0; race < MAX_RACES; race += 1) {
    let held = await replica(ctx, sph);
    stops.requireNone(held);
    const intents = await make(held);
    const words = await more.words?.(held);
    if (intents.length === 0 && words === undefined) return false;
    const { seq: judged } = known(held).state;
    const heads = await chainHeads(ctx, held, intents);
    held = await replica(ctx, sph);
    const { state, history } = known(held);
    if (state.seq !== judged) continue; // more was read for the heads: what is wanted is judged on that
    const metaText = await ctx.store.step((tx) => keys.readMeta(ctx, held, tx));
    const draft = await composed(state, history, author(ctx), intents, {
      now: now(ctx), rng: ctx.rng, keys: held.keys, metaText, heads, words, orgKey: await organisation.key(ctx, held),
    });
    const made = await ctx.store.step((tx) => pledge(tx, draft, { out: more.out ?? "" }));
    if (await settle(ctx, held, made)) return true;
  }
  throw new Busy("too many commits at once", { retryAfter: 2 });
}

/** The end of a held chain: seq 0 before the first message. */
export function tip(chain: Chain | undefined): ChainHead {
  const run = chain?.runs.at(-1);
  return run === undefined ? { seq: 0, digest: "", ls: 0 } : { seq: run.last, digest: run.link, ls: run.ls };
}

/**
 * Where the chains end that an intent cuts (LOG-019), never behind what this device has verified.
 *
 * Fetches what is newer first, so that whoever cuts a chain has seen it whole.
 */
async function chainHeads(ctx: Context, rep: Replica, intents: readonly Intent[]): Promise<Map<string, ChainHead>> {
  const cut = cutBy(ctx, known(rep).state, intents);
  if (cut.size === 0) return new Map();
  const ask = async (): Promise<Map<string, ChainHead>> =>
    new Map((await ctx.relay.heads(rep.sph)).map(({ dv, seq, h }) => [dv, { seq, digest: h, ls: 0 }]));
  let found = await ask();
  let held = await intake.chains(ctx.store, rep.sph);
  const seqOf = (dv: string): number => tip(held.get(dv)).seq;
  if ([...cut].some((dv) => (found.get(dv)?.seq ?? 0) > seqOf(dv))) {
    await fetch(ctx, rep);
    found = await ask();
    held = await intake.chains(ctx.store, rep.sph);
  }
  if ([...cut].some((dv) => (found.get(dv)?.seq ?? 0) < seqOf(dv))) {
    throw new LogRollback("the relay names an earlier end of a chain than this device has verified");
  }
  return new Map([...found].filter(([dv]) => cut.has(dv)));
}

function cutBy(ctx: Context, state: SphereState, intents: readonly Intent[]): Set<string> {
  const of = (id: string): string[] => devicesOf(state, id).map((one) => one.dv);
  return new Set(intents.flatMap((intent) => {
    switch (intent.op) {
      case "remove": case "role": return of(intent.id);
      case "leave": return of(ctx.id);
      case "device revoke": return [intent.dv];
      default: return [];
    }
  }));
}

// what the relay has ---------------------------------------------------------------------------------------------------

/** Log and messages up to the relay's end; how many messages are new. */
export async function fetch(ctx: Context, rep: Replica): Promise<number> {
  await logbook.pull(ctx, rep);
  return fetchItems(ctx, await replica(ctx, rep.sph));
}

/** Stream items after the cursor, page by page, each page one step (CLT-008). */
export async function fetchItems(ctx: Context, rep: Replica): Promise<number> {
  const pages = new stream.Pages(ctx, rep.sph);
  let count = 0;
  for (;;) {
    const { seq } = known(await replica(ctx, rep.sph)).history;
    const { rows, more } = await pages.next();
    if (rows.length > 0) count += await takeItems(ctx, await replica(ctx, rep.sph), rows);
    if (more) continue;
    const held = await replica(ctx, rep.sph);
    if (heads.waiting(held)) await ctx.store.step((tx) => heads.compare(ctx, held, seq, tx));
    return count;
  }
}

/** One page of a sphere's stream: entries checked or followed, messages judged, the cursor moved, in one step. */
export async function takeItems(ctx: Context, rep: Replica, items: readonly stream.Item[]): Promise<number> {
  const of = (kind: string): [number, string][] =>
    items.filter((one) => one.k === kind).map(({ pos, jws }) => [pos, jws ?? ""]);
  const ahead = of("entry");
  if (ahead.some(([, jws]) => entries.decode(jws).seq > known(rep).history.seq)) await logbook.pull(ctx, rep);
  const held = await replica(ctx, rep.sph);
  return ctx.store.step(async (tx) => {
    await timeline.noteEntries(tx, held, ahead);
    const count = await intake.takeNow(ctx, held, of("msg"), tx);
    move(tx, held.sph, stream.highest(items));
    return count;
  });
}

// what became of a pledge ----------------------------------------------------------------------------------------------

/** Settle every pledge of a sphere and read its log; after this the outcome of all own commits is known. */
export async function settleAll(ctx: Context, rep: Replica): Promise<void> {
  for (const made of await pledges(ctx.store, rep.sph)) await settle(ctx, rep, made, true);
  // A sphere whose making was refused for good is gone with its pledge.
  if ((await ctx.store.get("sphere", rep.sph)) === undefined) return;
  const held = await replica(ctx, rep.sph);
  if (held.state !== undefined) await logbook.pull(ctx, held);
}

/**
 * Send a pledged commit and find out what became of it (CLT-013). True: won. False: lost a race.
 *
 * `again`: the outcome of an earlier try is unknown, so the log is read before anything is sent. Throws a final refusal
 * after dropping the pledge, and Unreachable, Busy and the like with the pledge kept.
 */
export async function settle(ctx: Context, rep: Replica, made: Pledge, again = false): Promise<boolean> {
  if (again) {
    let verdict: boolean | undefined;
    try {
      verdict = await judge(ctx, made);
    } catch (error) {
      if (!(error instanceof Forbidden)) throw error;
      return repeat(ctx, made, error);
    }
    if (verdict !== undefined) return verdict;
  }
  let pos: number;
  try {
    pos = (await ctx.relay.commit(made.create ? undefined : made.sph, textBytes(made.body))).msg_pos ?? 0;
  } catch (error) {
    if (!(error instanceof RelayError || error instanceof Unreachable)) throw error;
    return afterError(ctx, made, error);
  }
  const held = await replica(ctx, rep.sph);
  await ctx.store.step((tx) => won(ctx, held, made, tx, pos));
  return true;
}

/**
 * The log is shown to this device no more, perhaps because of this very commit (leaving): a repetition gets its first
 * answer. Any other answer tells nothing: `refused` is thrown and the pledge stays.
 */
async function repeat(ctx: Context, made: Pledge, refused: Forbidden): Promise<boolean> {
  let pos: number;
  try {
    pos = (await ctx.relay.commit(made.create ? undefined : made.sph, textBytes(made.body))).msg_pos ?? 0;
  } catch (error) {
    throw error instanceof RelayError ? refused : error;
  }
  const held = await replica(ctx, made.sph);
  await ctx.store.step((tx) => won(ctx, held, made, tx, pos));
  return true;
}

const LATER = [Unreachable, Busy, Internal, RateLimited];
const STALE = [StaleHead, StaleEpoch, Conflict];
const isOne = (error: unknown, kinds: readonly (abstract new (...all: never[]) => Error)[]): boolean =>
  kinds.some((kind) => error instanceof kind);

/** Read again and decide; when the log says nothing, `error` stands. */
async function afterError(ctx: Context, made: Pledge, error: RelayError | Unreachable): Promise<boolean> {
  const final = made.create ? !isOne(error, LATER) : !isOne(error, [...LATER, ...STALE]);
  let verdict: boolean | undefined;
  try {
    verdict = await judge(ctx, made);
  } catch (other) {
    if (!(other instanceof RelayError || other instanceof Unreachable)) throw other;
  }
  if (verdict !== undefined) return verdict;
  if (final) {
    await forget(ctx, made);
    throw error;
  }
  if (!isOne(error, STALE)) throw error;
  // Refused for a reason that is not in the log (a chain went on, a commit of the same name): compose again.
  await forget(ctx, made);
  if (error instanceof StaleHead) await fetch(ctx, await replica(ctx, made.sph));
  return false;
}

/** Read the log: true our entry stands there, false another does, undefined nothing does yet. */
async function judge(ctx: Context, made: Pledge): Promise<boolean | undefined> {
  const rep = await replica(ctx, made.sph);
  if (made.create && rep.history === undefined) {
    let first: string | undefined;
    try {
      first = (await ctx.relay.log(made.sph, 0)).entries[0];
    } catch (error) {
      if (error instanceof Forbidden) return undefined;
      throw error;
    }
    if (first === undefined || b64e(entries.decode(first).digest) !== made.first.h) return false;
    await ctx.store.step((tx) => won(ctx, rep, made, tx));
    return true;
  }
  await logbook.pull(ctx, rep);
  const held = await replica(ctx, made.sph);
  const { history } = known(held);
  if (history.seq < made.first.seq) return undefined;
  if (b64e(history.digest(made.first.seq)) !== made.first.h) {
    await forget(ctx, made);
    return false;
  }
  await ctx.store.step((tx) => won(ctx, held, made, tx));
  return true;
}

/** Forget a pledge that lost or was refused; its secret is in no log, so nobody will ever need it. */
async function forget(ctx: Context, made: Pledge): Promise<void> {
  await ctx.store.step(async (tx) => {
    tx.drop("pledge", made.idem);
    if (made.create) tx.drop("sphere", made.sph);
  });
  if (made.create) ctx.replicas.delete(made.sph);
}

/** A won commit: own entries through the same verification as anybody's, key kept, message and item settled. */
async function won(ctx: Context, rep: Replica, made: Pledge, tx: Tx, pos = 0): Promise<void> {
  const request = JSON.parse(made.body) as Commit;
  const held = rep.history?.seq ?? -1;
  const following = request.entries.map(entries.decode).filter((one) => one.seq > held);
  if (following.length > 0) {
    await logbook.takeNow(ctx, rep, following, new Map(Object.entries(request.attach)), tx);
  }
  await keys.keep(ctx, rep, secretOf(rep, made), tx);
  await keys.readMeta(ctx, rep, tx);
  if (request.msg !== undefined) {
    await intake.takeNow(ctx, rep, [[pos, request.msg]], tx);
    if (made.out !== "") await queue.done(ctx, rep, made.out, request.msg, tx);
  }
  tx.drop("pledge", made.idem);
  setMeta(tx, "stateDirty", true);
}

/** The new epoch's key, if the log holds its commitment. */
function secretOf(rep: Replica, { secret }: Pledge): EpochKey[] {
  if (secret === undefined) return [];
  try {
    return [epoch.check(secret.secret, known(rep).history.epoch(secret.n), rep.sph)];
  } catch (error) {
    if (error instanceof CheckFailed) return [];
    throw error;
  }
}
