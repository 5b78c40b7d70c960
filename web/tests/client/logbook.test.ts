/** Following a log: every entry verified, and what a relay that shows another one gets (CLT-019 to CLT-022). */

import { describe, expect, test } from "vitest";

import * as logbook from "../../src/client/logbook.ts";
import * as people from "../../src/client/people.ts";
import * as stops from "../../src/client/stops.ts";
import { LogFork, LogInvalid, LogRollback, UsageError } from "../../src/errors.ts";
import { b64e } from "../../src/protocol/encoding.ts";
import * as entries from "../../src/protocol/entry.ts";
import { replay } from "../../src/protocol/fork.ts";
import { History } from "../../src/protocol/history.ts";
import { type Reading, Room, type Shown, type Someone, honest, reader, someone } from "./room.ts";

const codes = ({ told }: Reading): string[] => told.flatMap((one) => (one.event === "Stopped" ? [one.stop.code] : []));

/** Two copies of one sphere that go on apart. */
async function split(): Promise<{ ada: Someone; bo: Someone; one: Room; other: Room }> {
  const [ada, bo] = [await someone("ada"), await someone("bo")];
  const one = await Room.of(ada, bo);
  const other = new Room();
  Object.assign(other, { entries: [...one.entries], attached: one.attached, keys: new Map(one.keys) });
  other.history = await replayed(one);
  await one.commit(ada, { op: "epoch" });
  await other.commit(ada, { op: "epoch" });
  return { ada, bo, one, other };
}

async function replayed(room: Room): Promise<Room["history"]> {
  const [first, ...rest] = await replay(room.entries, room.attached);
  const made = new History(first!);
  for (const state of rest) made.append(state);
  return made;
}

describe("a log", () => {
  test("is followed from the own head on, and told (CLT-019, CLT-009)", async () => {
    const [ada, bo] = [await someone("ada"), await someone("bo")];
    const room = await Room.of(ada);
    const here = await reader(room, ada);
    await here.follow();
    await room.admit(ada, bo);
    await room.commit(ada, { op: "role", id: bo.id, role: "admin" });
    expect(await logbook.pull(here.ctx, await here.rep())).toBe(room.entries.length - 2);
    expect((await here.rep()).history!.seq).toBe(room.entries.length - 1);
    expect(here.told.map((one) => one.event)).toEqual(expect.arrayContaining(["MemberAdded", "RoleChanged"]));
    here.ctx.replicas.clear();
    expect((await here.rep()).state!.members.get(bo.id)!.role).toBe("admin");
  });

  test("shorter than seen is a rollback, lifted only once it is whole again (CLT-020, CLT-021)", async () => {
    const { ada, one } = await split();
    const short: Partial<Shown> = {};
    const here = await reader(one, ada, short);
    await here.follow();
    Object.assign(here.ctx.relay, { log: async () => ({ entries: [], head: { seq: 1, h: "" } }) });
    await expect(logbook.pull(here.ctx, await here.rep())).rejects.toBeInstanceOf(LogRollback);
    expect(codes(here)).toEqual(["C_LOG_ROLLBACK"]);
    const rep = await here.rep();
    expect(() => stops.requireNone(rep)).toThrow(LogRollback);
    await expect(stops.acknowledge(here.ctx, rep, "C_LOG_ROLLBACK")).rejects.toBeInstanceOf(UsageError);
    Object.assign(here.ctx.relay, honest(one));
    await logbook.pull(here.ctx, rep);
    await stops.acknowledge(here.ctx, rep, "C_LOG_ROLLBACK");
    stops.requireNone(await here.rep());
  });

  test("of another history is a fork with both sides as evidence, for ever (CLT-020, LOG-024)", async () => {
    const { ada, one, other } = await split();
    const here = await reader(one, ada);
    await here.follow();
    Object.assign(here.ctx.relay, honest(other));
    await expect(logbook.pull(here.ctx, await here.rep())).rejects.toBeInstanceOf(LogFork);
    const { stop } = (await here.rep()).note;
    expect(stop).toMatchObject({ code: "C_LOG_FORK", acknowledgeable: false });
    const { evidence } = stop!.data as { evidence: { common: number; mine: string[]; theirs: string[] } };
    expect(evidence.common).toBe(one.entries.length - 2);
    expect([evidence.mine[0], evidence.theirs[0]]).toEqual([one.entries.at(-1), other.entries.at(-1)]);
    await expect(stops.acknowledge(here.ctx, await here.rep(), "C_LOG_FORK")).rejects.toBeInstanceOf(UsageError);
  });

  test("that does not verify enters nothing and stops (CLT-019, CLT-021)", async () => {
    const { ada, one, other } = await split();
    const here = await reader(one, ada, { log: async (sph, start, limit) => {
      const shown = await honest(one).log(sph, start, limit);
      return { ...shown, entries: shown.entries.map((compact, at) => (start + at === 2 ? flipped(compact) : compact)) };
    } });
    await expect(here.follow()).rejects.toBeInstanceOf(LogInvalid);
    expect((await here.rep()).history).toBeUndefined();
    expect(await here.ctx.store.count("entry")).toBe(0);
    expect(codes(here)).toEqual(["C_LOG_INVALID"]);
    const there = await reader(other, ada, honest(await Room.of(ada)));
    await expect(there.follow()).rejects.toBeInstanceOf(LogInvalid);
  });

  test("proved by a member's letter is a fork; a proof of nothing settles the claim (CLT-020)", async () => {
    const { ada, bo, one, other } = await split();
    const here = await reader(one, ada);
    await here.follow();
    const at = one.entries.length - 1;
    const claim = { ls: at, lh: b64e(entries.decode(other.entries.at(-1)!).digest), at: 1, asked: 1, from: 0, hi: at };
    const attached = [...other.attached.values()];
    expect(await logbook.judgeProof(here.ctx, await here.rep(), claim, one.entries, attached)).toBeUndefined();
    expect(await logbook.judgeProof(here.ctx, await here.rep(), claim, [], [])).toBeUndefined();
    expect(codes(here)).toEqual([]);
    expect(await logbook.judgeProof(here.ctx, await here.rep(), claim, other.entries, attached)).toBeUndefined();
    expect(codes(here)).toEqual(["C_LOG_FORK"]);
    const { entries: shown } = await logbook.shownFrom(here.ctx.store, one.sph, 1);
    expect(shown).toEqual(one.entries.slice(1));
    expect(bo.id).not.toBe(ada.id);
  });

  test("that names a head it does not show makes sending wait (CLT-015)", async () => {
    const { ada, one } = await split();
    const here = await reader(one, ada, { log: async (sph, start, limit) => {
      const shown = await honest(one).log(sph, start, limit);
      return { ...shown, head: { ...shown.head, seq: shown.head.seq + 3 } };
    } });
    await here.follow();
    expect((await here.rep()).note["wanted"]).toBe(one.entries.length + 2);
  });
});

/** The same entry with one bit of its signature another. */
function flipped(compact: string): string {
  const last = compact.lastIndexOf(".") + 5;
  return compact.slice(0, last) + (compact[last] === "A" ? "B" : "A") + compact.slice(last + 1);
}

describe("people", () => {
  test("with another identity key than pinned are told of, and stop sending where they were confirmed (CLT-022)", async () => {
    const [ada, bo] = [await someone("ada"), await someone("bo")];
    const room = await Room.of(ada, bo);
    const here = await reader(room, ada);
    await here.ctx.store.step(async (tx) => void (await people.putPin(tx, bo.id, { login: "bo", thumb: "x".repeat(43), confirmed: true })));
    await here.follow();
    expect(here.told.filter((one) => one.event === "IdentityChanged")).toMatchObject([{ id: bo.id, confirmed: true }]);
    expect(codes(here)).toEqual(["C_KEY_CHANGED"]);
    await stops.acknowledge(here.ctx, await here.rep(), "C_KEY_CHANGED");
    expect(await people.pin(here.ctx.store, bo.id)).toMatchObject({ confirmed: false, changed: true });
  });

  test("a known login under another id is told of (CLT-022)", async () => {
    const [ada, bo, false_] = [await someone("ada"), await someone("bo"), await someone("bo")];
    const room = await Room.of(ada, false_);
    const here = await reader(room, ada);
    await here.ctx.store.step(async (tx) => void (await people.putPin(tx, bo.id, { login: "bo", thumb: "y".repeat(43), petname: "Bo" })));
    await here.follow();
    expect(here.told.filter((one) => one.event === "IdentityChanged")).toMatchObject([{ id: false_.id, confirmed: false }]);
    const rows = await people.people(here.ctx.store, room.state, ada.id);
    expect(rows.map((one) => [one.name, one.role, one.changed])).toEqual([["ada", "owner", false], ["bo", "member", true]]);
    expect(people.find(rows, "BO").id).toBe(false_.id);
    expect(() => people.find(rows, "nobody")).toThrow();
  });

  test("are called by a name on one line (CLT-023)", () => {
    expect(people.clean(" a\u202eb\tc\u0000\n d\u200b ")).toBe("ab c d");
    expect([...people.clean("🦀".repeat(100))]).toHaveLength(64);
  });
});
