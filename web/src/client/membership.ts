/**
 * Who is in a sphere and who comes in: roles, names, digits, invitations, answers to requests.
 *
 * Whatever changes the log does so as the sphere's only writer on this device. Spec: CLT-012, CLT-018, CLT-022, CLT-023.
 */

import { NotFound, RelayError, Unreachable, UsageError } from "../errors.ts";
import { safetyNumber as safetyNumberOf } from "../protocol/digits.ts";
import { b64d, b64e, textBytes } from "../protocol/encoding.ts";
import { rank } from "../protocol/roles.ts";
import { isMember } from "../protocol/state.ts";
import type { Intent } from "../sphere/intents.ts";
import * as invitation from "../sphere/invitation.ts";
import * as commits from "./commits.ts";
import { type Context, now, replica } from "./context.ts";
import * as delivery from "./delivery.ts";
import * as invited from "./invited.ts";
import * as joining from "./joining.ts";
import * as links from "./links.ts";
import { writer } from "./locks.ts";
import * as memory from "./memory.ts";
import * as persons from "./people.ts";
import type { InviteInfo, InviteLink, Pending, Person } from "./records.ts";
import { type Replica, known } from "./replica.ts";
import { meta, setMeta } from "./store.ts";
import * as syncing from "./syncing.ts";

const MAX_LABEL = 64;

/** An own invitation's secret, kept with the account's state. */
interface Kept {
  sph: string;
  seed: string;
  exp: number;
  /** The one person it was made for (CLT-053). */
  for?: string;
}

/** Commit intents as the only writer, then store new keys in slots. */
export function change(ctx: Context, sph: string, make: commits.Make): Promise<boolean> {
  return writer(ctx, sph, async () => {
    const done = await commits.commit(ctx, await replica(ctx, sph), make);
    await syncing.storeSlots(ctx, sph);
    return done;
  });
}

// people ---------------------------------------------------------------------------------------------------------------

/** One member or former member. Throws NotFound. */
export async function person(ctx: Context, sph: string, id: string): Promise<Person> {
  const { state } = known(await replica(ctx, sph));
  const member = state.members.get(id);
  if (member === undefined) throw new NotFound("nobody here has that name");
  return persons.person(ctx.store, state, member, ctx.id);
}

/** Change a role: owner, admin, member, guest. */
export async function setRole(ctx: Context, sph: string, id: string, role: string): Promise<void> {
  await person(ctx, sph, id);
  await change(ctx, sph, (rep): Intent[] =>
    known(rep).state.members.get(id)?.role === role ? [] : [{ op: "role", id, role }]);
}

/** Remove and make a new key in one commit. */
export async function removePerson(ctx: Context, sph: string, id: string, ban: boolean): Promise<void> {
  await person(ctx, sph, id);
  await change(ctx, sph, (rep): Intent[] => {
    const here = known(rep).state.members.get(id);
    return here !== undefined && isMember(here) ? [{ op: "remove", id, ban }] : [];
  });
  delivery.wake(ctx, sph);
}

/** Name a person for yourself; empty removes the petname. */
export async function setPetname(ctx: Context, sph: string, id: string, petname: string): Promise<void> {
  await person(ctx, sph, id);
  await ctx.store.step((tx) => persons.putPin(tx, id, { petname: persons.clean(petname) }));
}

/** 60 digits, groups of five, equal on both sides. */
export async function safetyNumber(ctx: Context, sph: string, id: string): Promise<string> {
  await person(ctx, sph, id);
  return safetyNumberOf(ctx.id, id);
}

/** Record that the safety number was compared (kept in the synced state). */
export async function confirm(ctx: Context, sph: string, id: string, confirmed: boolean): Promise<void> {
  await person(ctx, sph, id);
  const more = confirmed ? { changed: false, was: false } : {};
  await ctx.store.step((tx) => persons.putPin(tx, id, { confirmed, ...more }));
}

// invitations ----------------------------------------------------------------------------------------------------------

/**
 * Commit an invite entry and return its link. Needs the relay: Unreachable.
 *
 * `to` is the handle of somebody of another sphere: the link is sent to that person's devices, and that person is admitted
 * when asking by it (CLT-053). Throws NotFound, UsageError.
 */
export async function invite(
  ctx: Context,
  sph: string,
  options: { uses: number; seconds: number; role: string; admit: "ask" | "auto"; to?: string },
): Promise<InviteLink> {
  const { uses, seconds, role, admit, to } = options;
  if (rank(role) < 0 || role === "owner") throw new UsageError("a link can make admins, members and guests");
  if (to !== undefined) await invited.whom(ctx, sph, to);
  const [raw, seed, exp] = [ctx.rng(16), ctx.rng(32), now(ctx) + seconds];
  const jti = b64e(raw);
  const { ipk } = invitation.keyPair(seed, sph, raw);
  await ctx.store.step(async (tx) => {
    const kept = await meta<Record<string, Kept>>(tx, "invites", {});
    setMeta(tx, "invites", { ...kept, [jti]: { sph, seed: b64e(seed), exp, ...(to !== undefined && { for: to }) } });
    setMeta(tx, "stateDirty", true);
  });
  await change(ctx, sph, () => [{ op: "invite", jti, ipk, exp, role, uses, admit }]);
  const url = linkOf(ctx, await replica(ctx, sph), jti, seed);
  if (to !== undefined) await invited.send(ctx, invitation.parse(url), to);
  return { url, sph, jti, uses, exp, role, admit };
}

/** A label that fits: the title in the form of names, cut at whole characters. */
function labelOf(rep: Replica): string {
  let shown = [...persons.clean(String(rep.note["title"] ?? ""))];
  while (textBytes(shown.join("")).length > MAX_LABEL) shown = shown.slice(0, -1);
  return shown.join("").trim();
}

function linkOf(ctx: Context, rep: Replica, jti: string, seed: Uint8Array<ArrayBuffer>): string {
  const { state, history } = known(rep);
  const { seq } = state.invites.get(jti)!;
  const pin = history.digest(seq).slice(0, 16);
  return invitation.emit({
    kind: "invite", origin: ctx.relay.origin, sph: rep.sph, jti: b64d(jti), seed, seq, pin, label: labelOf(rep),
  });
}

/** The link of an open invitation made by this account. Throws NotFound. */
export async function link(ctx: Context, sph: string, jti: string): Promise<string> {
  const mine = (await meta<Record<string, Kept>>(ctx.store, "invites", {}))[jti];
  const rep = await replica(ctx, sph);
  if (mine === undefined || !known(rep).state.invites.has(jti)) throw new NotFound("this account did not make that invitation");
  return linkOf(ctx, rep, jti, b64d(mine.seed));
}

/** Open invitations. */
export async function invites(ctx: Context, sph: string): Promise<InviteInfo[]> {
  const mine = await meta<Record<string, Kept>>(ctx.store, "invites", {});
  const at = now(ctx);
  const open = [...known(await replica(ctx, sph)).state.invites.values()].filter((one) => one.left > 0 && at <= one.exp);
  return open.sort((one, other) => one.seq - other.seq).map((one) => ({
    jti: one.jti, by: one.by, role: one.role, usesLeft: one.left, exp: one.exp, admit: one.admit, mine: one.jti in mine,
  }));
}

/** Close an invitation. Throws NotFound. */
export async function withdraw(ctx: Context, sph: string, jti: string): Promise<void> {
  if (!(await invites(ctx, sph)).some((one) => one.jti === jti)) throw new NotFound("no such open invitation");
  await change(ctx, sph, (rep): Intent[] =>
    (known(rep).state.invites.get(jti)?.left ?? 0) > 0 ? [{ op: "revoke-invite", jti }] : []);
}

// coming in ------------------------------------------------------------------------------------------------------------

/** Ask to join by an invitation link, however it was pasted. Throws Forbidden when it is closed, UsageError. */
export async function join(ctx: Context, text: string): Promise<Pending> {
  const h = await joining.ask(ctx, links.parseLink(ctx.relay.origin, text));
  const found = (await joining.pending(ctx)).find((one) => one.hash === h);
  if (found === undefined) throw new NotFound("the request was taken back");
  return found;
}

/** Ask to join by an invitation that somebody sent (CLT-053). Throws NotFound, Forbidden when it is closed. */
export async function acceptInvitation(ctx: Context, id: string): Promise<Pending> {
  const h = await invited.accept(ctx, id);
  return (await joining.pending(ctx)).find((one) => one.hash === h)!;
}

export function cancelJoin(ctx: Context, hash: string): Promise<void> {
  return joining.cancel(ctx, hash);
}

// letting in -----------------------------------------------------------------------------------------------------------

/** Admit. Without a link's proof `confirmed` must be true, else UsageError and no key leaves (CLT-018). */
export async function admit(
  ctx: Context,
  sph: string,
  hash: string,
  options: { confirmed: boolean; role: string },
): Promise<Person> {
  const asked = await writer(ctx, sph, async () => {
    const found = await joining.admit(ctx, sph, hash, options);
    await syncing.storeSlots(ctx, sph);
    return found;
  });
  if (options.confirmed && !asked.byLink) await confirm(ctx, sph, asked.id, true);
  return person(ctx, sph, asked.id);
}

/** Post the approver card so that both sides can compare; the 60 digits. Nothing is admitted by it. */
export async function showCard(ctx: Context, sph: string, hash: string): Promise<string> {
  const found = (await joining.requests(ctx, await replica(ctx, sph))).find((one) => one.hash === hash);
  if (found === undefined) throw new NotFound("no such request");
  const { ik, certs } = await memory.identity(ctx);
  try {
    await ctx.relay.showCard(sph, hash, { ik: { ...ik }, cert: certs[0]! });
  } catch (error) {
    // The digits are true without it; only the other side does not see them yet.
    if (!(error instanceof RelayError || error instanceof Unreachable)) throw error;
  }
  return found.safety;
}

/** Refuse a request. */
export async function decline(ctx: Context, sph: string, hash: string): Promise<void> {
  await ctx.relay.declineJoin(sph, hash);
  await ctx.store.step(async (tx) => {
    if ((await tx.get<{ mine: number }>("request", hash))?.mine === 0) tx.drop("request", hash);
  });
}
