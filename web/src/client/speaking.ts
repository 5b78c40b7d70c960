/**
 * What a member says in a sphere: everything is an item of the outbox first, durable before it is answered.
 *
 * Whoever asks waits for the store only; delivery goes on by itself. Spec: CLT-014 to CLT-016.
 */

import { NotFound, NotMember, UsageError } from "../errors.ts";
import { b64e } from "../protocol/encoding.ts";
import type { Payload } from "../sphere/payload.ts";
import { type Context, replica } from "./context.ts";
import type { Sent } from "./api.ts";
import * as delivery from "./delivery.ts";
import { writer } from "./locks.ts";
import * as outboxes from "./outbox.ts";
import * as people from "./people.ts";
import * as queue from "./queue.ts";
import type { Message, OutboxItem } from "./records.ts";
import { known, statusOf } from "./replica.ts";
import { type Tx, setMeta } from "./store.ts";
import * as timeline from "./timeline.ts";

async function say(ctx: Context, sph: string, payload: Payload): Promise<OutboxItem> {
  const rep = await replica(ctx, sph);
  if (statusOf(rep) !== "active" || rep.state === undefined) throw new NotMember("you are not in this sphere");
  const row = await outboxes.put(ctx, rep, payload);
  delivery.wake(ctx, sph);
  return queue.record(row);
}

const fresh = (ctx: Context): string => b64e(ctx.rng(16));

/** One message by mid. Throws NotFound. */
export async function message(ctx: Context, sph: string, mid: string): Promise<Message> {
  const found = await timeline.one(ctx.store, sph, mid, ctx.id, (await replica(ctx, sph)).state);
  if (found === undefined) throw new NotFound("no such message here");
  return found;
}

/**
 * Queue a text, or with `re` a comment. `openly` sends this one in clear in an encrypted sphere, if its policy allows that.
 * Throws UsageError.
 */
export async function send(ctx: Context, sph: string, text: string, options: Sent = {}): Promise<OutboxItem> {
  const { state } = await replica(ctx, sph);
  const clear = options.openly === true && state?.mode === "e2ee";
  if (clear && !state.policy.plaintext) throw new UsageError("this sphere allows no open messages");
  const base = { cid: fresh(ctx), t: text, ...(clear ? { pt: true as const } : {}) };
  if (options.re === undefined) return say(ctx, sph, { ...base, k: "msg" });
  const { mid } = await message(ctx, sph, options.re);
  return say(ctx, sph, { ...base, k: "comment", re: mid });
}

/** Replace the text of an own message. Throws UsageError for somebody else's. */
export async function edit(ctx: Context, sph: string, mid: string, text: string): Promise<OutboxItem> {
  if (!(await message(ctx, sph, mid)).mine) throw new UsageError("only its author can change a message");
  return say(ctx, sph, { cid: fresh(ctx), k: "edit", t: text, re: mid });
}

/** Delete a message: own ones, or any as owner or admin. Throws UsageError otherwise. */
export async function remove(ctx: Context, sph: string, mid: string): Promise<OutboxItem> {
  const { mine } = await message(ctx, sph, mid);
  const role = known(await replica(ctx, sph)).state.members.get(ctx.id)?.role;
  if (!mine && role !== "owner" && role !== "admin") {
    throw new UsageError("only its author, an owner or an admin can delete a message");
  }
  return say(ctx, sph, { cid: fresh(ctx), k: "delete", re: mid });
}

/** Add or take back a reaction. */
export async function react(ctx: Context, sph: string, mid: string, emoji: string, on: boolean): Promise<OutboxItem> {
  await message(ctx, sph, mid);
  return say(ctx, sph, { cid: fresh(ctx), k: "react", re: mid, e: emoji, on });
}

/** Tell the members what to call you (an encrypted message, not a log entry). */
export async function setNickname(ctx: Context, sph: string, nickname: string): Promise<void> {
  await say(ctx, sph, { cid: fresh(ctx), k: "sys", s: "nick", v: people.clean(nickname) });
}

// the outbox -----------------------------------------------------------------------------------------------------------

/** Items not yet accepted by the relay, in order. */
export function outbox(ctx: Context): Promise<OutboxItem[]> {
  return queue.items(ctx);
}

/** Try again; `anyway` names the question of a held item that is answered with yes, as it was shown. */
export async function retry(ctx: Context, id: string, anyway: string): Promise<void> {
  const { sph } = await queue.find(ctx.store, id);
  await writer(ctx, sph, () => outboxes.retry(ctx, id, anyway));
  delivery.wake(ctx, sph);
}

/** Delete an item that has not been sent. Throws UsageError if it may be on its way already. */
export async function drop(ctx: Context, id: string): Promise<void> {
  const { sph } = await queue.find(ctx.store, id);
  await writer(ctx, sph, () => outboxes.drop(ctx, id));
  delivery.wake(ctx, sph);
}

// this person's own notes ----------------------------------------------------------------------------------------------

/** Move the read position up to `pos` (synced encrypted; others never see it). */
export async function markRead(ctx: Context, sph: string, pos: number): Promise<void> {
  await replica(ctx, sph);
  await ctx.store.step(async (tx) => {
    if (pos <= (await timeline.readPosition(tx, sph))) return;
    setMeta(tx, `read/${sph}`, pos);
    setMeta(tx, "stateDirty", true);
    await timeline.countFresh(tx, sph, []);
  });
}

/** What was begun in a composer; "" when there is nothing. `thread` is empty for the sphere itself. */
export async function draft(ctx: Context, sph: string, thread: string): Promise<string> {
  return (await ctx.store.get<string>("draft", [sph, thread])) ?? "";
}

export async function setDraft(ctx: Context, sph: string, thread: string, text: string): Promise<void> {
  await ctx.store.step(async (tx: Tx) => (text === "" ? tx.drop("draft", [sph, thread]) : tx.put("draft", [sph, thread], text)));
}
