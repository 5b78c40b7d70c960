/** Retention: what the policy lets go leaves this device, keys of dead epochs with it (CLT-039). */

import { beforeEach, describe, expect, test } from "vitest";

import * as expiry from "../../src/client/expiry.ts";
import * as intake from "../../src/client/intake.ts";
import type { MessageRow } from "../../src/client/intake.ts";
import * as keys from "../../src/client/keys.ts";
import { sendingKey } from "../../src/client/replica.ts";
import * as search from "../../src/client/search.ts";
import * as timeline from "../../src/client/timeline.ts";
import { randomBytes } from "../../src/crypto.ts";
import { b64e } from "../../src/protocol/encoding.ts";
import { linkSeal } from "../../src/sphere/epoch.ts";
import { POLICY } from "../../src/sphere/intents.ts";
import { NOW, type Reading, Room, type Said, type Someone, comment, edit, msg, reader, someone } from "./room.ts";

const DAY = 86_400;

let room: Room;
let ada: Someone;
let bo: Someone;
let here: Reading;
let first: Said;

/** Epochs 1 and 2 are two days old, epoch 3 began then; bo reads along. */
beforeEach(async () => {
  [ada, bo] = [await someone("ada"), await someone("bo")];
  room = await Room.of(ada, bo);
  await room.commit(ada, { op: "policy", policy: { ...POLICY, retention: 3 } });
  here = await reader(room, bo);
  first = await room.say(ada, msg("the first herring"));
  await follow(0);
  await here.take([1, first], [2, await room.say(ada, edit(first.mid, "the first herring, smoked"))]);
  await room.commit(ada, { op: "epoch" });
  await follow(0);
  await here.take([3, await room.say(ada, msg("under the second key"))]);
  await room.commit(ada, { op: "epoch" });
  await follow(2);
  await here.take([4, await room.say(ada, msg("a young herring"))]);
});

async function follow(days: number): Promise<void> {
  at(days);
  await here.follow();
}

function at(days: number): void {
  room.now = NOW + days * DAY;
  Object.assign(here.ctx, { clock: () => room.now });
}

const held = async (): Promise<number[]> => [...(await here.rep()).keys.keys()].sort();
const sweep = async (days: number): Promise<number> => (at(days), expiry.sweep(here.ctx, await here.rep()));
const rows = async (): Promise<MessageRow[]> => (await here.ctx.store.list<MessageRow>("message")).map(([, row]) => row);

describe("what expires", () => {
  test("is emptied with its changes, and the keys of dead epochs are deleted", async () => {
    expect(await sweep(2)).toBe(0);
    expect(await held()).toEqual([1, 2, 3]);
    here.told.length = 0;
    expect(await sweep(4)).toBe(3);
    expect(await here.texts()).toEqual(["a young herring"]);
    expect(await held()).toEqual([2, 3]);
    expect((await here.ctx.store.list("epochKey")).map(([key]) => key)).toEqual([[room.sph, 2], [room.sph, 3]]);
    expect(here.told).toEqual([{ event: "Backlog", sph: room.sph, messages: 3 }]);
    for (const row of (await rows()).filter(({ code }) => code === expiry.CODE)) {
      expect(row).toMatchObject({ state: "hidden", jws: "", cid: "", re: "", kind: "", body: {} });
      expect(row.h).not.toBe("");
    }
    expect(await timeline.unread(here.ctx.store, room.sph)).toBe(1);
    expect((await search.find(here.ctx, "herring", 9)).found.map(({ text }) => text)).toEqual(["a young herring"]);
    expect(JSON.stringify(await here.ctx.store.list("words"))).not.toContain("smoked");
    expect(await sweep(4.01)).toBe(0);
    expect(await sweep(5.1)).toBe(1);
    expect(await held()).toEqual([3]);
    expect(sendingKey(await here.rep())?.n).toBe(3);
  });

  test("leaves a chain without a hole, and its repetition is nothing new (RUN-005)", async () => {
    await sweep(4);
    expect(await here.take([9, first], [10, await room.say(ada, msg("and on"))])).toBe(1);
    expect(await here.texts()).toEqual(["a young herring", "and on"]);
    expect((await intake.chains(here.ctx.store, room.sph)).get(ada.device.dv)!.runs).toHaveLength(1);
  });

  test("does not take younger comments with it", async () => {
    at(2);
    await here.take([5, await room.say(ada, comment(first.mid, "still true"))]);
    expect(await here.texts(first.mid)).toEqual(["the first herring, smoked", "still true"]);
    await sweep(4);
    expect(await here.texts()).toEqual(["a young herring", "still true"]);
  });

  test("does not come back: not as a link blob, not as a share or slot", async () => {
    await sweep(4);
    const [old, next] = [room.keys.get(1)!, room.keys.get(2)!];
    const blob = b64e(await linkSeal(next, old, randomBytes));
    Object.assign(here.ctx.relay, { links: async () => [{ n: 2, blob }] });
    expect(await keys.followLinks(here.ctx, await here.rep())).toBe(0);
    await here.give(1);
    await here.ctx.store.step(async (tx) => tx.put("todo", `slot/e.${room.sph}.1`, { secret: b64e(old.secret) }));
    expect(await here.step((tx, rep) => keys.useSlots(here.ctx, rep, tx))).toBe(0);
    expect(await held()).toEqual([2, 3]);
    expect(await here.ctx.store.count("todo")).toBe(0);
  });

  test("is nothing where the policy keeps everything, and what the title needs stays", async () => {
    await room.commit(ada, { op: "policy", policy: POLICY });
    await follow(2);
    expect(await sweep(90)).toBe(0);
    await room.commit(ada, { op: "meta", text: { title: "Harbour", topic: "", icon: "" } });
    await room.commit(ada, { op: "policy", policy: { ...POLICY, retention: 1 } });
    await room.commit(ada, { op: "epoch" });
    await follow(90);
    await sweep(120);
    expect(await held()).toEqual([3, 4]);
    expect(await here.texts()).toEqual([]);
  });
});
