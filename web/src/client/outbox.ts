/**
 * The outbox: what was written is on disk first, sealed when it can go, and asked about when it would go weaker.
 *
 * An item keeps what its author saw when composing: the mode, who could read, whether everybody was confirmed. Sealing
 * happens at send time under the key that runs then. If the sphere has become readable to more than the author knew (a
 * weaker mode, a confirmed person changed), the item is held for an answer. Per chain one message is in flight; a refused
 * one is sealed again with the same seq and cid and a higher `try` (MSG-006). Order per sphere is kept. A member in a
 * marked sphere makes the new key and speaks in one commit. Sending is called as the sphere's writer.
 *
 * Spec: CLT-014 to CLT-016.
 */

import {
  BadFormat, Busy, CloisterError, Conflict, DeviceRetired, DiskTrouble, Forbidden, FormatError, KeyUnknown, Locked,
  LogRollback, NotMember, StaleEpoch, StaleHead, TooLarge, Unreachable, UsageError,
} from "../errors.ts";
import { MAX_HEADER, TYPS } from "../protocol/jws.ts";
import { type SphereState, epochNumber } from "../protocol/state.ts";
import type { Words } from "../sphere/compose.ts";
import { isOld } from "../sphere/epoch.ts";
import type { Intent } from "../sphere/intents.ts";
import * as messages from "../sphere/message.ts";
import { paddedLength } from "../sphere/padding.ts";
import * as payloads from "../sphere/payload.ts";
import type { Payload } from "../sphere/payload.ts";
import * as claims from "./claims.ts";
import * as commits from "./commits.ts";
import { type Context, now, replica, signer } from "./context.ts";
import * as inbox from "./inbox.ts";
import * as intake from "./intake.ts";
import type { MessageRow } from "./intake.ts";
import * as keys from "./keys.ts";
import { writer } from "./locks.ts";
import * as organisation from "./organisation.ts";
import * as questions from "./questions.ts";
import * as queue from "./queue.ts";
import type { OutboxRow } from "./queue.ts";
import { type Replica, known, sendingKey, statusOf } from "./replica.ts";
import * as stops from "./stops.ts";
import { type Reader, meta } from "./store.ts";

const MAX_TRIES = 8;
/** Padded bytes that always fit into an envelope: base64url, the longest header, tag and signature taken off (MSG-002). */
const MAX_BODY = Math.floor(((TYPS.get("sph-msg+1")!.limit - MAX_HEADER - 100) * 3) / 4) - 16;

/** Queue a payload durably. Throws TooLarge for one that no message can hold. */
export async function put(ctx: Context, rep: Replica, payload: Payload): Promise<OutboxRow> {
  let size: number;
  try {
    size = paddedLength(payloads.encode(payload).length);
  } catch (error) {
    if (error instanceof FormatError) throw new TooLarge("no message can say this");
    throw error;
  }
  if (size > MAX_BODY) throw new TooLarge("one message cannot hold this");
  return ctx.store.step(async (tx) => {
    const row: OutboxRow = {
      id: payload.cid, n: await tx.number("outbox"), sph: rep.sph, state: "waiting", ...partsOf(payload), at: now(ctx),
      seen: await questions.surroundings(tx, ctx.id, rep), question: "", asked: [], code: "", claims: [], jws: "", tries: 0,
    };
    queue.update(tx, row);
    return row;
  });
}

type Parts = Pick<OutboxRow, "kind" | "text" | "re" | "on" | "about" | "openly">;

function partsOf(payload: Payload): Parts {
  const re = "re" in payload ? payload.re : "";
  const bare = { kind: payload.k, text: "", re, on: true, about: "", openly: payload.pt === true };
  switch (payload.k) {
    case "react": return { ...bare, text: payload.e, on: payload.on };
    case "sys": return { ...bare, text: payload.v, about: payload.s };
    case "delete": return bare;
    default: return { ...bare, text: payload.t };
  }
}

/** The payload an item was composed as; its cid is the item's id for ever. */
function payloadOf(row: OutboxRow, state: SphereState): Payload {
  const { id: cid, kind, text, re, on } = row;
  const base: { cid: string; pt?: true } = row.openly && state.mode === "e2ee" ? { cid, pt: true } : { cid };
  switch (kind) {
    case "comment": case "edit": return { ...base, k: kind, t: text, re };
    case "delete": return { ...base, k: "delete", re };
    case "react": return { ...base, k: "react", re, e: text, on };
    case "sys": return { ...base, k: "sys", s: "nick", v: text };
    default: return { ...base, k: "msg", t: text };
  }
}

/**
 * Put an item back in the queue; `anyway` names the question that a held one's author has answered with yes. A yes is good
 * for what it names and for nothing that came up since: that is judged, and asked, anew (CLT-016). Throws UsageError for a
 * held item and no yes, and for a question that does not exist.
 */
export async function retry(ctx: Context, id: string, anyway: string): Promise<void> {
  const { sph } = await queue.find(ctx.store, id);
  const rep = await replica(ctx, sph);
  await ctx.store.step(async (tx) => {
    const row = await queue.find(tx, id);
    if (row.state === "held" && anyway === "") throw new UsageError("this item asks a question first");
    const fresh: OutboxRow = { ...row, state: row.jws === "" ? "waiting" : "sealed", code: "" };
    queue.update(tx, row.state === "held" ? questions.answered(rep, fresh, anyway, tx) : fresh);
  });
}

/** Delete an item. Throws UsageError when it was sealed: it may be on its way. */
export async function drop(ctx: Context, id: string): Promise<void> {
  await ctx.store.step(async (tx) => {
    const row = await queue.find(tx, id);
    const pledged = (await commits.pledges(tx, row.sph)).some((one) => one.out === id);
    if (row.state === "sealed" || pledged) throw new UsageError("this message may be on its way already");
    queue.forget(tx, row);
  });
}

// sending --------------------------------------------------------------------------------------------------------------

/** Whether the running key is old enough for a new one: time since it began, or messages read under it (EPO-010). */
export function softMark(ctx: Context, rep: Replica): boolean {
  const { state } = known(rep);
  if (state.mode !== "e2ee" || state.epoch === undefined) return false;
  const began = (rep.note["began"] as Record<string, number> | undefined)?.[String(state.epoch.n)] ?? state.epoch.iat;
  const at = Math.max(now(ctx), began + heldFor(ctx, rep, state.epoch.n));
  return isOld(began, at, state.policy.T, (rep.note["count"] as number | undefined) ?? 0);
}

/** Seconds since this device first saw the running epoch, by its own clock: no relay's time can put that off. */
function heldFor(ctx: Context, rep: Replica, n: number): number {
  const seen = rep.note["beganHere"] as { n: number; at: number } | undefined;
  return seen?.n === n ? Math.max(0, Math.floor(ctx.clock()) - seen.at) : 0;
}

/** The running key is not here, was asked for, and nobody answered: this device makes a new one (CLT-017). */
function keyGivenUp(ctx: Context, rep: Replica): boolean {
  const asked = (rep.note["asked"] as Record<string, { first: number }> | undefined)?.[String(epochNumber(known(rep).state))];
  return sendingKey(rep) === undefined && asked !== undefined && now(ctx) - asked.first >= keys.ASK_AGAIN;
}

/** Whether whoever speaks next makes a new key first. */
async function wantsKey(ctx: Context, rep: Replica): Promise<boolean> {
  const { state } = known(rep);
  if (state.mode !== "e2ee") return false;
  return state.hard || softMark(ctx, rep) || keyGivenUp(ctx, rep) || organisation.behind(ctx, rep);
}

/**
 * Send what waits in a sphere, in order; how many items were accepted.
 *
 * Trouble with an item is written on the item and ends the round; what is about the profile (DeviceRetired, DiskTrouble,
 * Locked) is thrown.
 */
export async function flush(ctx: Context, sph: string): Promise<number> {
  for (let sent = 0; ; sent += 1) {
    const next = await queue.next(ctx.store, sph);
    if (next?.state === "held") await askAnew(ctx, next);
    if (next === undefined || next.state === "held") return sent;
    try {
      if (!(await sendOne(ctx, sph, next.id))) return sent;
    } catch (error) {
      const about = error instanceof CloisterError && ![DeviceRetired, DiskTrouble, Locked].some((kind) => error instanceof kind);
      if (!about) throw error;
      await trouble(ctx, next.id, error);
      return sent;
    }
  }
}

/** Write on an item why it did not go. Final refusals keep the text as `failed`. */
async function trouble(ctx: Context, id: string, error: CloisterError): Promise<void> {
  await ctx.store.step(async (tx) => {
    const row = await queue.get(tx, id);
    if (row === undefined) return;
    const gone = (error instanceof Forbidden || error instanceof NotMember) && row.jws === "";
    const final = error instanceof BadFormat || error instanceof TooLarge || gone;
    const { code, retryAfter: patience } = error;
    queue.update(tx, { ...row, code, patience, state: final ? "failed" : row.jws === "" ? "waiting" : "sealed" });
  });
}

/** One item to the relay. False when it stays (held, dropped meanwhile, or nothing can be done now). */
async function sendOne(ctx: Context, sph: string, id: string, depth = 0): Promise<boolean> {
  if (depth > MAX_TRIES) throw new Busy("the relay keeps refusing", { retryAfter: 2 });
  await requireAlone(ctx);
  let rep = await replica(ctx, sph);
  stops.requireNone(rep);
  if (statusOf(rep) !== "active") throw new NotMember("you are not in this sphere");
  if ((await commits.pledges(ctx.store, sph)).some((one) => one.out === id)) await commits.settleAll(ctx, rep);
  let row = await queue.get(ctx.store, id);
  if (row === undefined) return true;
  if (row.jws !== "") {
    // Sealed earlier, outcome unknown: look whether the relay has it; if not, it is judged and sealed anew.
    await commits.fetch(ctx, await replica(ctx, sph));
    if (await settle(ctx, sph, id)) return true;
  }
  // Nothing is sealed for a state that is not known to hold.
  if (!ctx.relay.reached) await commits.fetch(ctx, await replica(ctx, sph));
  await catchUp(ctx, await replica(ctx, sph), row);
  rep = await replica(ctx, sph);
  await requireAlone(ctx);
  stops.requireNone(rep);
  row = await queue.get(ctx.store, id);
  if (row === undefined) return true;
  const asks = await questions.question(ctx, rep, row);
  if (asks !== "") {
    await hold(ctx, rep, id, asks);
    return false;
  }
  if (!questions.allowed(rep, row)) throw new Forbidden("no message in clear is allowed here any more");
  await organisationFirst(ctx, rep);
  const { state } = known(rep);
  if (await wantsKey(ctx, rep)) {
    if (state.members.get(ctx.id)!.role !== "guest") return rotateAndSpeak(ctx, rep, id, depth);
    if (state.hard || (await organisation.behind(ctx, rep))) throw new StaleEpoch("waiting for a new key");
  }
  if (state.mode === "e2ee" && sendingKey(rep) === undefined) {
    await keys.heal(ctx, rep);
    throw new KeyUnknown(`epoch ${epochNumber(state)}`);
  }
  const compact = await seal(ctx, rep, id);
  return compact === undefined || inFlight(ctx, rep, id, compact, depth);
}

/** An organisation's log is read before one of its spheres is spoken in, and a key that it owes is made (CLT-062). */
export async function organisationFirst(ctx: Context, rep: Replica): Promise<void> {
  const held = await organisation.of(ctx, rep);
  const due = (found: Replica): boolean => {
    const { state } = known(found);
    return state.mode === "e2ee" && (state.hard || keyGivenUp(ctx, found) || organisation.doubted(found, rep));
  };
  if (held === undefined || statusOf(held) !== "active") return;
  await writer(ctx, held.sph, () => commits.settleAll(ctx, held)).catch((error: unknown) => {
    throw error instanceof Forbidden ? new KeyUnknown("the organisation's log is refused") : error;
  });
  const org = await replica(ctx, held.sph);
  if (!due(org)) return;
  if (known(org).state.members.get(ctx.id)!.role === "guest") throw new StaleEpoch("waiting for a new key of the organisation");
  const make = (found: Replica): Intent[] => (due(found) ? [{ op: "epoch" }] : []);
  const made = await writer(ctx, org.sph, () => commits.commit(ctx, org, make));
  if (made && organisation.doubted(await replica(ctx, org.sph), rep)) await organisation.answered(ctx, rep);
}

/** Throw DeviceRetired once a copy of this device has spoken (CLT-014). */
async function requireAlone(ctx: Context): Promise<void> {
  if ((await meta(ctx.store, "retired")) !== undefined) throw new DeviceRetired("a copy of this device has spoken");
}

/** Before sealing: a position named beyond the own log is fetched, then whoever names it is asked (CLT-015). */
async function catchUp(ctx: Context, rep: Replica, row: OutboxRow): Promise<void> {
  if (!claims.gap(ctx, rep, row.claims)) return;
  await commits.fetch(ctx, rep);
  const held = await replica(ctx, rep.sph);
  await inbox.askHeads(ctx, held);
  if (claims.gap(ctx, held, row.claims)) throw new StaleHead("a member has seen an entry that the relay does not show here");
}

/** A held item gets the question that is to be answered now, when it is another one (CLT-016). */
async function askAnew(ctx: Context, row: OutboxRow): Promise<void> {
  const rep = await replica(ctx, row.sph);
  const asks = await questions.question(ctx, rep, row);
  if (asks !== "" && asks !== row.question) await hold(ctx, rep, row.id, asks);
}

async function hold(ctx: Context, rep: Replica, id: string, asks: string): Promise<void> {
  await ctx.store.step(async (tx) => {
    const row = await queue.get(tx, id);
    if (row === undefined) return;
    const held = questions.held(rep, row, asks);
    queue.update(tx, held);
    tx.events.push({ event: "ItemHeld", sph: row.sph, item: queue.record(held) });
  });
}

/**
 * Seal an item for the present head and write that down before anybody sees it (CLT-014). Nothing when it was dropped
 * or taken back into the queue meanwhile.
 */
async function seal(ctx: Context, rep: Replica, id: string): Promise<string | undefined> {
  return ctx.store.step(async (tx) => {
    const row = await queue.get(tx, id);
    if (row === undefined) return undefined;
    const { state } = known(rep);
    const { seq, digest: ph } = commits.tip(await intake.ownChain(tx, rep.sph, ctx.dv));
    const payload = payloadOf(row, state);
    const place = { seq: seq + 1, ph, ls: state.seq, lh: state.digest, ep: epochNumber(state), tries: row.tries };
    const key = state.mode === "e2ee" && payload.pt !== true ? sendingKey(rep) : undefined;
    const speaker = { sph: rep.sph, dv: ctx.dv, signer: signer(ctx) };
    const compact = await messages.seal(payload, place, speaker, Math.max(now(ctx), state.iat), ctx.rng, key);
    await commits.sealed(tx, rep.sph, compact);
    queue.update(tx, { ...row, state: "sealed", jws: compact, tries: row.tries + 1 });
    return compact;
  });
}

/** A sealed envelope to the relay: over the live connection when it stands (STR-014); its position. */
async function post(ctx: Context, sph: string, compact: string): Promise<number> {
  if (ctx.line !== undefined) {
    try {
      return await ctx.line.send(compact);
    } catch (error) {
      // The line broke: whether the relay has it is not known, and the same bytes again change nothing (STR-008).
      if (!(error instanceof Unreachable)) throw error;
    }
  }
  return ctx.relay.send(sph, compact);
}

/** Send a sealed item; when the relay says stale, catch up and seal it again at the same place (MSG-006). */
async function inFlight(ctx: Context, rep: Replica, id: string, compact: string, depth: number): Promise<boolean> {
  const { sph } = rep;
  let pos: number | undefined;
  try {
    pos = await post(ctx, sph, compact);
  } catch (error) {
    if (error instanceof StaleEpoch || error instanceof StaleHead) await commits.fetch(ctx, rep);
    else if (error instanceof Conflict) await conflict(ctx, rep, id, error);
    else throw error;
  }
  if (pos !== undefined) {
    const at = pos;
    const held = await replica(ctx, sph);
    await ctx.store.step(async (tx) => {
      await intake.takeNow(ctx, held, [[at, compact]], tx);
      await queue.done(ctx, held, id, compact, tx);
    });
    return true;
  }
  return (await settle(ctx, sph, id)) || sendOne(ctx, sph, id, depth + 1);
}

/** Whether these words stand in the verified own chain (the answer was lost); else the seal is broken. */
async function settle(ctx: Context, sph: string, id: string): Promise<boolean> {
  const rep = await replica(ctx, sph);
  return ctx.store.step(async (tx) => {
    const found = await arrived(tx, ctx.dv, sph, id);
    if (found !== undefined) {
      await queue.done(ctx, rep, id, found, tx);
      return true;
    }
    const row = await queue.get(tx, id);
    if (row !== undefined) queue.update(tx, { ...row, state: "waiting", jws: "" });
    return row === undefined;
  });
}

/** The envelope by which these words (cid) stand in the own chain. */
async function arrived(from: Reader, dv: string, sph: string, cid: string): Promise<string | undefined> {
  const found = await from.by<MessageRow>("message", "cid", { prefix: [sph, cid] });
  return found.map(([, row]) => row).find((one) => one.dv === dv && one.state === "sent")?.jws;
}

/** The relay's end of the own chain is not the one the message builds on (CLT-014). */
async function conflict(ctx: Context, rep: Replica, id: string, error: Conflict): Promise<void> {
  await commits.fetch(ctx, rep);
  await requireAlone(ctx);
  if ((await arrived(ctx.store, ctx.dv, rep.sph, id)) !== undefined) return;
  const { seq: held } = commits.tip(await intake.ownChain(ctx.store, rep.sph, ctx.dv));
  const seq = Number(error.data["seq"] ?? 0);
  if (seq < held) throw new LogRollback("the relay has lost messages of this device that it had accepted");
  if (seq > held) {
    await ctx.store.step(async (tx) => tx.put("meta", "retired", { sph: rep.sph, seq }));
    throw new DeviceRetired("a copy of this device has spoken");
  }
}

/** An item as the message of a commit. */
export async function wordsOf(ctx: Context, rep: Replica, row: OutboxRow): Promise<Words> {
  const head = commits.tip(await intake.ownChain(ctx.store, rep.sph, ctx.dv));
  return { payload: payloadOf(row, known(rep).state), chain: head.seq > 0 ? head : undefined, tries: row.tries };
}

/** New key and message in one commit (COM-011). If somebody else made the key meanwhile, speak under it. */
async function rotateAndSpeak(ctx: Context, rep: Replica, id: string, depth: number): Promise<boolean> {
  const words = async (held: Replica): Promise<Words | undefined> => {
    const row = await queue.get(ctx.store, id);
    if (row === undefined || !questions.allowed(held, row) || !(await wantsKey(ctx, held))) return undefined;
    if ((await questions.question(ctx, held, row)) !== "") return undefined;
    return wordsOf(ctx, held, row);
  };
  const make = async (held: Replica): Promise<Intent[]> => ((await words(held)) === undefined ? [] : [{ op: "epoch" }]);
  await commits.commit(ctx, rep, make, { words, out: id });
  const done = await ctx.store.step(async (tx) => {
    const row = await queue.get(tx, id);
    if (row !== undefined) queue.update(tx, { ...row, state: "waiting", tries: row.tries + 1 });
    return row === undefined;
  });
  return done || sendOne(ctx, rep.sph, id, depth + 1);
}
