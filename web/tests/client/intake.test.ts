/** Pages of messages: order, repetition, holes, forgery, keys that come late, and who may change whose words. */

import { describe, expect, test } from "vitest";

import * as claims from "../../src/client/claims.ts";
import type { Message } from "../../src/client/records.ts";
import * as timeline from "../../src/client/timeline.ts";
import { type Reading, Room, type Said, another, cid, comment, edit, forged, msg, react, reader, remove, someone } from "./room.ts";

async function two(): Promise<{ room: Room; ada: Awaited<ReturnType<typeof someone>>; bo: Awaited<ReturnType<typeof someone>>; here: Reading }> {
  const [ada, bo] = [await someone("ada"), await someone("bo")];
  const room = await Room.of(ada, bo);
  const here = await reader(room, ada);
  await here.follow();
  return { room, ada, bo, here };
}

async function shown({ ctx }: Reading, room: Room, mid: string): Promise<Message> {
  const row = await timeline.one(ctx.store, room.sph, mid, ctx.id, room.state);
  return row!;
}

describe("a page of messages", () => {
  test("is read in order, once (CLT-008, CLT-011)", async () => {
    const { room, bo, here } = await two();
    const said = [await room.say(bo, msg("one")), await room.say(bo, msg("two")), await room.say(bo, msg("three"))];
    const frames = said.map((one, at): [number, Said] => [at + 10, one]);
    expect(await here.take(...frames)).toBe(3);
    expect(await here.take(...frames)).toBe(0);
    expect(await here.texts()).toEqual(["one", "two", "three"]);
    expect(here.told.filter((one) => one.event === "MessageReceived")).toHaveLength(3);
  });

  test("turned round by the relay is read as its author wrote it (CLT-011)", async () => {
    const { room, ada, bo, here } = await two();
    const [one, two_, three] = [await room.say(bo, msg("b1")), await room.say(bo, msg("b2")), await room.say(bo, msg("b3"))];
    const mine = await room.say(ada, msg("a1"));
    await here.take([10, three], [11, mine]);
    await here.take([12, one], [13, two_]);
    expect(await here.texts()).toEqual(["b1", "b2", "b3", "a1"]);
    const other = await reader(room, ada);
    await other.follow();
    await other.take([10, three], [11, two_], [12, mine], [13, one]);
    expect(await other.texts()).toEqual(["b1", "b2", "b3", "a1"]);
  });

  test("the last of two edits is the author's last, whatever the relay says (CLT-011)", async () => {
    const { room, bo, here } = await two();
    const said = await room.say(bo, msg("draft"));
    const [first, second] = [await room.say(bo, edit(said.mid, "first")), await room.say(bo, edit(said.mid, "second"))];
    await here.take([10, said], [11, second], [12, first]);
    expect(await here.texts()).toEqual(["second"]);
  });

  test("with a hole shows the hole, until it is filled where it was (WEB-032)", async () => {
    const { room, ada, bo, here } = await two();
    const said = [];
    for (let n = 1; n <= 4; n += 1) said.push(await room.say(bo, msg(`m${n}`)));
    const mine = await room.say(ada, msg("mine"));
    await here.take([10, said[0]!], [11, said[3]!], [12, mine]);
    const page = await timeline.rows(here.ctx, room.sph, { limit: 10 });
    expect(page.rows.map((one) => one.row)).toEqual(["message", "gap", "message", "message"]);
    expect(page.rows[1]).toMatchObject({ gap: { missing: 2, name: "bo", pos: 11 } });
    expect(here.told.filter((one) => one.event === "GapFound")).toMatchObject([{ missing: 2, name: "bo" }]);
    await here.take([13, said[2]!], [14, said[1]!]);
    const after = await timeline.rows(here.ctx, room.sph, { limit: 10 });
    expect(after.rows.map((one) => (one.row === "message" ? one.message.text : one.row))).toEqual(["m1", "m2", "m3", "m4", "mine"]);
    const keys = page.rows.filter((one) => one.row === "message").map((one) => one.key);
    expect(after.rows.map((one) => one.key)).toEqual(expect.arrayContaining(keys));
  });

  test("forged, it is shown as what it is and changes nothing (RUN-003, CLT-011)", async () => {
    const { room, bo, here } = await two();
    const real = await room.say(bo, msg("real"));
    await here.take([10, forged(real.compact)]);
    expect(await here.texts()).toEqual(["(quarantined C_SIG)"]);
    await here.take([11, real]);
    expect(await here.texts()).toEqual(["real"]);
    const stranger = await someone("mallory");
    room.chains.delete(stranger.device.dv);
    await here.take([12, await room.say(stranger, msg("let me in"))]);
    expect(await here.texts()).toEqual(["real", "(damaged C_KEY_UNKNOWN)"]);
  });

  test("a forged frame with a seq far ahead moves nothing (CLT-011)", async () => {
    const { room, bo, here } = await two();
    const far = await room.say(bo, msg("far"), { seq: 900_000, ph: "A".repeat(43) });
    room.chains.delete(bo.device.dv);
    await here.take([5, forged(far.compact)]);
    await here.take([10, await room.say(bo, msg("one"))], [11, await room.say(bo, msg("two"))]);
    expect((await here.texts()).filter((one) => !one.startsWith("("))).toEqual(["one", "two"]);
  });

  test("under a key that comes later is read when it comes (CLT-017)", async () => {
    const { room, ada, bo } = await two();
    const here = await reader(room, ada);
    await here.follow([]);
    const said = await room.say(bo, msg("patience"));
    await here.take([10, said], [11, await room.say(bo, react(said.mid, "+"))]);
    expect((await here.texts())[0]).toBe("(unreadable C_KEY_UNKNOWN)");
    expect(await timeline.unread(here.ctx.store, room.sph)).toBe(0);
    await here.give(...room.keys.keys());
    expect(await here.texts()).toEqual(["patience"]);
    expect((await shown(here, room, said.mid)).reactions).toEqual([["+", ["bo"]]]);
    expect(await timeline.unread(here.ctx.store, room.sph)).toBe(1);
    expect(here.told.find((one) => one.event === "KeysArrived")).toMatchObject({ messages: 2 });
  });

  test("of the same words twice shows them once (MSG-006)", async () => {
    const { room, bo, here } = await two();
    const words = msg("once");
    await here.take([10, await room.say(bo, words)], [11, await room.say(bo, words)]);
    expect(await here.texts()).toEqual(["once"]);
    const twin = await another(bo);
    await room.commit(twin, { op: "device add", cert: twin.cert });
    await here.follow();
    await here.take([12, await room.say(twin, words)]);
    expect(await here.texts()).toEqual(["once"]);
    expect(await timeline.unread(here.ctx.store, room.sph)).toBe(1);
  });

  test("two messages at one place that say different words are both shown as what they are (RUN-006)", async () => {
    const { room, bo, here } = await two();
    await here.take([10, await room.say(bo, msg("this"))]);
    await here.take([11, await room.say(bo, msg("that"), { seq: 1, ph: "", tries: 1 })]);
    expect((await here.texts()).sort()).toEqual(["(damaged C_REPLAY)", "that"]);
  });

  test("under another log is set aside and its author is asked (CLT-020, CLT-015)", async () => {
    const { room, bo, here } = await two();
    const rival = await room.say(bo, msg("elsewhere"), { lh: new Uint8Array(32).fill(7) });
    await here.take([10, rival]);
    expect(await here.texts()).toEqual(["(quarantined C_LOG_FORK)"]);
    expect([...claims.unsettled(await here.rep()).keys()]).toEqual([bo.device.dv]);
    expect(claims.gap(here.ctx, await here.rep())).toBe(false);
  });

  test("beyond the log waits, and is read when the log grows (CLT-015, RUN-014)", async () => {
    const { room, ada, bo, here } = await two();
    await room.commit(ada, { op: "epoch" });
    const said = await room.say(bo, msg("later"));
    await here.take([10, said]);
    expect(await here.texts()).toEqual(["(quarantined C_GAP)"]);
    expect(claims.gap(here.ctx, await here.rep())).toBe(true);
    await here.follow();
    await here.take();
    expect(await here.texts()).toEqual(["later"]);
    expect(claims.gap(here.ctx, await here.rep())).toBe(false);
  });

  test("by this device that it never sealed retires it (CLT-014)", async () => {
    const { room, ada, here } = await two();
    await here.take([10, await room.say(ada, msg("not me"))]);
    expect(await here.ctx.store.get("meta", "retired")).toMatchObject({ seq: 1 });
  });
});

describe("whose words", () => {
  test("an author edits and deletes, others do not; an owner deletes (MSG-012)", async () => {
    const [ada, bo, cy] = [await someone("ada"), await someone("bo"), await someone("cy")];
    const room = await Room.of(ada, bo, cy);
    const here = await reader(room, cy);
    await here.follow();
    const [one, two_] = [await room.say(bo, msg("bo's")), await room.say(bo, msg("bo's other"))];
    await here.take([10, one], [11, two_]);
    await here.take([12, await room.say(cy, edit(one.mid, "cy was here"))], [13, await room.say(cy, remove(two_.mid))]);
    expect(await here.texts()).toEqual(["bo's", "bo's other"]);
    await here.take([14, await room.say(ada, edit(one.mid, "ada was here"))], [15, await room.say(ada, remove(two_.mid))]);
    expect(await here.texts()).toEqual(["bo's", ""]);
    expect((await shown(here, room, two_.mid)).deleted).toBe(true);
    await here.take([16, await room.say(bo, edit(one.mid, "bo's own"))]);
    expect(await shown(here, room, one.mid)).toMatchObject({ text: "bo's own", edited: true });
    await here.take([17, await room.say(ada, react(one.mid, "+"))], [18, await room.say(bo, react(one.mid, "+"))]);
    await here.take([19, await room.say(ada, react(one.mid, "+", false))]);
    expect((await shown(here, room, one.mid)).reactions).toEqual([["+", ["bo"]]]);
  });

  test("a message that borrows another's mid stands for nobody's words", async () => {
    const [ada, bo, cy] = [await someone("ada"), await someone("bo"), await someone("cy")];
    const room = await Room.of(ada, bo, cy);
    const here = await reader(room, ada);
    await here.follow();
    const said = await room.say(bo, msg("first"));
    const thief = await room.say(cy, msg("second"), { mid: said.mid });
    expect(thief.mid).toBe(said.mid);
    await here.take([10, said], [11, thief], [12, await room.say(cy, edit(said.mid, "mine now"))]);
    expect((await shown(here, room, said.mid)).text).toBe("first");
    expect(await here.texts()).toEqual(["first", "mine now"]);
    const { rows } = await timeline.rows(here.ctx, room.sph, { limit: 5 });
    expect(new Set(rows.map((one) => one.key)).size).toBe(2);
  });

  test("a nickname is what its owner said last, and is cleaned (CLT-023)", async () => {
    const { room, bo, here } = await two();
    await here.take([10, await room.say(bo, { k: "sys", cid: cid(), s: "nick", v: "B\u202eo \n the  great" })]);
    await here.take([11, await room.say(bo, msg("hi"))]);
    const { rows } = await timeline.rows(here.ctx, room.sph, { limit: 5 });
    expect(rows[0]).toMatchObject({ message: { name: "Bo the great" } });
  });

  test("comments come under their message, also when they came first (WEB-031)", async () => {
    const { room, ada, bo, here } = await two();
    const said = await room.say(bo, msg("root"));
    const reply = await room.say(ada, comment(said.mid, "reply"));
    const below = await room.say(bo, comment(reply.mid, "reply to the reply"));
    await here.take([10, reply]);
    expect(await here.texts()).toEqual(["reply"]);
    await here.take([11, said], [12, below]);
    expect(await here.texts()).toEqual(["root"]);
    expect(await here.texts(said.mid)).toEqual(["root", "reply", "reply to the reply"]);
    const { rows } = await timeline.rows(here.ctx, room.sph, { limit: 5 });
    expect(rows[0]).toMatchObject({ comments: 2, unreadComments: 1 });
  });
});
