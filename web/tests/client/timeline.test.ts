/** What is read: pages of rows, notices, comments, unread, search, and what a page costs. */

import { beforeAll, describe, expect, test } from "vitest";

import type { Backend } from "../../src/client/backend.ts";
import { memoryPlace } from "../../src/client/backend_memory.ts";
import type { Context } from "../../src/client/context.ts";
import * as intake from "../../src/client/intake.ts";
import { type MessageRow, keyOf } from "../../src/client/message_row.ts";
import type { Row } from "../../src/client/records.ts";
import { saveNote } from "../../src/client/replica.ts";
import * as search from "../../src/client/search.ts";
import { openStore } from "../../src/client/store.ts";
import * as timeline from "../../src/client/timeline.ts";
import { randomBytes } from "../../src/crypto.ts";
import { type Reading, Room, type Someone, comment, edit, msg, react, reader, remove, someone } from "./room.ts";

const labels = (rows: readonly Row[]): string[] =>
  rows.map((one) => (one.row === "message" ? one.message.text : one.row === "notice" ? `*${one.notice.op}` : "-"));

async function three(): Promise<{ room: Room; ada: Someone; bo: Someone; cy: Someone; here: Reading }> {
  const [ada, bo, cy] = [await someone("ada"), await someone("bo"), await someone("cy")];
  const room = await Room.of(ada, bo, cy);
  const here = await reader(room, ada);
  await here.follow();
  return { room, ada, bo, cy, here };
}

async function readUpTo(here: Reading, sph: string, pos: number): Promise<void> {
  await here.ctx.store.step(async (tx) => tx.put("meta", `read/${sph}`, pos));
}

describe("notices", () => {
  test("stand where the stream shows their entry, and say why there is a new key (WEB-032)", async () => {
    const { room, ada, bo, cy, here } = await three();
    const [create, key1, addBo, addCy] = room.entries as [string, string, string, string];
    await here.stream([1, create], [2, key1], [3, addBo], [6, addCy]);
    await here.take([5, await room.say(bo, msg("before Cy"))]);
    const { dv } = cy.device;
    await room.commit(ada, { op: "remove", id: cy.id });
    await here.follow();
    const fresh = room.entries.slice(4);
    expect(fresh).toHaveLength(2);
    await here.stream([9, fresh[0]!], [10, fresh[1]!]);
    await here.take([11, await room.say(bo, msg("after Cy"))]);
    const { rows } = await timeline.rows(here.ctx, room.sph, { limit: 20 });
    expect(labels(rows)).toEqual([
      "*create", "*epoch", "*add", "before Cy", "*add", "*remove", "*epoch", "after Cy",
    ]);
    const said = rows.flatMap((one) => (one.row === "notice" ? [one.notice] : []));
    expect(said[1]).toMatchObject({ why: ["first"], epoch: 1 });
    expect(said[2]).toMatchObject({ byName: "ada", whoName: "bo", mine: true, role: "member", pos: 3, seq: 2 });
    expect(said.at(-1)).toMatchObject({ why: ["removed"], epoch: 2 });
    expect(said.at(-2)).toMatchObject({ whoName: "cy", role: "none" });
    expect(room.state.devices.get(dv)!.status).toBe("left");
  });

  test("are told when they get their place, which is after their entry was (WEB-032)", async () => {
    const { room, ada, cy, here } = await three();
    await room.commit(ada, { op: "remove", id: cy.id });
    here.told.length = 0;
    await here.follow();
    expect(here.told.some((one) => one.event === "MemberRemoved")).toBe(true);
    const shown = async (): Promise<string[]> => labels((await timeline.rows(here.ctx, room.sph, { limit: 20 })).rows);
    expect(await shown()).toEqual([]);
    here.told.length = 0;
    await here.stream([9, room.entries[4]!], [10, room.entries[5]!]);
    expect(await shown()).toEqual(["*remove", "*epoch"]);
    expect(here.told).toEqual([{ event: "NoticesPlaced", sph: room.sph }]);
    await here.stream([9, room.entries[4]!]);
    expect(here.told).toHaveLength(1);
  });

  test("are made of the entry held, once, and of no other (WEB-032)", async () => {
    const { room, here } = await three();
    const { room: other } = await three();
    await here.stream([1, room.entries[0]!], [2, other.entries[2]!], [3, room.entries[0]!]);
    expect(labels((await timeline.rows(here.ctx, room.sph, { limit: 20 })).rows)).toEqual(["*create"]);
  });
});

describe("a page", () => {
  test("holds comments as a number, and the thread holds them as rows (WEB-031)", async () => {
    const { room, ada, bo, cy, here } = await three();
    const root = await room.say(bo, msg("which port?"));
    await here.take([10, root], [11, await room.say(cy, msg("something else"))]);
    await here.take([12, await room.say(ada, comment(root.mid, "north"))], [13, await room.say(cy, comment(root.mid, "south"))]);
    await readUpTo(here, room.sph, 12);
    const { rows, firstUnread } = await timeline.rows(here.ctx, room.sph, { limit: 20 });
    expect(labels(rows)).toEqual(["which port?", "something else"]);
    expect(rows[0]).toMatchObject({ comments: 2, unreadComments: 1 });
    expect(firstUnread).toBeUndefined();
    const thread = await timeline.rows(here.ctx, room.sph, { thread: root.mid, limit: 1 });
    expect(labels(thread.rows)).toEqual(["south"]);
    expect(thread.more).toEqual({ before: true, after: false });
    const whole = await timeline.rows(here.ctx, room.sph, { thread: root.mid, before: 13, limit: 5 });
    expect(labels(whole.rows)).toEqual(["which port?", "north"]);
  });

  test("opens at the first unread; what is read is counted as it comes and goes (WEB-031)", async () => {
    const { room, bo, cy, here } = await three();
    const said = [];
    for (let n = 0; n < 30; n += 1) said.push(await room.say(bo, msg(`m${n}`)));
    await here.take(...said.map((one, n): [number, typeof one] => [10 + n, one]));
    expect(await timeline.unread(here.ctx.store, room.sph)).toBe(30);
    await readUpTo(here, room.sph, 24);
    expect(await timeline.unread(here.ctx.store, room.sph)).toBe(15);
    await here.take([50, await room.say(cy, react(said[29]!.mid, "+"))], [51, await room.say(cy, msg("one more"))]);
    expect(await timeline.unread(here.ctx.store, room.sph)).toBe(16);
    const page = await timeline.rows(here.ctx, room.sph, { limit: 9 });
    const at = page.rows.findIndex((one) => one.key === page.firstUnread);
    expect(page.rows[at]).toMatchObject({ message: { text: "m15", unread: true } });
    expect(page.rows[at - 1]).toMatchObject({ message: { text: "m14", unread: false } });
    expect(page.more).toEqual({ before: true, after: true });
    const newest = await timeline.rows(here.ctx, room.sph, { before: Number.MAX_SAFE_INTEGER, limit: 3 });
    expect(labels(newest.rows)).toEqual(["m28", "m29", "one more"]);
    expect(newest.more).toEqual({ before: true, after: false });
    await readUpTo(here, room.sph, 51);
    expect(await timeline.unread(here.ctx.store, room.sph)).toBe(0);
    const last = await timeline.rows(here.ctx, room.sph, { limit: 3 });
    expect(labels(last.rows)).toEqual(["m28", "m29", "one more"]);
    const there = await timeline.rows(here.ctx, room.sph, { around: said[3]!.mid, limit: 5 });
    expect(labels(there.rows)).toEqual(["m1", "m2", "m3", "m4", "m5"]);
  });

  test("shows waiting words last, under the name they keep when they are sent (CLT-011)", async () => {
    const { room, ada, bo, here } = await three();
    await here.take([10, await room.say(bo, msg("hello"))]);
    const words = msg("on my way");
    const item = {
      id: words.cid, n: 1, sph: room.sph, state: "waiting", kind: "msg", text: "on my way", re: "", on: true, about: "", openly: false,
      at: 5, seen: { mode: "e2ee", members: "", verified: false }, question: "", code: "", claims: [], jws: "", tries: 0,
    };
    await here.ctx.store.step(async (tx) => tx.put("outbox", 1, item));
    const before = await timeline.rows(here.ctx, room.sph, { limit: 5 });
    expect(before.rows.at(-1)).toMatchObject({ key: words.cid, message: { state: "waiting", text: "on my way" } });
    expect(await timeline.row(here.ctx, room.sph, words.cid)).toMatchObject({ message: { state: "waiting" } });
    await here.take([11, await room.say(ada, words)]);
    const between = await timeline.rows(here.ctx, room.sph, { limit: 5 });
    expect(labels(between.rows)).toEqual(["hello", "on my way"]);
    await here.ctx.store.step(async (tx) => tx.drop("outbox", 1));
    const after = await timeline.rows(here.ctx, room.sph, { limit: 5 });
    expect(after.rows.at(-1)).toMatchObject({ key: words.cid, message: { state: "sent", pos: 11, mine: true } });
    expect(await timeline.row(here.ctx, room.sph, words.cid)).toMatchObject({ message: { state: "sent" } });
    for (const one of after.rows) expect(await timeline.row(here.ctx, room.sph, one.key)).toEqual(one);
  });
});

describe("search", () => {
  test("finds words in what was opened, as it reads now (WEB-033)", async () => {
    const { room, bo, here } = await three();
    const said = [];
    for (const text of ["Ein Öltanker im Hafen", "Die Straße zum HAFEN", "港に船がある", "nothing of it"]) said.push(await room.say(bo, msg(text)));
    await here.take(...said.map((one, n): [number, typeof one] => [10 + n, one]));
    const hits = async (words: string): Promise<string[]> => (await search.find(here.ctx, words, 10)).found.map((one) => one.text).sort();
    expect(await hits("hafen")).toEqual(["Die Straße zum HAFEN", "Ein Öltanker im Hafen"]);
    expect(await hits("oltank HAF")).toEqual(["Ein Öltanker im Hafen"]);
    expect(await hits("船")).toEqual(["港に船がある"]);
    expect(await hits("  ")).toEqual([]);
    await here.take([20, await room.say(bo, edit(said[0]!.mid, "Ein Tanker auf See"))], [21, await room.say(bo, remove(said[1]!.mid))]);
    expect(await hits("hafen")).toEqual([]);
    expect(await hits("see tanker")).toEqual(["Ein Tanker auf See"]);
    expect(await search.find(here.ctx, "see", 10)).toMatchObject({ searched: 5, whole: true });
  });

  test("leaves no word in a key of the database (WEB-010, WEB-033)", async () => {
    const backend = await memoryPlace().tables();
    const store = await openStore(backend, randomBytes(32), { rng: randomBytes });
    await store.step((tx) => search.add(tx, "sp-a", [{ mid: "m1", text: "Schlagwort" }]));
    const rows = await backend.range("words", undefined, { low: undefined, high: undefined, reverse: false, limit: undefined });
    expect(rows).toHaveLength(1);
    expect(JSON.stringify([rows[0]!.key, rows[0]!.indexes])).not.toMatch(/schlag/i);
    expect(new TextDecoder("latin1").decode(rows[0]!.box)).not.toMatch(/schlag/i);
  });
});

/** How many rows a backend gave out. */
function counting(backend: Backend): { backend: Backend; rows: () => number } {
  let rows = 0;
  const counted: Backend = {
    get: async (table, key) => {
      rows += 1;
      return backend.get(table, key);
    },
    range: async (...values) => {
      const found = await backend.range(...values);
      rows += found.length;
      return found;
    },
    count: backend.count.bind(backend), write: backend.write.bind(backend), clear: backend.clear.bind(backend), close: backend.close.bind(backend),
  };
  return { backend: counted, rows: () => rows };
}

describe("five thousand rows", () => {
  const MANY = 5000;
  let made: { ctx: Context; sph: string; rows: () => number; texts: string[] };

  beforeAll(async () => {
    const [ada, bo] = [await someone("ada"), await someone("bo")];
    const room = await Room.of(ada, bo);
    const seed = await reader(room, ada);
    await seed.follow();
    const texts: string[] = [];
    for (let start = 0; start < MANY; start += 250) {
      const frames: [number, string][] = [];
      for (let n = start; n < start + 250; n += 1) {
        texts.push(`row ${n}`);
        frames.push([10 + n, (await room.say(bo, msg(`row ${n}`))).compact]);
      }
      await seed.step((tx, rep) => intake.takeNow(seed.ctx, rep, frames, tx));
    }
    const { backend, rows } = counting(await memoryPlace().tables());
    const store = await openStore(backend, randomBytes(32), { rng: randomBytes });
    for (const table of ["message", "chain", "meta", "view", "digests", "epochKey", "entry"] as const) {
      const all = await seed.ctx.store.list(table);
      await store.step(async (tx) => all.forEach(([key, value]) => tx.put(table, key, value)));
    }
    const rep = await seed.rep();
    await store.step(async (tx) => saveNote(tx, rep));
    made = { ctx: { ...seed.ctx, store, replicas: new Map() }, sph: room.sph, rows, texts };
  }, 120_000);

  test("are paged without a hole or a repetition, back and forth (WEB-031)", async () => {
    const { ctx, sph, texts } = made;
    await ctx.store.step(async (tx) => tx.put("meta", `read/${sph}`, 1_000_000));
    let page = await timeline.rows(ctx, sph, { limit: 100 });
    const seen = labels(page.rows);
    while (page.more.before) {
      const first = page.rows[0]!;
      page = await timeline.rows(ctx, sph, { before: first.row === "message" ? first.message.pos : 0, limit: 100 });
      seen.unshift(...labels(page.rows));
    }
    expect(seen).toEqual(texts);
    let after = 9;
    const again: string[] = [];
    for (let more = true; more; ) {
      page = await timeline.rows(ctx, sph, { after, limit: 333 });
      again.push(...labels(page.rows));
      more = page.more.after;
      const last = page.rows.at(-1)!;
      after = last.row === "message" ? last.message.pos : after;
    }
    expect(again).toEqual(texts);
  });

  test("cost a page what it shows, wherever it lies (WEB-031)", async () => {
    const { ctx, sph, rows } = made;
    const spent = async (wanted: Parameters<typeof timeline.rows>[2]): Promise<number> => {
      const before = rows();
      expect((await timeline.rows(ctx, sph, wanted)).rows).toHaveLength(wanted.limit);
      return rows() - before;
    };
    await spent({ limit: 10 });
    for (const pos of [100, 2500, 5000]) expect(await spent({ before: pos, limit: 50 })).toBeLessThan(50 * 4);
  });

  test("read, they are all in the index (WEB-033)", async () => {
    const found = await search.find(made.ctx, "row 4321", 5);
    expect(found.found.map((one) => one.text)).toEqual([]);
    const row = (await made.ctx.store.list<MessageRow>("message", { limit: 1 }))[0]![1];
    expect(keyOf(row, made.ctx.id)).toBe(`m${row.n}`);
  });
});
