/**
 * Live transfer on this device: ask for keys, offer and give them, while both sides are connected.
 *
 * What is going on is kept in memory alone and is dropped when it is done, ended, or over (LIVE-002). A message that does
 * not fit changes nothing and is not answered. Keys that come are taken only as the epochs of the verified log. A person is
 * asked before anything is given, unless that person has said otherwise for this sphere (LIVE-012).
 * As `src/cloister/client/live_transfer.py`. Spec: LIVE-001 to LIVE-014.
 */

import { rsaGenerate } from "../crypto.ts";
import { CheckFailed, Expired, KeyUnknown, NotFound, NotMember, RelayError, Replay, Unreachable, UsageError } from "../errors.ts";
import { b64d, b64e } from "../protocol/encoding.ts";
import * as live from "../sphere/live.ts";
import type { Party } from "../sphere/share.ts";
import { background } from "./background.ts";
import * as channel from "./channel.ts";
import { type Context, now, replica, signer } from "./context.ts";
import type { KeyAsked } from "./events.ts";
import * as expiry from "./expiry.ts";
import * as keys from "./keys.ts";
import { writer } from "./locks.ts";
import * as memory from "./memory.ts";
import * as people from "./people.ts";
import * as renewing from "./renewing.ts";
import { type Note, type Replica, known, saveNote, statusOf, stopOf } from "./replica.ts";
import * as syncing from "./syncing.ts";
import type { Answered, Asked } from "./transfers.ts";

/** Seconds between two asks that nobody had to call for (LIVE-014). */
export const ASK_AGAIN = 120;
/** Asks of one device remembered so that none is answered twice, and answered at all meanwhile (LIVE-010). */
export const MAX_SEEN = 4;
/** Seconds that further offers are waited for after the first, offers kept meanwhile, and opened of one ask (LIVE-004). */
const CHOICE = 1;
const MAX_OFFERS = 64;
const MAX_OPENED = 8;

type Notes = Note & { provides?: boolean };

const me = (ctx: Context): Party => ({ id: ctx.id, dv: ctx.dv });
const nameOf = (ctx: Context, rep: Replica, party: Party): Promise<string> =>
  people.nameOf(ctx.store, known(rep).state, party.id);

/** Forget what is over (LIVE-002, LIVE-011), and say so where somebody was waiting. */
export function dropOld(ctx: Context): void {
  const { asked, answered, seen } = ctx.transfers;
  const at = now(ctx);
  for (const [name, { asking, pair }] of asked) {
    if (at <= asking.exp) continue;
    asked.delete(name);
    if (pair !== undefined) ctx.transfers.vain.add(pair.provider.dv);
    ctx.store.tell([{ event: "TransferEnded", sph: asking.sph, name, why: "expired", own: true }]);
  }
  for (const [name, { offering, pair }] of answered) {
    if (at <= offering.exp) continue;
    answered.delete(name);
    if (pair !== undefined) ctx.store.tell([{ event: "TransferEnded", sph: offering.sph, name, why: "expired", own: false }]);
  }
  for (const [dv, asks] of seen) {
    for (const [name, until] of asks) if (at > until) asks.delete(name);
    if (asks.size === 0) seen.delete(dv);
  }
}

/** Drop what is over also when nothing else happens. */
function later(ctx: Context): void {
  background(ctx.pause(live.SECONDS + 1).then(() => dropOld(ctx)));
}

// --- the side that asks ------------------------------------------------------------------------------------------------

/** Whether keys of a sphere go from device to device: not where they are derived (LIVE-010, CLT-062). */
const handedOver = (rep: Replica): boolean => rep.state !== undefined && rep.state.org === "";

/** Epochs this device has no key of and may have, ascending, the newest that one ask takes. */
export function lacking(ctx: Context, rep: Replica): number[] {
  if (!handedOver(rep) || statusOf(rep) !== "active") return [];
  const due = [...keys.granted(rep, ctx.dv)].filter((n) => !rep.keys.has(n) && n > expiry.shredded(rep));
  return due.sort((one, other) => one - other).slice(-live.MAX_NS);
}

/**
 * Ask everybody who is connected for keys (LIVE-002): the ask's name and how many devices it reached.
 * Throws UsageError when nothing is lacking, Unreachable.
 */
export async function ask(ctx: Context, rep: Replica): Promise<{ name: string; reached: number }> {
  dropOld(ctx);
  const ns = lacking(ctx, rep);
  if (ns.length === 0) throw new UsageError("no key of this sphere is missing here");
  ctx.transfers.last.set(rep.sph, now(ctx));
  const { modulus: epk, unseal } = await rsaGenerate();
  const { asking, jws } = await live.ask({ sph: rep.sph, me: me(ctx), ns, epk, unseal, now: now(ctx) }, signer(ctx), ctx.rng);
  const name = b64e(asking.digest);
  const asked: Asked = { asking, jws, reached: 0, offers: [], left: MAX_OPENED, closed: false, pair: undefined };
  ctx.transfers.asked.set(name, asked);
  later(ctx);
  await send(ctx, asked);
  return { name, reached: asked.reached };
}

async function send(ctx: Context, asked: Asked): Promise<void> {
  try {
    asked.reached = await ctx.relay.passOn([], asked.jws);
  } catch (error) {
    ctx.transfers.asked.delete(b64e(asked.asking.digest));
    throw error;
  }
}

/** Ask by itself in a sphere with live delivery; an ask that reached nobody goes out again as it is (LIVE-014). */
export async function askUnasked(ctx: Context, rep: Replica): Promise<void> {
  if (rep.state?.delivery !== "live" || stopOf(rep) !== undefined || lacking(ctx, rep).length === 0) return;
  dropOld(ctx);
  const unheard = [...ctx.transfers.asked.values()].find((one) => one.asking.sph === rep.sph && one.reached === 0);
  if (unheard === undefined && now(ctx) - (ctx.transfers.last.get(rep.sph) ?? -ASK_AGAIN) < ASK_AGAIN) return;
  try {
    if (unheard === undefined) await ask(ctx, rep);
    else await send(ctx, unheard);
  } catch (error) {
    if (!(error instanceof RelayError) && !(error instanceof Unreachable)) throw error;
  }
}

/** Keep an offer until one is chosen. One that comes later may be made by somebody who knows sJ (LIVE-004). */
function offered(ctx: Context, message: live.Message): void {
  const asked = ctx.transfers.asked.get(message.body["ask"] as string);
  if (asked === undefined || asked.closed) return;
  live.checkOffer(asked.asking, message, now(ctx));
  const { offers } = asked;
  if (offers.length >= MAX_OFFERS || offers.some((one) => one.sender.dv === message.sender.dv)) return;
  offers.push(message);
  if (offers.length === 1) background(ctx.pause(CHOICE).then(() => choose(ctx, asked)));
}

/** Open the best of the offers that came together: own devices first, last those that came to nothing before. */
async function choose(ctx: Context, asked: Asked): Promise<void> {
  asked.closed = true;
  const rank = ({ sender }: live.Message): number => (ctx.transfers.vain.has(sender.dv) ? 2 : 0) + (sender.id === ctx.id ? 0 : 1);
  asked.offers.sort((one, other) => rank(one) - rank(other));
  await openNext(ctx, asked);
}

/** Open the next offer of an ask whose device is still there; false when there is none. */
async function openNext(ctx: Context, asked: Asked): Promise<boolean> {
  const name = b64e(asked.asking.digest);
  while (asked.left > 0 && ctx.transfers.asked.has(name)) {
    const next = asked.offers.shift();
    if (next === undefined) return false;
    asked.left -= 1;
    await channel.call(ctx, asked, next, (sph, jws) => take(ctx, sph, jws));
    if (!ctx.transfers.asked.has(name)) break;
    const { pair, jws } = await live.openOffer(asked.asking, next, now(ctx), signer(ctx), ctx.rng);
    asked.pair = pair;
    const { id, dv } = pair.provider;
    const who = await nameOf(ctx, await replica(ctx, pair.sph), pair.provider);
    ctx.store.tell([{ event: "KeyOffered", sph: pair.sph, name, id, who, digits: pair.digits }]);
    try {
      if ((await ctx.relay.passOn([dv], jws)) > 0) return true;
    } catch (error) {
      if (!(error instanceof RelayError)) throw error;
    }
  }
  channel.close(ctx, name);
  return false;
}

/** The open offer came to nothing: go on with the next one, or say that it is over (LIVE-004, LIVE-009). */
async function inVain(ctx: Context, asked: Asked, why: live.Why): Promise<void> {
  const name = b64e(asked.asking.digest);
  if (asked.pair !== undefined) ctx.transfers.vain.add(asked.pair.provider.dv);
  asked.pair = undefined;
  channel.close(ctx, name);
  if ((await openNext(ctx, asked)) || !ctx.transfers.asked.delete(name)) return;
  ctx.store.tell([{ event: "TransferEnded", sph: asked.asking.sph, name, why, own: true }]);
}

async function given(ctx: Context, rep: Replica, message: live.Message): Promise<void> {
  const fits = ({ pair }: Asked): boolean => pair !== undefined && b64e(pair.open) === message.body["open"]
    && pair.provider.dv === message.sender.dv;
  const found = [...ctx.transfers.asked.values()].find(fits);
  if (found?.pair === undefined) throw new Replay("keys nobody waits for");
  const { asking, pair } = found;
  const secrets = (await renewing.receiving(ctx)).map((own) => own.deSeed);
  const { history: log } = known(rep);
  const asked = { asking, pair, given: message, log, kem: ctx.keys.kem, secrets, now: now(ctx) };
  let taken: Awaited<ReturnType<typeof live.take>>;
  try {
    taken = await live.take(asked, signer(ctx), ctx.rng);
  } catch (error) {
    if (!(error instanceof CheckFailed) || error instanceof Replay || error instanceof Expired) throw error;
    await sayEnd(ctx, pair, pair.provider, "failed");
    await inVain(ctx, found, "failed");
    return;
  }
  await writer(ctx, rep.sph, async () => {
    const held = await replica(ctx, rep.sph);
    await ctx.store.step(async (tx) => { await keys.keep(ctx, held, taken.keys, tx); });
  });
  ctx.transfers.asked.delete(b64e(pair.ask));
  ctx.transfers.vain.delete(pair.provider.dv);
  const who = await nameOf(ctx, await replica(ctx, rep.sph), pair.provider);
  const ns = taken.keys.map((one) => one.n);
  try {
    await channel.answer(ctx, pair, taken.jws);
  } finally {
    ctx.store.tell([{ event: "KeyReceived", sph: rep.sph, name: b64e(pair.ask), who, ns }]);
  }
}

// --- the side that gives -----------------------------------------------------------------------------------------------

async function heardAsk(ctx: Context, rep: Replica, message: live.Message): Promise<void> {
  const { dv } = message.sender;
  if (dv === ctx.dv || (await memory.revoked(ctx.store)).has(dv) || keys.withheld(ctx, rep, message.sender.id)) return;
  const { seen, answered } = ctx.transfers;
  const name = b64e(message.digest);
  const asks = seen.get(dv) ?? new Map<string, number>();
  if (asks.has(name) || asks.size >= MAX_SEEN) return;
  const wanted = live.checkAsk(message, known(rep).history, now(ctx));
  seen.set(dv, asks.set(name, (message.body["exp"] as number) + live.SECONDS));
  // One offer at a time: who asks knows the digits of each (LIVE-005).
  for (const [old, { offering, pair }] of answered) if (offering.asker.dv === dv && pair === undefined) answered.delete(old);
  const may = keys.granted(rep, dv);
  const held = wanted.filter((n) => rep.keys.has(n) && may.has(n));
  if (held.length === 0) return;
  const { offering, jws } = await live.offer(message, me(ctx), held, now(ctx), signer(ctx), ctx.rng);
  answered.set(name, { offering });
  later(ctx);
  await ctx.relay.passOn([dv], jws);
}

async function opened(ctx: Context, rep: Replica, message: live.Message): Promise<void> {
  const fits = ({ offering }: Answered): boolean => b64e(offering.digest) === message.body["offer"];
  const found = [...ctx.transfers.answered.values()].find(fits);
  if (found === undefined || found.pair !== undefined) throw new Replay("an offer that is not open");
  const pair = live.takeOpen(found.offering, message, now(ctx));
  found.pair = pair;
  if (provides(rep)) background(give(ctx, rep, b64e(pair.ask)));
  else ctx.store.tell([await asEvent(ctx, rep, pair)]);
}

async function asEvent(ctx: Context, rep: Replica, pair: live.Pair): Promise<KeyAsked> {
  const { ask: asked, asker, digits, ns, exp: until } = pair;
  const who = await nameOf(ctx, rep, asker);
  return { event: "KeyAsked", sph: rep.sph, name: b64e(asked), id: asker.id, who, digits, ns, until };
}

/** Whether this device gives keys of the sphere without asking its person (LIVE-012). */
export const provides = (rep: Replica): boolean => (rep.note as Notes).provides === true;

/** Say that it may, or may no more (LIVE-012). */
export async function setProvides(ctx: Context, rep: Replica, on: boolean): Promise<void> {
  await ctx.store.step(async (tx) => {
    (rep.note as Notes).provides = on;
    saveNote(tx, rep);
  });
}

/** Asks of others that wait for this person's word. */
export async function waiting(ctx: Context, rep: Replica): Promise<KeyAsked[]> {
  dropOld(ctx);
  const open = [...ctx.transfers.answered.values()].filter((one) => one.offering.sph === rep.sph && one.given === undefined);
  return Promise.all(open.flatMap(({ pair }) => (pair === undefined ? [] : [asEvent(ctx, rep, pair)])));
}

/**
 * Give what was offered; the person has seen who asks and the digits (LIVE-006, LIVE-012).
 * Throws NotFound when it is over or was ended or the device has gone, Unreachable.
 */
export async function give(ctx: Context, rep: Replica, name: string): Promise<void> {
  dropOld(ctx);
  const found = ctx.transfers.answered.get(name);
  if (found?.pair === undefined || found.given !== undefined) throw new NotFound("this transfer is over: they can ask again");
  const { pair, offering } = found;
  const { state, history: log } = known(rep);
  const asker = state.devices.get(pair.asker.dv);
  const gone = asker?.status !== "active" || (await memory.revoked(ctx.store)).has(asker.dv);
  if (gone) throw new NotFound("this device has left the sphere");
  keys.requireShown(ctx, rep, asker.owner);
  const may = keys.granted(rep, asker.dv);
  const held = pair.ns.filter((n) => rep.keys.has(n) && may.has(n)).map((n) => rep.keys.get(n)!);
  const asked = { pair, epk: offering.epk, keys: held, log, asker, now: now(ctx) };
  const made = await live.give(asked, signer(ctx), ctx.rng);
  found.given = made.given;
  if (await channel.carry(ctx, found, pair, made.jws, (sph, jws) => take(ctx, sph, jws))) return;
  ctx.transfers.answered.delete(name);
  throw new Unreachable("the device that asked is not connected any more");
}

async function done(ctx: Context, rep: Replica, message: live.Message): Promise<void> {
  const fits = (one: Answered): boolean => one.given !== undefined && b64e(one.given.digest) === message.body["give"];
  const found = [...ctx.transfers.answered.values()].find(fits);
  if (found?.given === undefined) throw new Replay("an answer nobody waits for");
  live.checkDone(found.given, message, now(ctx));
  const { pair } = found.given;
  drop(ctx, b64e(pair.ask));
  const who = await nameOf(ctx, rep, pair.asker);
  ctx.store.tell([{ event: "KeyGiven", sph: rep.sph, name: b64e(pair.ask), id: pair.asker.id, who, ns: pair.ns }]);
}

// --- both sides --------------------------------------------------------------------------------------------------------

/** The pair of a transfer and the other side's device, as far as it has come. */
function ends(ctx: Context, name: string): { pair: live.Pair; other: Party; own: boolean } | undefined {
  const asked = ctx.transfers.asked.get(name);
  const pair = asked?.pair ?? ctx.transfers.answered.get(name)?.pair;
  if (pair === undefined) return undefined;
  const own = asked !== undefined;
  return { pair, other: own ? pair.provider : pair.asker, own };
}

function drop(ctx: Context, name: string): void {
  ctx.transfers.asked.delete(name);
  ctx.transfers.answered.delete(name);
  channel.close(ctx, name);
}

/** Tell the other side, as far as that is possible (LIVE-009). */
async function sayEnd(ctx: Context, pair: live.Pair, to: Party, why: live.Why): Promise<void> {
  const ending = { sph: pair.sph, me: me(ctx), to, asked: pair.ask, why, now: now(ctx) };
  try {
    await ctx.relay.passOn([to.dv], await live.end(ending, signer(ctx), ctx.rng));
  } catch (error) {
    if (!(error instanceof RelayError) && !(error instanceof Unreachable)) throw error;
  }
}

/** End a transfer from either side (LIVE-009): different digits, or no. Nothing is given any more. */
export async function end(ctx: Context, name: string, why: live.Why): Promise<void> {
  const found = ends(ctx, name);
  drop(ctx, name);
  if (found === undefined) return;
  const { pair, other, own } = found;
  try {
    await sayEnd(ctx, pair, other, why);
  } finally {
    ctx.store.tell([{ event: "TransferEnded", sph: pair.sph, name, why, own }]);
  }
}

async function ended(ctx: Context, message: live.Message): Promise<void> {
  const name = message.body["ask"] as string;
  const found = ends(ctx, name);
  if (found === undefined) return;
  const { pair, other, own } = found;
  const why = live.checkEnd(message, pair.sph, me(ctx), other, b64d(name));
  const asked = ctx.transfers.asked.get(name);
  if (asked !== undefined && why !== "different") {
    await inVain(ctx, asked, why);
    return;
  }
  if (own) ctx.transfers.vain.add(other.dv);
  drop(ctx, name);
  ctx.store.tell([{ event: "TransferEnded", sph: pair.sph, name, why, own }]);
}

/** A message of a device whose entry may not have come yet: the log is fetched once (LIVE-010). */
async function read(ctx: Context, rep: Replica, compact: string): Promise<live.Message> {
  try {
    return await live.read(compact, known(rep).history);
  } catch (error) {
    if (!(error instanceof KeyUnknown) && !(error instanceof NotMember)) throw error;
    await syncing.sphere(ctx, rep.sph, syncing.tally());
    return live.read(compact, known(rep).history);
  }
}

/** A live message came in over the connection. What does not fit changes nothing (LIVE-001, LIVE-010). */
export function take(ctx: Context, sph: string, compact: string): Promise<void> {
  const turn = ctx.transfers.turn.then(() => taken(ctx, sph, compact));
  ctx.transfers.turn = Promise.allSettled([turn]);
  return turn;
}

async function taken(ctx: Context, sph: string, compact: string): Promise<void> {
  if ((await ctx.store.get("sphere", sph)) === undefined) return;
  const rep = await replica(ctx, sph);
  if (statusOf(rep) !== "active" || rep.history === undefined || !handedOver(rep)) return;
  dropOld(ctx);
  try {
    const message = await read(ctx, rep, compact);
    if (message.k === "ask") await heardAsk(ctx, rep, message);
    else if (message.k === "offer") offered(ctx, message);
    else if (message.k === "open") await opened(ctx, rep, message);
    else if (message.k === "give") await given(ctx, rep, message);
    else if (message.k === "done") await done(ctx, rep, message);
    else if (message.k === "way") channel.met(ctx, message);
    else await ended(ctx, message);
  } catch (error) {
    const passing = [CheckFailed, NotFound, RelayError, Unreachable].some((kind) => error instanceof kind);
    if (!passing) throw error;
  }
}
