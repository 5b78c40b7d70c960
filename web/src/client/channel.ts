/**
 * A data channel beside the relay: another carrier for the give and the done of a live transfer, where both are browsers of
 * one local network. Nothing depends on it: what has no effect within a few seconds goes to the relay as well.
 *
 * What comes over it is judged where everything is judged (`take` of `live_transfer.ts`, handed in as `hear`).
 * Spec: LIVE-015 to LIVE-018.
 */

import { CheckFailed, NotFound, RelayError, Replay, Unreachable } from "../errors.ts";
import { b64e } from "../protocol/encoding.ts";
import { decode } from "../protocol/jws.ts";
import * as live from "../sphere/live.ts";
import type { Party } from "../sphere/share.ts";
import { background } from "./background.ts";
import { type Context, now, signer } from "./context.ts";
import type { Pipe, Way } from "./pipe.ts";
import type { Answered, Asked } from "./transfers.ts";

/** Seconds for the page to say where it can be met; for the channel to open; until what went over it goes to the relay. */
const MADE = 1.5;
const OPENED = 3;
const ANSWERED = 3;
/** What is said over a channel at all (LIVE-018). */
const CARRIED: ReadonlySet<unknown> = new Set(["give", "done"]);

type Hear = (sph: string, jws: string) => Promise<void>;

/** The pipe of one transfer; `digest` is H(SI) of this side's way, `other` whom it was sent to. */
export interface Channel {
  readonly pipe: Pipe;
  readonly sph: string;
  readonly other: Party;
  readonly digest: Uint8Array;
  readonly exp: number;
  met: boolean;
  /** Whether a give came over it. */
  carried: boolean;
}

const me = (ctx: Context): Party => ({ id: ctx.id, dv: ctx.dv });

/** End the channel of a transfer, where there is one (LIVE-017). */
export function close(ctx: Context, name: string): void {
  ctx.transfers.channels.get(name)?.pipe.close();
  ctx.transfers.channels.delete(name);
}

function over(ctx: Context, name: string, pipe: Pipe): void {
  pipe.close();
  if (ctx.transfers.channels.get(name)?.pipe === pipe) ctx.transfers.channels.delete(name);
}

/** Wait for `work`, but not longer; undefined when the time is over. Throws Locked when the profile is closed. */
async function within<T>(ctx: Context, work: Promise<T>, seconds: number): Promise<T | undefined> {
  return Promise.race([work, ctx.pause(seconds).then(() => undefined)]);
}

interface Making {
  readonly name: string;
  readonly sph: string;
  readonly to: Party;
  readonly after: Uint8Array;
  readonly exp: number;
  readonly other: Way | undefined;
}

/** Have the page make a pipe, and tell the other side where it can be met. Undefined where that is not to be. */
async function make(ctx: Context, { name, sph, to, after, exp, other }: Making, hear: Hear): Promise<Channel | undefined> {
  close(ctx, name);
  if (ctx.pipes === undefined) return undefined;
  let channel: Channel | undefined;
  const making = ctx.pipes(other, (text) => {
    if (channel !== undefined) background(heard(channel, text, hear));
  });
  const pipe = await within(ctx, making, MADE);
  if (pipe === undefined) {
    background(making.then((late) => late?.close()));
    return undefined;
  }
  const jws = await live.way({ sph, me: me(ctx), to, after, where: pipe.way, now: now(ctx) }, signer(ctx), ctx.rng);
  channel = { pipe, sph, other: to, digest: decode(jws, live.TYP).digest, exp, met: other !== undefined, carried: false };
  ctx.transfers.channels.set(name, channel);
  // Locking ends it as well: the wait throws then.
  background(within(ctx, pipe.closed, live.SECONDS).finally(() => over(ctx, name, pipe)));
  try {
    if ((await ctx.relay.passOn([to.dv], jws)) > 0) return channel;
  } catch (error) {
    if (!(error instanceof RelayError) && !(error instanceof Unreachable)) throw error;
  }
  close(ctx, name);
  return undefined;
}

async function heard(channel: Channel, text: string, hear: Hear): Promise<void> {
  let k: unknown;
  try {
    ({ k } = decode(text, live.TYP).body);
  } catch (error) {
    if (error instanceof CheckFailed) return;
    throw error;
  }
  if (!CARRIED.has(k)) return;
  channel.carried ||= k === "give";
  await hear(channel.sph, text);
}

// --- the side that asks ------------------------------------------------------------------------------------------------

/** Say where this browser can be met, before an offer is opened (LIVE-017). */
export async function call(ctx: Context, { asking }: Asked, offered: live.Message, hear: Hear): Promise<void> {
  const { sph, digest, exp } = asking;
  await make(ctx, { name: b64e(digest), sph, to: offered.sender, after: offered.digest, exp, other: undefined }, hear);
}

/** Send a `done` the way the give came (LIVE-017). */
export async function answer(ctx: Context, pair: live.Pair, jws: string): Promise<void> {
  const name = b64e(pair.ask);
  const channel = ctx.transfers.channels.get(name);
  const relay = (): Promise<number> => ctx.relay.passOn([pair.provider.dv], jws);
  if (channel?.carried !== true) {
    close(ctx, name);
    await relay();
    return;
  }
  channel.pipe.send(jws);
  // Whoever gave closes the channel once it knows.
  const known = within(ctx, channel.pipe.closed.then(() => true), ANSWERED);
  background(known.then((yes) => (yes === true ? 0 : relay())).finally(() => close(ctx, name)));
}

// --- the side that gives -----------------------------------------------------------------------------------------------

/**
 * Send a give: over the channel where the other side can be met and it opens in time, else by the relay (LIVE-017). False
 * when the relay reached nobody. Throws NotFound when the transfer was ended meanwhile: then nothing is given (LIVE-009).
 */
export async function carry(ctx: Context, answered: Answered, pair: live.Pair, jws: string, hear: Hear): Promise<boolean> {
  const { way } = answered;
  const relay = async (): Promise<boolean> => (await ctx.relay.passOn([pair.asker.dv], jws)) > 0;
  if (way === undefined) return relay();
  const name = b64e(pair.ask);
  const { sph, asker: to, exp } = pair;
  const channel = await make(ctx, { name, sph, to, after: way.digest, exp, other: way.where }, hear);
  const opened = channel !== undefined && (await within(ctx, channel.pipe.open, OPENED)) === true;
  if (ctx.transfers.answered.get(name) !== answered) {
    close(ctx, name);
    throw new NotFound("this transfer is over: they can ask again");
  }
  if (!opened) {
    close(ctx, name);
    return relay();
  }
  channel.pipe.send(jws);
  background(ctx.pause(ANSWERED).then(() => (ctx.transfers.answered.get(name) === answered ? relay() : false)));
  return true;
}

// --- both sides --------------------------------------------------------------------------------------------------------

/** Where the other side can be met: kept until something is given, or, as an answer, handed to the page (LIVE-017). */
export function met(ctx: Context, message: live.Message): void {
  const { channels, answered } = ctx.transfers;
  const after = message.body["after"];
  const called = [...channels.values()].find((one) => b64e(one.digest) === after);
  if (called !== undefined && !called.met) {
    const { sph, other, digest, exp, pipe } = called;
    const way = live.checkWay(message, { sph, me: me(ctx), other, after: digest, exp, now: now(ctx) });
    called.met = true;
    pipe.meet(way);
    return;
  }
  const found = [...answered.values()].find(({ offering }) => b64e(offering.digest) === after);
  if (found === undefined || found.way !== undefined) throw new Replay("nobody waits to be met");
  const { sph, asker: other, digest, exp } = found.offering;
  const where = live.checkWay(message, { sph, me: me(ctx), other, after: digest, exp, now: now(ctx) });
  found.way = { where, digest: message.digest };
}
