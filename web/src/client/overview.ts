/**
 * What an open profile shows at once: its spheres, the inbox, who is in a sphere, who asks for something.
 *
 * Apart from `sphere.ts`, which is loaded when something is done in a sphere. Spec: CLT-011, CLT-018, CLT-023, CLT-041,
 * CLT-053.
 */

import { CheckFailed, RelayError, Unreachable, part } from "../errors.ts";
import { type Policy, ascending, epochNumber } from "../protocol/state.ts";
import * as commits from "./commits.ts";
import { type Context, replica } from "./context.ts";
import * as joining from "./joining.ts";
import { writer } from "./locks.ts";
import * as memory from "./memory.ts";
import * as persons from "./people.ts";
import type { Invitation, KeyWish, Pending, Person, Request, Row, SphereInfo, SphereStatus, Switch } from "./records.ts";
import { type Note, type Replica, known, sendingKey, statusOf, stopOf } from "./replica.ts";
import * as syncing from "./syncing.ts";
import * as timeline from "./timeline.ts";

const PRESENT = ["active", "asked"];
/** What the names of invitations begin with, in the table `todo`. */
export const INVITED = "invited/";

// spheres --------------------------------------------------------------------------------------------------------------

/** A note that is a text; "" without one. */
export const said = (note: Note, name: string): string => (typeof note[name] === "string" ? note[name] : "");

/** The record of a sphere, from the local store. */
export async function info(ctx: Context, rep: Replica): Promise<SphereInfo> {
  const { sph, state, note } = rep;
  const [waiting, requests, unread, onlyHere, saved] = await Promise.all([
    ctx.store.count("outbox", { prefix: [sph] }, "sph"),
    ctx.store.count("request", { prefix: [sph, 0] }, "sph"),
    timeline.unread(ctx.store, sph), memory.onlyHere(ctx, sph), memory.savedKey(ctx, sph),
  ]);
  return {
    sph, title: said(note, "title") || note.label || sph.slice(0, 9), topic: said(note, "topic"), icon: said(note, "icon"),
    status: (note.status === "entering" ? "asked" : note.status) as SphereStatus,
    mode: (state?.mode ?? "e2ee") as SphereInfo["mode"], delivery: state?.delivery ?? "pairwise",
    custody: state?.custody ?? "synced",
    epoch: state === undefined ? 0 : epochNumber(state),
    haveKey: state !== undefined && (state.mode !== "e2ee" || sendingKey(rep) !== undefined),
    members: state?.memberCount ?? 0, role: state?.members.get(ctx.id)?.role ?? "none", unread, waiting, requests,
    seq: state?.seq ?? 0, marked: state?.hard ?? false, confirmedByInviter: note.confirmed, stop: stopOf(rep),
    label: note.label, provisional: note["provisional"] === true, switched: note["switched"] as Switch | undefined,
    onlyHere, saved, kind: state?.kind ?? "sphere", org: state?.org ?? "", kemMin: state?.policy.kem_min ?? "xwing",
    tooWeak: note.status === "entering" && state !== undefined && syncing.tooWeak(ctx, state),
  };
}

/** Spheres of this device, by title; with `past` also those left. */
export async function spheres(ctx: Context, past = false): Promise<SphereInfo[]> {
  const notes = await ctx.store.list<Note>("sphere");
  const rows = await Promise.all(notes.map(async ([sph]) => info(ctx, await replica(ctx, String(sph)))));
  return rows
    .filter((one) => past || PRESENT.includes(one.status))
    .sort((one, other) => ascending(one.title.toLowerCase(), other.title.toLowerCase()) || ascending(one.sph, other.sph));
}

/** Throws NotFound. */
export async function sphere(ctx: Context, sph: string): Promise<SphereInfo> {
  return info(ctx, await replica(ctx, sph));
}

/** Unread of all spheres with their newest lines, the most recent first. */
export async function inboxList(ctx: Context, limit: number): Promise<{ sphere: SphereInfo; rows: readonly Row[] }[]> {
  const unread = (await spheres(ctx)).filter((one) => one.unread > 0);
  const found = await Promise.all(unread.map(async (one) => ({
    sphere: one, rows: (await timeline.rows(ctx, one.sph, { limit: Math.min(limit, one.unread) })).rows,
  })));
  const last = (rows: readonly Row[]): number =>
    Math.max(0, ...rows.map((one) => (one.row === "message" ? one.message.at : one.row === "notice" ? one.notice.at : 0)));
  return found.sort((one, other) => last(other.rows) - last(one.rows));
}

/** The signed policy in force. */
export async function policy(ctx: Context, sph: string): Promise<Policy> {
  return { ...known(await replica(ctx, sph)).state.policy };
}

// people ---------------------------------------------------------------------------------------------------------------

/** Members (with `past` also former ones), owners first, then by name. */
export async function people(ctx: Context, sph: string, past = false): Promise<Person[]> {
  return persons.people(ctx.store, known(await replica(ctx, sph)).state, ctx.id, past);
}

export function pending(ctx: Context): Promise<Pending[]> {
  return joining.pending(ctx);
}

/**
 * Join requests waiting for an answer, each already checked (`byLink` or `code`), of one sphere or of all.
 *
 * Fetched from the relay; offline those known are returned.
 */
export async function requests(ctx: Context, sph?: string): Promise<Request[]> {
  if (sph !== undefined) return requestsOf(ctx, sph);
  const found: Request[] = [];
  for (const one of await syncing.active(ctx)) {
    try {
      found.push(...(await requestsOf(ctx, one)));
    } catch (error) {
      // A sphere that is stopped or refused says so itself and hides nothing of the others.
      if (!(error instanceof CheckFailed || error instanceof RelayError)) throw error;
      found.push(...(await joining.requests(ctx, await replica(ctx, one))));
    }
  }
  return found.sort((one, other) => one.at - other.at || ascending(one.hash, other.hash));
}

async function requestsOf(ctx: Context, sph: string): Promise<Request[]> {
  const rep = await replica(ctx, sph);
  if (rep.state === undefined || statusOf(rep) !== "active") return [];
  try {
    return await writer(ctx, sph, async () => {
      await commits.settleAll(ctx, await replica(ctx, sph));
      return joining.fetchRequests(ctx, await replica(ctx, sph));
    });
  } catch (error) {
    if (!(error instanceof Unreachable)) throw error;
    return joining.requests(ctx, await replica(ctx, sph));
  }
}

/** Members who ask for older keys than the policy gives, and wait for this person's yes (CLT-041). */
export async function wishes(ctx: Context, sph: string): Promise<KeyWish[]> {
  const rep = await replica(ctx, sph);
  // Without one the part that answers them is not needed.
  return rep.note["wishes"] === undefined ? [] : (await part(import("./older.ts"))).wishes(ctx, rep);
}

/** Invitations that were sent to this account and are not answered yet, oldest first (CLT-053). */
export async function invitations(ctx: Context): Promise<Invitation[]> {
  const some = await ctx.store.list("todo", { prefix: INVITED, limit: 1 });
  return some.length === 0 ? [] : (await part(import("./invited.ts"))).waiting(ctx);
}
