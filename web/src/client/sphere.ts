/**
 * One sphere: everything a member can do in it, as plain functions over the context.
 *
 * All state is in the store. Whatever writes does so as the sphere's only writer on this device. What is said in it
 * stands in `speaking.ts`, who is in it in `membership.ts`, its keys in `keeping.ts`, what is shown of all of them in
 * `overview.ts`. Loaded when the first act is done. Spec: CLT-011 to CLT-024.
 */

import { Conflict, NotFound, RelayError, Unreachable, UsageError } from "../errors.ts";
import { headCode as headCodeOf } from "../protocol/digits.ts";
import { b64e } from "../protocol/encoding.ts";
import * as entries from "../protocol/entry.ts";
import { decode as decodeEnvelope } from "../protocol/jws.ts";
import { checkPolicy } from "../protocol/roles.ts";
import type { Policy } from "../protocol/state.ts";
import { type Intent, POLICY } from "../sphere/intents.ts";
import * as invitation from "../sphere/invitation.ts";
import type { Text } from "../sphere/meta.ts";
import * as announce from "./announce.ts";
import { MODES } from "./announce.ts";
import type { NewSphere } from "./api.ts";
import * as commits from "./commits.ts";
import { type Context, now, replica } from "./context.ts";
import * as delivery from "./delivery.ts";
import * as holders from "./holders.ts";
import { writer } from "./locks.ts";
import { change } from "./membership.ts";
import * as memory from "./memory.ts";
import type { EntryRow } from "./notices.ts";
import * as inbox from "./inbox.ts";
import * as organisation from "./organisation.ts";
import * as outbox from "./outbox.ts";
import { said, sphere } from "./overview.ts";
import { type Names, namesOf } from "./people.ts";
import type { LogLine, SeenRow, SphereInfo } from "./records.ts";
import { type Replica, known, saveNote, statusOf, stopOf } from "./replica.ts";
import * as stops from "./stops.ts";
import { type Table, setMeta as setValue } from "./store.ts";
import * as syncing from "./syncing.ts";
import * as timeline from "./timeline.ts";

export * from "./keeping.ts";
export * from "./membership.ts";
export * from "./overview.ts";
export * from "./speaking.ts";

/** Entries of the own log that go into evidence when no common position is known. */
const MAX_PAST = 10_000;
const MAX_HEADS = 256;
type Mode = SphereInfo["mode"];

// making, settings, leaving --------------------------------------------------------------------------------------------

/** Create a sphere with this account as owner. Throws UsageError, Unreachable (finished at the next sync). */
export async function createSphere(
  ctx: Context,
  title: string,
  options: NewSphere = {},
): Promise<SphereInfo> {
  const { mode = "e2ee", delivery = "pairwise", topic = "", policy: changes = {} } = options;
  const custody = delivery === "live" ? "device" : (options.custody ?? "synced"); // live: no key stays at the relay
  if (custody === "device") {
    await syncing.once(ctx); // a second device may be new
    await memory.requireSecondCopy(ctx);
  }
  const policy: Policy = { ...POLICY, ...changes };
  checkPolicy(policy);
  const { kind = "sphere", org = "" } = options;
  const orgKey = org === "" ? undefined : await organisation.requireKey(ctx, org);
  const { ik, certs } = await memory.identity(ctx);
  const draft = await commits.composed(undefined, undefined, commits.author(ctx), [
    {
      op: "create", name: ctx.login, ik, cert: certs[0]!, mode, delivery, custody, policy, renew: await memory.renewed(ctx),
      rotations: await memory.rotations(ctx), kind, ...(org !== "" && { org }),
    },
    { op: "meta", text: { title, topic, icon: "" } },
  ], { now: now(ctx), rng: ctx.rng, orgKey });
  const { sph } = await commits.create(ctx, draft);
  await afterKey(ctx, sph);
  return sphere(ctx, sph);
}

/** Slots and state after a new key; what cannot be done now is done at the next sync. */
async function afterKey(ctx: Context, sph: string): Promise<void> {
  try {
    await writer(ctx, sph, () => syncing.storeSlots(ctx, sph));
    await syncing.account(ctx, syncing.tally());
  } catch (error) {
    if (!(error instanceof RelayError || error instanceof Unreachable)) throw error;
  }
}

/**
 * Change title, topic or icon; what is not named stays, of what is sealed nothing where this one is in clear. Throws
 * Conflict when the sphere became weaker than this person has seen: nothing is published then (CLT-042).
 */
export async function setMeta(ctx: Context, sph: string, changes: Partial<Text>): Promise<void> {
  const seen = MODES[announce.seenMode(await replica(ctx, sph))]!;
  await writer(ctx, sph, async () => outbox.organisationFirst(ctx, await replica(ctx, sph)));
  const first = await replica(ctx, sph);
  // The organisation's new key lies in the inbox.
  if (known(first).state.org !== "" && (await organisation.key(ctx, first)) === undefined) await inbox.pull(ctx);
  await change(ctx, sph, async (rep): Promise<Intent[]> => {
    const { mode } = known(rep).state;
    if (MODES[mode]! < seen) throw new Conflict("encryption was turned off meanwhile");
    const late: Intent[] = mode === "e2ee" && (await organisation.behind(ctx, rep)) ? [{ op: "epoch" }] : [];
    return [{ op: "meta", text: { ...staying(rep), ...changes } }, ...late];
  });
}

/** Title, topic and icon as they stand, for the parts that a new text leaves out: never a sealed part in clear. */
function staying(rep: Replica): Text {
  const { state } = known(rep);
  const kept = state.mode === "e2ee" || (state.meta !== undefined && !("ct" in state.meta.body));
  const part = (name: string): string => (kept ? said(rep.note, name) : "");
  return { title: part("title"), topic: part("topic"), icon: part("icon") };
}

/**
 * Owner only: turn encryption on or off (CLT-042). What was sealed stays sealed, the title too: `title` is one for everybody
 * to read, the server as well. `seen`: the mode this person was shown, without it the one this device shows now. Throws
 * Conflict when the sphere has a stronger one meanwhile, which this would weaken.
 */
export async function setMode(ctx: Context, sph: string, mode: Mode, title?: string, seen?: Mode): Promise<void> {
  const shown = MODES[seen ?? announce.seenMode(await replica(ctx, sph))]!;
  await change(ctx, sph, (rep): Intent[] => {
    const { mode: present } = known(rep).state;
    if (present === mode) return [];
    const weaker = MODES[mode]! < MODES[present]!;
    if (weaker && shown < MODES[present]!) throw new Conflict("encryption was turned on meanwhile");
    const clear: Intent[] = title === undefined || mode === "e2ee" ? [] : [{ op: "meta", text: { title, topic: "", icon: "" } }];
    return [{ op: "mode", mode }, ...clear];
  });
  await acceptMode(ctx, sph, mode); // whoever switches knows
}

/**
 * The person has seen that the sphere is in `mode`: new texts go unasked, unless it is in a weaker one by now. Texts that
 * wait from before keep their question (CLT-016).
 */
export async function acceptMode(ctx: Context, sph: string, mode: Mode): Promise<void> {
  await writer(ctx, sph, () => ctx.store.step(async (tx) => {
    const rep = await replica(ctx, sph, tx);
    if (announce.accept(rep, mode)) saveNote(tx, rep);
  }));
}

/**
 * The link by which anybody reads a public sphere (INV-004), pinned to the entry that made it public. No secret. Throws
 * UsageError for a sphere that is not public.
 */
export async function publicLink(ctx: Context, sph: string): Promise<string> {
  const { state, history } = known(await replica(ctx, sph));
  if (state.mode !== "public") throw new UsageError("only public spheres are read by a link");
  const pin = history.digest(state.modeAt).slice(0, 16);
  const [none, { origin }] = [new Uint8Array(), ctx.relay];
  return invitation.emit({ kind: "public", origin, sph, jti: none, seed: none, seq: state.modeAt, pin, label: "" });
}

/** Change policy members: join, history, retention, plaintext, guests, T, kem_min. Throws FormatError. */
export async function setPolicy(ctx: Context, sph: string, changes: Readonly<Record<string, unknown>>): Promise<void> {
  await change(ctx, sph, (rep): Intent[] => {
    const old = known(rep).state.policy;
    const policy: Policy = { ...old, ...changes };
    checkPolicy(policy);
    const same = (Object.keys(policy) as (keyof Policy)[]).every((name) => policy[name] === old[name]);
    return same ? [] : [{ op: "policy", policy }];
  });
}

/** Leave; the others rotate before they speak again. */
export async function leave(ctx: Context, sph: string): Promise<void> {
  await change(ctx, sph, (rep): Intent[] => (statusOf(rep) === "active" ? [{ op: "leave" }] : []));
}

const OF_SPHERE: readonly Table[] = [
  "entry", "digests", "attach", "epochKey", "chain", "notice", "words", "draft",
];
const BY_INDEX: readonly (readonly [Table, string])[] = [
  ["message", "name"], ["outbox", "sph"], ["pledge", "sph"], ["request", "sph"],
];

/** Delete everything of this sphere from this device (only after leaving or being removed). */
export async function forget(ctx: Context, sph: string): Promise<void> {
  await writer(ctx, sph, async () => {
    if (statusOf(await replica(ctx, sph)) === "active") throw new UsageError("leave the sphere first");
    await ctx.store.step(async (tx) => {
      for (const table of OF_SPHERE) for (const [key] of await tx.list(table, { prefix: [sph] })) tx.drop(table, key);
      for (const [table, index] of BY_INDEX) {
        for (const [key] of await tx.by(table, index, { prefix: [sph] })) tx.drop(table, key);
      }
      for (const table of ["view", "sphere", "cursor"] as const) tx.drop(table, sph);
      for (const name of ["own", "read", "unread"]) tx.drop("meta", `${name}/${sph}`);
      for (const [key] of await tx.list("meta", { prefix: `nick/${sph}/` })) tx.drop("meta", key);
      setValue(tx, "stateDirty", true);
    });
    ctx.replicas.delete(sph);
  });
}

// history and evidence --------------------------------------------------------------------------------------------------

/** Signed entries from the local, verified log. `what` is the operation, for the page's words. */
export async function log(ctx: Context, sph: string, start: number, limit: number): Promise<LogLine[]> {
  const { state, history } = known(await replica(ctx, sph));
  const names: Names = namesOf(ctx.store, state);
  const rows = await ctx.store.list<EntryRow>("entry", { from: [sph, start], to: [sph, start + limit - 1] });
  return Promise.all(rows.map(async ([, row]) => {
    const one = entries.decode(row.jws);
    const by = history.ownerOf(one.kid);
    const op = one.op === "device" ? `device ${String(one.body["act"])}` : one.op;
    const { seq, kid: dv, iat: at, body } = one;
    return { seq, op, by, name: await names(by), dv, at, digest: b64e(one.digest), body, what: op };
  }));
}

/** 30 digits of the log's head, to compare with another member. */
export async function headCode(ctx: Context, sph: string): Promise<string> {
  const { history } = known(await replica(ctx, sph));
  return headCodeOf(history.digest(history.seq));
}

/** Sign a checkpoint of the present state, with the ends of all chains, so that a dropped end shows; its seq. */
export async function checkpoint(ctx: Context, sph: string): Promise<number> {
  const tails = await ctx.relay.heads(sph);
  const heads = tails.slice(0, MAX_HEADS).map(({ dv, seq, h }) => [dv, seq, h] as const);
  await change(ctx, sph, () => [{ op: "checkpoint", heads }]);
  return known(await replica(ctx, sph)).state.seq;
}

/** The relay's row for a message (without `mid`: the newest), fetched, not guessed. Throws NotFound. */
export async function seen(ctx: Context, sph: string, mid?: string): Promise<SeenRow> {
  await replica(ctx, sph);
  const last = { prefix: [sph], reverse: true, limit: 1 };
  const newest = (await ctx.store.by<{ mid: string; pos: number }>("message", "pos", last))[0];
  const wanted = mid ?? newest?.[1].mid;
  const state = (await replica(ctx, sph)).state;
  const youSee = wanted === undefined ? undefined : await timeline.one(ctx.store, sph, wanted, ctx.id, state);
  const pos = mid === undefined ? (newest?.[1].pos ?? 0) : (youSee?.pos ?? 0);
  if (pos === 0) throw new NotFound("the server has nothing of this yet");
  const stored = await ctx.relay.seen(sph, pos);
  const header = stored.kind === "entry" || stored.jws === "" ? {} : decodeEnvelope(stored.jws, "sph-msg+1").header;
  return { pos, stored: stored.jws, header, size: stored.size, digest: stored.h, youSee };
}

/**
 * Exportable proof for the present stop, checkable without this client, with shares that held a wrong key (CLT-017), which
 * are kept without a stop too. Throws NotFound when there is neither.
 */
export async function evidence(ctx: Context, sph: string): Promise<Record<string, unknown>> {
  const rep = await replica(ctx, sph);
  const stop = stopOf(rep);
  const shares = await holders.wrongShares(ctx, rep);
  if (stop === undefined && shares.length === 0) throw new NotFound("nothing is stopped here, and nobody sent a wrong key");
  const found = (stop?.data["evidence"] ?? {}) as { common?: number; attach?: Record<string, string> };
  const past = await ctx.store.list<EntryRow>("entry", { from: [sph, 0], to: [sph, found.common ?? MAX_PAST] });
  const attached = await ctx.store.list<string | { jws: string }>("attach", { prefix: [sph] });
  const attach = attached.map(([key, row]) => [(key as readonly [string, string])[1], typeof row === "string" ? row : row.jws]);
  return {
    v: 1, kind: "cloister-evidence", sph, shares,
    code: stop?.code ?? "C_KC_MISMATCH", detail: stop?.detail ?? "", at: stop?.at ?? now(ctx),
    past: past.map(([, row]) => row.jws), ...found, attach: { ...Object.fromEntries(attach), ...found.attach },
  };
}

/** Lift an acknowledgeable stop (C_KEY_CHANGED: carry on as not confirmed; C_DOWNGRADE: seen). */
export async function acknowledge(ctx: Context, sph: string, code: string): Promise<void> {
  await writer(ctx, sph, async () => stops.acknowledge(ctx, await replica(ctx, sph), code));
  delivery.wake(ctx, sph);
}
