/**
 * Coming in and letting in.
 *
 * Asking: the request is on disk before it is sent; on admission the log must be the one the link was made in, and the
 * welcome must come from the inviter or stays marked as not yet confirmed (INV-005, INV-006). Letting in: each request
 * is checked here, under the invitation's key when it names one; without that proof nobody is admitted, and no key
 * leaves, unless the caller says that the digits were compared. Spec: CLT-018.
 */

import {
  CheckFailed, Forbidden, LogFork, LogRollback, NotFound, RelayError, Unreachable, UsageError,
} from "../errors.ts";
import { safetyNumber } from "../protocol/digits.ts";
import { b64e } from "../protocol/encoding.ts";
import { type Jwk, thumbprint } from "../protocol/ids.ts";
import * as joins from "../protocol/join.ts";
import { decode as decodeEnvelope } from "../protocol/jws.ts";
import { KEMS, rank } from "../protocol/roles.ts";
import { type Invite, type SphereState, ascending, isMember } from "../protocol/state.ts";
import type { Intent } from "../sphere/intents.ts";
import type { Link } from "../sphere/invitation.ts";
import * as commits from "./commits.ts";
import { type Context, now, replica } from "./context.ts";
import * as enrol from "./enrol.ts";
import * as keys from "./keys.ts";
import { writer } from "./locks.ts";
import * as logbook from "./logbook.ts";
import * as memory from "./memory.ts";
import * as organisation from "./organisation.ts";
import type { Pin } from "./people.ts";
import type { Pending, Request } from "./records.ts";
import { type Note, type Replica, known, newNote, saveNote } from "./replica.ts";
import * as stops from "./stops.ts";
import { type Reader, type Tx, meta, setMeta } from "./store.ts";

const TYP = "sph-join+1";

/** A row of the table `request`: an own one on its way (`mine` 1), or somebody's that waits at the relay (0). */
export interface Own {
  readonly sph: string;
  readonly mine: 1;
  readonly jws: string;
  readonly at: number;
  readonly state: Pending["state"];
  readonly label: string;
  /** Of the link, base64url; empty without one. */
  readonly jti: string;
  readonly seq: number;
  readonly pin: string;
  readonly sent: boolean;
  readonly safety?: string;
}

interface Foreign {
  readonly sph: string;
  readonly mine: 0;
  readonly jws: string;
}

// asking ---------------------------------------------------------------------------------------------------------------

/** Ask to join; the request's hash. Throws Forbidden when the invitation is not open any more. */
export async function ask(ctx: Context, link: Link): Promise<string> {
  if (link.kind === "invite" && !(await ctx.relay.inviteOpen(link.sph, b64e(link.jti)))) {
    throw new Forbidden("the invitation is closed");
  }
  await memory.refreshKlog(ctx);
  const { ik, certs } = await memory.identity(ctx);
  const compact = await enrol.joinRequest(ctx.keys, {
    name: ctx.login, ik, certs, link, now: now(ctx), rng: ctx.rng, renew: await memory.renewed(ctx),
    rotations: await memory.rotations(ctx),
  });
  const h = await ctx.store.step(async (tx) => enrol.rememberJoin(tx, compact, link));
  await send(ctx, h);
  return h;
}

async function send(ctx: Context, h: string): Promise<void> {
  const row = await ctx.store.get<Own>("request", h);
  if (row === undefined) return;
  await ctx.relay.askToJoin(row.jws);
  await ctx.store.step((tx) => change(tx, h, { sent: true }));
}

/** Change an own request, unless it was taken back meanwhile. */
async function change(tx: Tx, h: string, changes: Partial<Own>): Promise<void> {
  const row = await tx.get<Own>("request", h);
  if (row !== undefined) tx.put("request", h, { ...row, ...changes });
}

async function ownRows(from: Reader): Promise<[string, Own][]> {
  return (await from.by<Own>("request", "mine", { prefix: [1] })).map(([h, row]) => [String(h), row]);
}

/** Own requests, oldest first. */
export async function pending(ctx: Context): Promise<Pending[]> {
  const rows = await ownRows(ctx.store);
  rows.sort(([h, one], [other, two]) => one.at - two.at || ascending(h, other));
  return rows.map(([hash, { sph, label, state, safety = "" }]) => ({ hash, sph, label, state, safety }));
}

/** Take a request back. */
export async function cancel(ctx: Context, hash: string): Promise<void> {
  await ctx.relay.withdrawJoin(hash);
  await ctx.store.step(async (tx) => {
    if ((await tx.get<Own | Foreign>("request", hash))?.mine === 1) tx.drop("request", hash);
  });
}

/** Send what was not sent, and see what became of own requests; gives the codes of those that failed. */
export async function poll(ctx: Context): Promise<string[]> {
  const faults: string[] = [];
  for (const [h, row] of await ownRows(ctx.store)) {
    if (row.state !== "asked") continue;
    let answer;
    try {
      if (!row.sent) await send(ctx, h);
      answer = await ctx.relay.joinState(h);
    } catch (error) {
      if (error instanceof Forbidden) continue;
      throw error;
    }
    const changes: { state?: Pending["state"]; safety?: string } = {};
    if (answer.card !== undefined) changes.safety = safetyNumber(ctx.id, cardOwner(answer.card.cert));
    if (answer.state === "refused" || answer.state === "withdrawn") changes.state = "declined";
    else if (answer.state === "waiting" && expiry(row.jws) < now(ctx)) changes.state = "expired";
    await ctx.store.step((tx) => change(tx, h, changes));
    if (answer.state !== "admitted") continue;
    try {
      await enter(ctx, h);
    } catch (error) {
      if (error instanceof Forbidden) continue; // removed again before this was read
      if (!(error instanceof CheckFailed)) throw error;
      faults.push(error.code);
    }
  }
  return faults;
}

const expiry = (compact: string): number => decodeEnvelope(compact, TYP).body["exp"] as number;

/** The handle an approver's card claims; comparing the digits is what proves it (DIG-002). */
const cardOwner = (cert: string): string => decodeEnvelope(cert, "sph-dev+1").body["id"] as string;

/** The relay says we were admitted: believe the log only (INV-005, INV-006). */
export async function enter(ctx: Context, h: string): Promise<void> {
  const row = await ctx.store.get<Own>("request", h);
  if (row === undefined) return;
  const { sph } = row;
  await writer(ctx, sph, async () => {
    const note = await ctx.store.get<Note>("sphere", sph);
    const gone = note?.status === "left" || note?.status === "removed";
    if (note === undefined || (gone && row.state !== "admitted")) {
      await ctx.store.step(async (tx) => {
        tx.put("sphere", sph, { ...(note ?? newNote("asked")), status: "asked", label: row.label });
      });
      ctx.replicas.delete(sph);
    }
    await logbook.pull(ctx, await replica(ctx, sph));
    const rep = await replica(ctx, sph);
    const me = known(rep).state.members.get(ctx.id);
    if (me === undefined || !isMember(me)) return;
    await checkLink(ctx, rep, row);
    await ctx.store.step(async (tx) => {
      await settle(rep, h, row, tx);
      await keys.readMeta(ctx, rep, tx);
      tx.events.push({ event: "Admitted", sph, title: String(rep.note["title"] ?? "") || row.label });
    });
  });
}

async function checkLink(ctx: Context, rep: Replica, row: Own): Promise<void> {
  const { history } = known(rep);
  if (row.pin === "") return;
  let error: CheckFailed;
  if (row.seq > history.seq) error = new LogRollback("the log shown ends before this invitation was made");
  else if (b64e(history.digest(row.seq).slice(0, 16)) !== row.pin) {
    error = new LogFork("the log is not the one this link was made in", { data: { seq: row.seq } });
  } else return;
  await ctx.store.step(async (tx) => {
    rep.note.status = "asked";
    saveNote(tx, rep);
  });
  await stops.note(ctx, rep.sph, error, { link: { seq: row.seq, pin: row.pin } });
  throw error;
}

async function settle(rep: Replica, h: string, row: Own, tx: Tx): Promise<void> {
  rep.note.status = "active";
  const invite = known(rep).state.invites.get(row.jti);
  if (invite !== undefined && row.pin !== "") {
    rep.note["inviter"] = invite.by;
    rep.note.confirmed = false;
    const pin = await tx.get<Pin>("pin", invite.by);
    if (pin !== undefined && !pin.link) tx.put("pin", invite.by, { ...pin, link: true });
  }
  saveNote(tx, rep);
  await change(tx, h, { state: "admitted" });
  setMeta(tx, "stateDirty", true);
}

// letting in -----------------------------------------------------------------------------------------------------------

/** Whether an account may add members now (roles.json). */
function adds(state: SphereState, who: string): boolean {
  const role = state.members.get(who)?.role ?? "none";
  return role === "owner" || role === "admin" || (role === "member" && state.policy.join === "any");
}

/** Requests waiting at the relay, each checked; new ones are told as events. */
export async function fetchRequests(ctx: Context, rep: Replica): Promise<Request[]> {
  const { sph } = rep;
  if (!adds(known(rep).state, ctx.id)) return [];
  let rows;
  try {
    rows = await ctx.relay.joins(sph);
  } catch (error) {
    if (error instanceof Forbidden) return [];
    throw error;
  }
  return ctx.store.step(async (tx) => {
    const before = new Set((await foreign(tx, sph)).map(([h]) => h));
    const shown = new Set(rows.map((one) => one.h));
    for (const h of before) if (!shown.has(h)) tx.drop("request", h);
    for (const { h, jws } of rows) {
      const held = before.has(h) || (await tx.get("request", h)) !== undefined;
      if (!held) tx.put("request", h, { sph, mine: 0, jws } satisfies Foreign);
    }
    const found = await requests(ctx, rep, tx);
    for (const request of found) if (!before.has(request.hash)) tx.events.push({ event: "JoinRequested", sph, request });
    return found;
  });
}

async function foreign(from: Reader, sph: string): Promise<[string, Foreign][]> {
  return (await from.by<Foreign>("request", "sph", { prefix: [sph, 0] })).map(([h, row]) => [String(h), row]);
}

/** Requests as last fetched, judged now (JOIN-002 to JOIN-008). */
export async function requests(ctx: Context, rep: Replica, from: Reader = ctx.store): Promise<Request[]> {
  const found: Request[] = [];
  for (const [h, row] of await foreign(from, rep.sph)) {
    const one = await judge(ctx, rep, h, row.jws, from);
    if (one !== undefined) found.push(one);
  }
  return found.sort((one, other) => one.at - other.at || ascending(one.hash, other.hash));
}

/** One request, or undefined when it is none for this sphere at all or its author is in already. */
async function judge(
  ctx: Context,
  rep: Replica,
  h: string,
  compact: string,
  from: Reader,
): Promise<Request | undefined> {
  const { state } = known(rep);
  const at = now(ctx);
  const invite = openInvite(state, compact, at);
  let code = "";
  let asked: joins.JoinRequest | undefined;
  try {
    asked = await joins.verify(compact, rep.sph, invite, at);
  } catch (error) {
    if (!(error instanceof CheckFailed)) throw error;
    if (invite === undefined) return undefined;
    code = error.code;
    asked = await unproved(compact, rep.sph, at);
  }
  if (asked === undefined) return undefined;
  const member = state.members.get(asked.id);
  if (asked.digest !== h || (member !== undefined && isMember(member))) return undefined;
  if (asked.jti !== undefined && invite === undefined) code = "C_EXPIRED";
  const gone = await memory.revoked(from);
  // CLT-007: whoever asks holds the key of a device that was taken from its account.
  if ([...asked.kems.keys()].some((dv) => gone.has(dv))) code = "C_NOT_MEMBER";
  const { id, name, byLink, iat, exp } = asked;
  const role = invite !== undefined && byLink ? invite.role : "member";
  const weak = [...asked.kems.values()].some(({ kem }) => KEMS.indexOf(kem) < KEMS.indexOf(state.policy.kem_min));
  return { hash: h, sph: rep.sph, name, id, byLink, role, at: iat, exp, safety: safetyNumber(ctx.id, id), code, weak };
}

/** The request without regard to the invitation it names; undefined when it does not stand by itself either. */
async function unproved(compact: string, sph: string, at: number): Promise<joins.JoinRequest | undefined> {
  try {
    return await joins.verify(compact, sph, undefined, at);
  } catch (error) {
    if (error instanceof CheckFailed) return undefined;
    throw error;
  }
}

function jtiOf(compact: string): string | undefined {
  return decodeEnvelope(compact, TYP).body["jti"] as string | undefined;
}

function openInvite(state: SphereState, compact: string, at: number): Invite | undefined {
  let jti: string | undefined;
  try {
    jti = jtiOf(compact);
  } catch (error) {
    if (error instanceof CheckFailed) return undefined;
    throw error;
  }
  const invite = jti === undefined ? undefined : state.invites.get(jti);
  return invite !== undefined && invite.left > 0 && at <= invite.exp ? invite : undefined;
}

/**
 * Admit the author of request `h` as the sphere's writer; the member's handle (CLT-018).
 *
 * Throws NotFound, UsageError when nothing proves who asks and nobody confirmed it, or a device that asks is revoked.
 */
export async function admit(
  ctx: Context,
  sph: string,
  h: string,
  options: { confirmed: boolean; role: string },
): Promise<Request> {
  await commits.settleAll(ctx, await replica(ctx, sph));
  const rep = await replica(ctx, sph);
  const asked = (await requests(ctx, rep)).find((one) => one.hash === h);
  const row = await ctx.store.get<Foreign>("request", h);
  if (asked === undefined || row === undefined) throw new NotFound("no such request");
  if (!asked.byLink && !options.confirmed) throw new UsageError("nothing proves who asks: compare the digits, then confirm");
  if (asked.code === "C_NOT_MEMBER") {
    throw new UsageError("a device that asks was removed from its account: they ask again from one that was not");
  }
  if (asked.weak === true) throw new UsageError("a device that asks has a weaker receiving key than this sphere allows");
  await organisation.requireMember(ctx, rep, asked.id);
  const jti = asked.byLink ? jtiOf(row.jws) : undefined;
  const role = asked.byLink ? asked.role : options.role;
  await commits.commit(ctx, rep, (held): Intent[] => {
    const member = known(held).state.members.get(asked.id);
    return member !== undefined && isMember(member) ? [] : [{ op: "add", id: asked.id, join: row.jws, role, jti }];
  });
  return asked;
}

/** Whether this account made the invitation for that very person, who asks under the identity known (CLT-053). */
async function meant(ctx: Context, { jti }: Invite, who: string, compact: string): Promise<boolean> {
  const ik = decodeEnvelope(compact, TYP).body["ik"] as unknown as Jwk;
  const known = (await ctx.store.get<Pin>("pin", who))?.thumb === b64e(thumbprint(ik));
  return known && (await meta<Record<string, { for?: string }>>(ctx.store, "invites", {}))[jti]?.for === who;
}

/**
 * Admit those whose link says so, with the proof it takes (answered by the inviter when making the link), while its
 * author could still admit; else a person looks.
 */
export async function autoAdmit(ctx: Context, sph: string): Promise<number> {
  let rep = await replica(ctx, sph);
  const { state } = known(rep);
  if (rank(state.members.get(ctx.id)?.role ?? "none") < 0 || !adds(state, ctx.id)) return 0;
  let count = 0;
  for (const one of await requests(ctx, rep)) {
    const row = await ctx.store.get<Foreign>("request", one.hash);
    const present = known(rep).state;
    const invite = row === undefined ? undefined : openInvite(present, row.jws, now(ctx));
    if (row === undefined || !one.byLink || invite === undefined || !adds(present, invite.by)) continue;
    if (invite.admit !== "auto" && !(await meant(ctx, invite, one.id, row.jws))) continue;
    try {
      await admit(ctx, sph, one.hash, { confirmed: false, role: "member" });
    } catch (error) {
      const passing = [CheckFailed, RelayError, Unreachable, NotFound, UsageError].some((kind) => error instanceof kind);
      if (passing) continue;
      throw error;
    }
    rep = await replica(ctx, sph);
    count += 1;
  }
  return count;
}
