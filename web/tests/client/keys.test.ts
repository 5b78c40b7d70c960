/** Epoch keys: who may have which, where missing ones come from, and what does not count as one (CLT-017). */

import { describe, expect, test } from "vitest";

import * as slotNames from "../../src/account/slot_names.ts";
import * as slots from "../../src/account/slots.ts";
import * as claims from "../../src/client/claims.ts";
import type { Context } from "../../src/client/context.ts";
import * as keys from "../../src/client/keys.ts";
import * as older from "../../src/client/older.ts";
import * as outbox from "../../src/client/outbox.ts";
import * as stops from "../../src/client/stops.ts";
import { randomBytes } from "../../src/crypto.ts";
import { Forbidden, LogFork, StaleHead } from "../../src/errors.ts";
import { b64e } from "../../src/protocol/encoding.ts";
import * as p2p from "../../src/protocol/p2p.ts";
import { linkSeal } from "../../src/sphere/epoch.ts";
import { POLICY } from "../../src/sphere/intents.ts";
import { NOW, type Reading, Room, type Someone, another, msg, reader, someone } from "./room.ts";

type Post = [to: string[], jws: string];

/** What a device sends into inboxes, kept. */
function posting(here: Reading): Post[] {
  const sent: Post[] = [];
  Object.assign(here.ctx.relay, {
    post: async (to: string[], jws: string) => void sent.push([to, jws]),
    slot: async () => {
      throw new Forbidden();
    },
    links: async () => [],
    putSlot: async () => undefined,
  });
  return sent;
}

async function grown(history: string): Promise<{ room: Room; ada: Someone; bo: Someone; cy: Someone }> {
  const [ada, bo, cy] = [await someone("ada"), await someone("bo"), await someone("cy")];
  const room = await Room.of(ada, bo);
  if (history !== POLICY.history) await room.commit(ada, { op: "policy", policy: { ...POLICY, history } });
  await room.commit(ada, { op: "epoch" });
  await room.admit(ada, cy);
  if (room.state.hard) await room.commit(ada, { op: "epoch" });
  return { room, ada, bo, cy };
}

async function given(here: Reading, who: Someone): Promise<number[]> {
  const rep = await here.rep();
  return [...keys.granted(rep, who.device.dv)].sort((one, other) => one - other);
}

describe("the history policy", () => {
  test.each([["all", true], ["none", false], ["since-join", false], ["days:3", true]])("%s", async (history, older) => {
    const { room, ada, bo, cy } = await grown(history);
    const here = await reader(room, ada);
    await here.follow();
    const last = room.keys.size;
    const every = [...room.keys.keys()];
    expect(await given(here, bo)).toEqual(history === "all" || history === "days:3" ? every : every.slice(1));
    expect(await given(here, cy)).toEqual(older ? every : [last]);
    expect(await given(here, await someone("eve"))).toEqual([]);
  });

  test("gives who came back nothing of the time without him (SHR-006)", async () => {
    const [ada, bo] = [await someone("ada"), await someone("bo")];
    const room = await Room.of(ada, bo);
    await room.commit(ada, { op: "policy", policy: { ...POLICY, history: "since-join" } });
    await room.commit(ada, { op: "epoch" });
    await room.commit(ada, { op: "remove", id: bo.id });
    await room.commit(ada, { op: "epoch" });
    const tablet = await another(bo);
    await room.admit(ada, tablet);
    if (room.state.hard) await room.commit(ada, { op: "epoch" });
    const here = await reader(room, ada);
    await here.follow();
    expect(await given(here, tablet)).toEqual([2, 5]);
    expect(await given(here, bo)).toEqual([]);
  });
});

describe("missing keys", () => {
  test("are asked for: own devices first, then the author of the epoch, four at most, every ten minutes", async () => {
    const { room, ada, bo, cy } = await grown("all");
    const tablet = await another(bo);
    await room.commit(tablet, { op: "device add", cert: tablet.cert });
    const here = await reader(room, bo);
    await here.follow([]);
    const sent = posting(here);
    const rep = await here.rep();
    await here.take([50, await room.say(cy, msg("under the last"))]);
    expect(await keys.missing(here.ctx, rep)).toEqual([room.keys.size]);
    expect(await keys.ask(here.ctx, rep)).toEqual([tablet.device.dv, ada.device.dv, cy.device.dv]);
    const asked = p2p.decode(sent[0]![1]);
    expect([asked.k, asked.body["ns"]]).toEqual(["ask", [room.keys.size]]);
    expect(await keys.ask(here.ctx, rep)).toEqual([]);
    Object.assign(here.ctx, { clock: () => NOW + 601 });
    expect(await keys.ask(here.ctx, rep)).toHaveLength(3);
    expect((rep.note["asked"] as Record<string, keys.Asked>)[room.keys.size]).toMatchObject({ at: NOW + 601, first: NOW });
  });

  test("are handed to whom the log lists, and to nobody else", async () => {
    const { room, ada, bo, cy } = await grown("since-join");
    const here = await reader(room, ada);
    await here.follow();
    const sent = posting(here);
    const there = await reader(room, cy);
    await there.follow([]);
    const question = (who: Someone): Promise<string> => {
      const ctx = { ...there.ctx, dv: who.device.dv, keys: who.device } as Context;
      return keys.letter(ctx, room.sph, "ask", { ns: [...room.keys.keys()] });
    };
    const rep = await here.rep();
    expect(await keys.answer(here.ctx, rep, p2p.decode(await question(cy)))).toBe(1);
    expect(await keys.answer(here.ctx, rep, p2p.decode(await question(await someone("eve"))))).toBe(0);
    const inBosName = p2p.decode(await keys.letter({ ...there.ctx, dv: bo.device.dv } as Context, room.sph, "ask", { ns: [1] }));
    await expect(keys.answer(here.ctx, rep, inBosName)).rejects.toMatchObject({ code: "C_SIG" });
    expect(sent.map(([to]) => to)).toEqual([[cy.device.dv]]);
    const key = await keys.openShare(there.ctx, await there.rep(), sent[0]![1]);
    expect(key).toEqual(room.keys.get(room.keys.size));
    await here.ctx.store.step(async (tx) => tx.put("meta", "revoked", [cy.device.dv]));
    expect(await keys.answer(here.ctx, rep, p2p.decode(await question(cy)))).toBe(0);
  });

  test("come by link blobs, down to the first that does not open (EPO-005)", async () => {
    const { room, ada, cy } = await grown("all");
    await room.commit(ada, { op: "epoch" });
    const here = await reader(room, cy);
    await here.follow([3]);
    posting(here);
    const blob = async (n: number): Promise<{ n: number; blob: string }> =>
      ({ n, blob: b64e(await linkSeal(room.keys.get(n)!, room.keys.get(n - 1)!, randomBytes)) });
    const links = [await blob(3), { n: 2, blob: b64e(randomBytes(60)) }];
    Object.assign(here.ctx.relay, { links: async () => links });
    expect(await keys.followLinks(here.ctx, await here.rep())).toBe(1);
    expect([...(await here.rep()).keys.keys()].sort()).toEqual([2, 3]);
    expect(await here.ctx.store.get("epochKey", [room.sph, 2])).toMatchObject({ slot: 0 });
  });

  test("in slots count when the log's commitment says so (SLOT-010, EPO-003)", async () => {
    const { room, bo } = await grown("all");
    const here = await reader(room, bo);
    await here.follow([]);
    const { ctx } = here;
    const sealed = async (n: number, secret: Uint8Array): Promise<unknown> => ({
      name: slotNames.epoch(room.sph, n), mkv: 1, bytes: b64e(await slots.sealEpoch(ctx.mk, ctx.id, room.sph, n, secret, randomBytes)),
    });
    const found = [await sealed(1, room.keys.get(1)!.secret), await sealed(2, randomBytes(32))];
    Object.assign(ctx.relay, { slots: async () => found });
    await keys.fetchSlots(ctx);
    expect(await here.step((tx, rep) => keys.useSlots(ctx, rep, tx))).toBe(1);
    expect([...(await here.rep()).keys.keys()]).toEqual([1]);
    expect(await ctx.store.get("epochKey", [room.sph, 1])).toMatchObject({ slot: 1 });
    expect(await ctx.store.count("todo")).toBe(0);
  });
});

test("a key grows old by the own clock, whatever time the relay names (EPO-010)", async () => {
  const ada = await someone("ada");
  const here = await reader(await Room.of(ada), ada);
  await here.follow();
  const rep = await here.rep();
  const after = (seconds: number, offset: number): boolean => {
    Object.assign(here.ctx, { clock: () => NOW + seconds, offset });
    return outbox.softMark(here.ctx, rep);
  };
  expect(after(POLICY.T - 10, 0)).toBe(false);
  expect(after(POLICY.T - 10, 3600)).toBe(true);
  expect(after(POLICY.T + 10, -3600)).toBe(true);
});

describe("keys of before one's own time", () => {
  test("are asked of people, wait for a yes, and come by it (CLT-041)", async () => {
    const [ada, bo, cy] = [await someone("ada"), await someone("bo"), await someone("cy")];
    const room = await Room.of(ada, bo);
    await room.commit(ada, { op: "policy", policy: { ...POLICY, history: "since-join" } });
    const early = await room.say(bo, msg("before your time"));
    await room.admit(ada, cy);
    if (room.state.hard) await room.commit(ada, { op: "epoch" });
    const [here, there, other] = [await reader(room, ada), await reader(room, cy), await reader(room, bo)];
    for (const one of [here, other]) await one.follow();
    const last = room.keys.size;
    await there.follow([last]);
    await there.take([9, early]);
    expect(await older.wanted(there.ctx, await there.rep())).toEqual([1]);
    expect(await keys.missing(there.ctx, await there.rep())).toEqual([]);
    const asked = posting(there);
    expect(await older.ask(there.ctx, await there.rep())).toEqual([ada.device.dv]);
    const letter = p2p.decode(asked[0]![1]);
    const sent = posting(here);
    const wish = async (one: Reading, who: Someone, ns: number[], iat = 1): Promise<void> =>
      one.step(async (tx, rep) => older.note(one.ctx, rep, rep.state!.devices.get(who.device.dv)!, { ns, iat }, tx));
    expect(await keys.answer(here.ctx, await here.rep(), letter)).toBe(0);
    await wish(here, cy, [1, last, 77]);
    await wish(here, cy, [1]);
    await wish(other, cy, [1]);
    const wished = { sph: room.sph, id: cy.id, name: "cy", ns: [1] };
    expect(here.told.filter((one) => one.event === "KeysWished")).toEqual([{ event: "KeysWished", ...wished }]);
    expect(await older.wishes(here.ctx, await here.rep())).toMatchObject([wished]);
    expect(await older.wishes(other.ctx, await other.rep())).toEqual([]);
    expect(await older.give(other.ctx, await other.rep(), cy.id, [1])).toBe(0);
    await older.decline(here.ctx, await here.rep(), cy.id);
    expect([await older.give(here.ctx, await here.rep(), cy.id, [1]), sent]).toEqual([0, []]);
    await wish(here, cy, [1]); // the same letter, shown again by the relay
    expect(await older.wishes(here.ctx, await here.rep())).toEqual([]);
    await wish(here, cy, [1], 2);
    expect([await older.give(here.ctx, await here.rep(), cy.id, [7]), sent]).toEqual([0, []]); // a yes to something else
    expect(await older.wishes(here.ctx, await here.rep())).toMatchObject([wished]);
    expect(await older.give(here.ctx, await here.rep(), cy.id, [1])).toBe(1);
    expect(sent.map(([to]) => to)).toEqual([[cy.device.dv]]);
    expect(await keys.openShare(there.ctx, await there.rep(), sent[0]![1])).toEqual(room.keys.get(1));
    await there.give(1);
    expect(await there.texts()).toEqual(["before your time"]);
    expect(await older.wanted(there.ctx, await there.rep())).toEqual([]);
  });
});

describe("a key that waited for its log", () => {
  test.each([["slot", 1], ["kept", 0]] as const)("%s: lies in a slot: %s (EXP-008, SLOT-010)", async (kind, slot) => {
    const { room, ada } = await grown("all");
    const here = await reader(room, ada);
    await here.follow([]);
    await here.step(async (tx) => keys.waiting(tx, kind, room.sph, 2, room.keys.get(2)!.secret));
    await here.step(async (tx, rep) => void expect(await keys.useSlots(here.ctx, rep, tx)).toBe(1));
    expect(await here.ctx.store.get("epochKey", [room.sph, 2])).toMatchObject({ slot });
    expect(await here.ctx.store.list("todo")).toEqual([]);
  });
});

describe("no key is handed on to others", () => {
  test("in a stopped sphere, nor while an entry may be missing; own devices are served (CLT-015, CLT-021)", async () => {
    const { room, ada, bo } = await grown("all");
    const here = await reader(room, ada);
    await here.follow();
    const sent = posting(here);
    const { devices } = (await here.rep()).state!;
    const gives = async (dv: string): Promise<number> => keys.handOn(here.ctx, await here.rep(), devices.get(dv)!, [1], true);
    expect(await gives(bo.device.dv)).toBe(1);
    await here.take([10, await room.say(bo, msg("I have seen more"), { ls: 99, lh: new Uint8Array(32) })]);
    expect(await gives(bo.device.dv)).toBe(0);
    await expect(older.give(here.ctx, await here.rep(), bo.id, [1])).rejects.toThrow(StaleHead);
    claims.claimsOf(await here.rep())[bo.device.dv]!.asked = NOW;
    Object.assign(here.ctx, { clock: () => NOW + 600 });
    expect(await gives(bo.device.dv)).toBe(1);
    await stops.note(here.ctx, room.sph, new LogFork("two histories"), {});
    expect(await gives(bo.device.dv)).toBe(0);
    await expect(older.give(here.ctx, await here.rep(), bo.id, [1])).rejects.toThrow(LogFork);
    expect([await gives(ada.device.dv), sent.length]).toEqual([1, 3]);
  });
});

describe("a word about the log", () => {
  test("holds sending for ten minutes, or until it is answered with nothing (CLT-015, CLT-036)", async () => {
    const { room, ada, bo } = await grown("all");
    const here = await reader(room, ada);
    await here.follow();
    const rep = await here.rep();
    const far = { ls: 99, lh: new Uint8Array(32) };
    await here.take([10, await room.say(bo, msg("I have seen more"), far)]);
    expect(claims.gap(here.ctx, rep)).toBe(true);
    expect(claims.gap(here.ctx, rep, [bo.device.dv])).toBe(false);
    claims.claimsOf(rep)[bo.device.dv]!.asked = NOW;
    Object.assign(here.ctx, { clock: () => NOW + 600 });
    expect(claims.gap(here.ctx, rep)).toBe(false);
    Object.assign(here.ctx, { clock: () => NOW });
    await here.step(async (tx, held) => {
      claims.claimsOf(held)[bo.device.dv] = await claims.answered(held, bo.device.dv, room.entries.slice(-1), [], tx);
    });
    expect(claims.gap(here.ctx, rep)).toBe(false);
    expect(await here.texts()).toEqual(["(quarantined C_LOG_FORK)"]);
    await here.take([11, await room.say(bo, msg("and more"), far)]);
    expect(claims.gap(here.ctx, rep)).toBe(false);
    await room.commit(ada, { op: "epoch" });
    await here.follow();
    await here.take([12, await room.say(bo, msg("and yet more"), { ls: 120, lh: new Uint8Array(32) })]);
    expect(claims.gap(here.ctx, rep)).toBe(true);
  });

  test("that is shown to be true holds until the log is there (CLT-036)", async () => {
    const { room, ada, bo } = await grown("all");
    const here = await reader(room, ada);
    await here.follow();
    await room.commit(ada, { op: "epoch" });
    const rep = await here.rep();
    await here.take([10, await room.say(bo, msg("new key"))]);
    await here.step(async (tx, held) => {
      const after = await claims.answered(held, bo.device.dv, room.entries.slice(-1), [], tx);
      claims.claimsOf(held)[bo.device.dv] = after;
      expect(after).toMatchObject({ shown: true, beyond: room.entries.length - 1 });
    });
    Object.assign(here.ctx, { clock: () => NOW + 10_000 });
    expect(claims.gap(here.ctx, rep)).toBe(true);
  });
});
