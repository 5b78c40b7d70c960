/**
 * Letters to this device: key shares, questions, head proofs, a new master key, commits that touch us.
 *
 * Each item is acted on, then the cursor moves, then the relay may delete it. A share whose log position is not here yet
 * is kept and tried again, so no key is lost (CLT-017). A letter that fails its check is dropped: the relay and strangers
 * can write anything. Spec: CLT-008, CLT-017, CLT-020, CLT-030.
 */

import { openMkShare } from "../account/credentials.ts";
import { CheckFailed, Forbidden, NotFound, RelayError, VaultError, part } from "../errors.ts";
import { b64d } from "../protocol/encoding.ts";
import * as entries from "../protocol/entry.ts";
import type { KeyLog } from "../protocol/keylog.ts";
import * as p2p from "../protocol/p2p.ts";
import type { Letter } from "../protocol/p2p.ts";
import type { Device } from "../protocol/state.ts";
import type { EpochKey } from "../sphere/epoch.ts";
import * as claims from "./claims.ts";
import { type Context, now, replica } from "./context.ts";
import * as farewell from "./farewell.ts";
import * as joining from "./joining.ts";
import * as kept from "./kept.ts";
import * as keys from "./keys.ts";
import { writer } from "./locks.ts";
import * as logbook from "./logbook.ts";
import * as memory from "./memory.ts";
import type { Form } from "./relay.ts";
import * as renewing from "./renewing.ts";
import { type Note, type Replica, known, newNote, saveNote } from "./replica.ts";
import { cursor, move } from "./store.ts";

export const STREAM = "inbox";

/** Loaded with the first letter that needs it. */
const resend = (): Promise<typeof import("./resend.ts")> => part(import("./resend.ts"));

/** An item of the inbox, from a page or from the live connection. */
export type Item = Form<"InboxItem">;

/** Work through the inbox; the number of items. */
export async function pull(ctx: Context): Promise<number> {
  await takeKept(ctx);
  for (let count = 0; ; ) {
    const after = await cursor(ctx.store, STREAM);
    const page = await ctx.relay.inbox(after);
    for (const item of page.items) await take(ctx, item);
    count += page.items.filter((one) => one.pos > after).length;
    const upto = await cursor(ctx.store, STREAM);
    if (upto === after) return count;
    await ctx.relay.clearInbox(upto);
    if (upto >= page.head) return count;
  }
}

const passing = (error: unknown): boolean =>
  error instanceof CheckFailed || error instanceof Forbidden || error instanceof NotFound;

/** One item, whatever it is; the cursor moves past it unless it could not be acted on now. */
export async function take(ctx: Context, item: Item): Promise<void> {
  if (item.pos <= (await cursor(ctx.store, STREAM))) return;
  try {
    if (item.k === "commit") await takeCommit(ctx, item);
    else if (item.jws !== undefined && item.jws !== "") await takeLetter(ctx, item.jws);
  } catch (error) {
    if (!passing(error)) throw error;
  }
  await ctx.store.step(async (tx) => move(tx, STREAM, item.pos));
}

/** The replica a letter is about, its log read far enough; a sphere an own device entered is entered here too. */
async function replicaOf(ctx: Context, sph: string): Promise<Replica> {
  const asked = (await ctx.store.by("request", "sph", { prefix: [sph, 1], limit: 1 }))[0];
  const note = await ctx.store.get<Note>("sphere", sph);
  if (asked !== undefined && (note === undefined || ["asked", "left", "removed"].includes(note.status))) {
    await joining.enter(ctx, String(asked[0]));
  } else if (note === undefined) {
    await ctx.store.step(async (tx) => tx.put("sphere", sph, newNote("entering")));
  }
  return replica(ctx, sph);
}

/** Entries of a commit that admitted or removed us: the proof, when the log itself is refused (CLT-030). */
async function takeCommit(ctx: Context, item: Item): Promise<void> {
  await replicaOf(ctx, item.sph);
  await writer(ctx, item.sph, async () => {
    try {
      await logbook.pull(ctx, await replica(ctx, item.sph));
    } catch (error) {
      if (!(error instanceof Forbidden)) throw error;
      await shown(ctx, await replica(ctx, item.sph), item.entries ?? []);
    }
  });
}

async function shown(ctx: Context, rep: Replica, compacts: readonly string[]): Promise<void> {
  if (rep.history === undefined) return;
  const { seq } = rep.history;
  const fresh = compacts.map(entries.decode).filter((one) => one.seq > seq);
  const first = fresh[0];
  if (first === undefined) return;
  await ctx.store.step(async (tx) => {
    if (first.seq > seq + 1) await farewell.take(ctx, rep, fresh, tx);
    else await logbook.takeNow(ctx, rep, fresh, new Map(), tx);
  });
}

/** Act on a letter. */
async function takeLetter(ctx: Context, compact: string): Promise<void> {
  const letter = p2p.decode(compact);
  await replicaOf(ctx, letter.sph);
  if (letter.k === "share") return writer(ctx, letter.sph, () => share(ctx, letter));
  await writer(ctx, letter.sph, async () => {
    const device = await sender(ctx, letter);
    if (device === undefined) return undefined;
    await p2p.verify(letter, device);
    const rep = await replica(ctx, letter.sph);
    switch (letter.k) {
      case "ask": {
        await keys.answer(ctx, rep, letter);
        const { note } = await part(import("./older.ts"));
        return ctx.store.step((tx) => note(ctx, rep, device, { ns: letter.body["ns"] as number[], iat: letter.iat }, tx));
      }
      case "head-ask": return headAsk(ctx, rep, letter);
      case "head-proof": return headProof(ctx, rep, letter);
      case "resend-ask": return void (await (await resend()).answer(ctx, rep, letter));
      case "invite": return (await part(import("./invited.ts"))).take(ctx, letter, device);
      case "resend": return void (await (await resend()).take(ctx, rep, letter));
      case "mk": return device.owner === ctx.id ? takeMk(ctx, letter, await memory.refreshKlog(ctx)) : undefined;
      default: return undefined;
    }
  });
}

/** The active device a letter comes from; the log is read on when it is not known. */
async function sender(ctx: Context, letter: Letter): Promise<Device | undefined> {
  const find = async (): Promise<Device | undefined> => {
    const found = (await replica(ctx, letter.sph)).state?.devices.get(letter.kid);
    return found?.status === "active" ? found : undefined;
  };
  const rep = await replica(ctx, letter.sph);
  if (rep.state === undefined) return undefined;
  const here = await find();
  if (here !== undefined) return here;
  await logbook.pull(ctx, rep);
  return find();
}

/** Keep the key in a share; one that cannot be judged yet is kept itself (CLT-017). */
async function share(ctx: Context, letter: Letter): Promise<void> {
  let rep = await replica(ctx, letter.sph);
  let key = await open(ctx, rep, letter);
  if (key === undefined) {
    try {
      await logbook.pull(ctx, rep);
    } catch (error) {
      if (!(error instanceof RelayError || error instanceof CheckFailed)) throw error;
    }
    rep = await replica(ctx, letter.sph);
    key = await open(ctx, rep, letter);
  }
  if (key === undefined) await kept.put(ctx, letter, reach(rep));
  else await takeShare(ctx, rep, letter, key);
}

const reach = (rep: Replica): number => rep.history?.seq ?? -1;

async function takeShare(ctx: Context, rep: Replica, letter: Letter, key: EpochKey): Promise<void> {
  await ctx.store.step(async (tx) => {
    await keys.keep(ctx, rep, [key], tx);
    if (known(rep).history.ownerOf(letter.kid) === rep.note["inviter"]) rep.note.confirmed = true;
    saveNote(tx, rep);
  });
}

/** The key, undefined while the log does not reach the share's epoch or sender. Throws CheckFailed for a bad share. */
async function open(ctx: Context, rep: Replica, letter: Letter): Promise<EpochKey | undefined> {
  if (rep.history === undefined) return undefined;
  try {
    return await keys.openShare(ctx, rep, letter.envelope.compact);
  } catch (error) {
    if (!(error instanceof CheckFailed)) throw error;
    if (error.code === "C_KEY_UNKNOWN") return undefined;
    await kept.evidence(ctx, letter, error);
    throw error;
  }
}

/**
 * Shares that came before their entry: once more where the log has grown. Each lies where it is until it was taken or has
 * failed its check, and one of a sphere that refuses this device keeps nothing else from being read.
 */
async function takeKept(ctx: Context): Promise<void> {
  for (const [sph, rows] of await kept.bySphere(ctx)) {
    try {
      const rep = await replicaOf(ctx, sph);
      await writer(ctx, sph, () => logbook.pull(ctx, rep));
    } catch (error) {
      if (error instanceof RelayError || error instanceof CheckFailed || error instanceof NotFound) continue;
      throw error;
    }
    await writer(ctx, sph, async () => {
      for (const [name, row] of rows) await again(ctx, await replica(ctx, sph), name, row);
    });
  }
}

async function again(ctx: Context, rep: Replica, name: string, row: kept.Kept): Promise<void> {
  if (row.seq >= reach(rep)) return;
  try {
    const letter = p2p.decode(row.jws);
    const key = await open(ctx, rep, letter);
    if (key === undefined) return await kept.judged(ctx, name, row, reach(rep));
    await takeShare(ctx, rep, letter, key);
  } catch (error) {
    if (!(error instanceof CheckFailed)) throw error;
  }
  await kept.drop(ctx, name);
}

// claims of another history --------------------------------------------------------------------------------------------

/** Show our entries from the position asked for (CLT-020): the log is no secret among members. */
function headAsk(ctx: Context, rep: Replica, letter: Letter): Promise<void> {
  return show(ctx, rep, letter.kid, Number(letter.body["from"]));
}

async function show(ctx: Context, rep: Replica, dv: string, from: number): Promise<void> {
  const { entries: proof, attached } = await logbook.shownFrom(ctx.store, rep.sph, from);
  const members = { from, entries: proof, ...(attached.length > 0 ? { attach: attached } : {}) };
  await ctx.relay.post([dv], await keys.letter(ctx, rep.sph, "head-proof", members));
}

/**
 * An answer to a claim: a second valid history stops the sphere, a difference further back is asked for, anything else
 * settles the claim (CLT-020).
 */
async function headProof(ctx: Context, rep: Replica, letter: Letter): Promise<void> {
  const claim = claims.claimsOf(rep)[letter.kid];
  const { body } = letter;
  const compacts = body["entries"] as string[];
  const attached = (body["attach"] ?? []) as string[];
  if (claim === undefined || claim.answered || !claim.asked || body["from"] !== claim.from) {
    return logbook.judgeUnasked(ctx, rep, Number(body["from"]), compacts, attached);
  }
  const further = await logbook.judgeProof(ctx, rep, claim, compacts, attached);
  const held = await replica(ctx, rep.sph);
  await ctx.store.step(async (tx) => {
    const after = further === undefined
      ? await claims.answered(held, letter.kid, compacts, attached, tx)
      : { ...further, asked: 0 };
    claims.claimsOf(held)[letter.kid] = after;
    saveNote(tx, held);
  });
  await tellFork(ctx, await replica(ctx, rep.sph));
  await askHeads(ctx, await replica(ctx, rep.sph));
}

/**
 * Who has proved a fork shows his side, once, to the devices that stand on the other one (CLT-020). As the sphere's writer.
 */
export async function tellFork(ctx: Context, rep: Replica): Promise<void> {
  const stop = rep.note.stop;
  if (stop?.code !== "C_LOG_FORK") return;
  const { common, theirs = [] } = stop.data["evidence"] as { common?: number; theirs?: string[] };
  if (common === undefined) return;
  const others = theirs.map((one) => entries.decode(one).kid);
  const asked = Object.entries(claims.claimsOf(rep)).filter(([, claim]) => claim.answered && claim.beyond === undefined);
  const told = new Set((stop.data["told"] ?? []) as string[]);
  for (const dv of new Set([...others, ...asked.map(([one]) => one)])) {
    if (told.has(dv) || dv === ctx.dv || known(rep).state.devices.get(dv)?.status !== "active") continue;
    await show(ctx, rep, dv, common + 1);
    told.add(dv);
    await ctx.store.step(async (tx) => {
      rep.note.stop = { ...stop, data: { ...stop.data, told: [...told] } };
      saveNote(tx, rep);
    });
  }
}

/**
 * Ask those who claim another history to show it; once each, and further back where an answer says so. As the sphere's
 * writer.
 */
export async function askHeads(ctx: Context, rep: Replica): Promise<void> {
  const { state, history } = known(rep);
  for (const [dv, claim] of claims.unsettled(rep)) {
    if (claim.asked || state.devices.get(dv)?.status !== "active") continue;
    const high = Math.min(claim.ls, history.seq);
    const wanted = { hi: high, from: Math.max(0, high - logbook.MAX_PROOF / 2), ...claim };
    const body = { from: wanted.from, ls: claim.ls, lh: claim.lh };
    await ctx.relay.post([dv], await keys.letter(ctx, rep.sph, "head-ask", body));
    await ctx.store.step(async (tx) => {
      claims.claimsOf(rep)[dv] = { ...wanted, asked: now(ctx) };
      saveNote(tx, rep);
    });
  }
}

// the own account ------------------------------------------------------------------------------------------------------

/** A newer master key from an own device (SLOT-025): taken only from one the key log lists. Throws CheckFailed. */
export async function takeMk(ctx: Context, letter: Letter, log: KeyLog): Promise<void> {
  const { body, kid } = letter;
  if (!log.devices.has(kid) || body["dvR"] !== ctx.dv) return;
  const ct = b64d(body["ct"] as string);
  const tainted = await memory.planted(ctx);
  for (const own of await renewing.receiving(ctx)) {
    try {
      const fresh = await openMkShare(ctx.id, kid, own, { mkv: Number(body["mkv"]), ct }, ctx.mkv, tainted);
      return await memory.keepMk(ctx, fresh.mk, fresh.mkv, kid);
    } catch (error) {
      if (!(error instanceof VaultError)) throw error;
    }
  }
}
