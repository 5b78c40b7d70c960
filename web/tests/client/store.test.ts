/**
 * The store: steps that are whole or not at all, order, indexes, damage (CLT-008, CLT-009, WEB-010).
 */

import { describe, expect, test } from "vitest";

import type { Backend } from "../../src/client/backend.ts";
import { memoryPlace } from "../../src/client/backend_memory.ts";
import type { Event } from "../../src/client/events.ts";
import { Profile } from "../../src/client/profile.ts";
import { type Key, type Store, cursor, meta, move, openStore, putSecret, secret, setMeta } from "../../src/client/store.ts";
import { randomBytes } from "../../src/crypto.ts";
import { DiskTrouble, VaultError } from "../../src/errors.ts";

const KEY = new Uint8Array(32).fill(7);
const row = (n: number, pos: number, more: Record<string, unknown> = {}): Record<string, unknown> =>
  ({ n, sph: "sp-a", pos, mid: `mid-${n}`, cid: `cid-${n}`, dv: "dv-1", seq: n, state: "sent", ep: 1, body: { text: `text ${n}` }, ...more });

async function fresh(): Promise<{ store: Store; backend: Backend; told: Event[]; undone: () => number }> {
  const backend = await memoryPlace().tables();
  const told: Event[] = [];
  let undone = 0;
  const store = await openStore(backend, KEY, { rng: randomBytes, publish: (events) => void told.push(...events), undone: () => void (undone += 1) });
  return { store, backend, told, undone: () => undone };
}

const connected: Event = { event: "Connected", sph: "" };

/** A backend that fails, as a full disk does, at its next writes. */
function failing(backend: Backend): { backend: Backend; fail: (times: number) => void } {
  let times = 0;
  const write: Backend["write"] = async (puts, drops) => {
    if (times > 0) {
      times -= 1;
      throw new DiskTrouble("QuotaExceededError");
    }
    await backend.write(puts, drops);
  };
  return { backend: Object.assign(Object.create(backend) as Backend, {
    get: backend.get.bind(backend), range: backend.range.bind(backend), count: backend.count.bind(backend),
    close: backend.close.bind(backend), clear: backend.clear.bind(backend), write,
  }), fail: (n) => void (times = n) };
}

describe("values", () => {
  test("plain data comes back as it went in", async () => {
    const { store } = await fresh();
    const value = {
      bytes: new Uint8Array([0, 255]), map: new Map([["a", { deep: new Uint8Array(3) }]]), set: new Set(["x"]), text: "¡\u0000¿",
      list: [1, "2", false, [new Uint8Array()]], "\u0000b": "!", nested: { "\u0000m": [["own", 1]], other: 1 },
    };
    await store.step(async (tx) => tx.put("todo", "one", value));
    expect(await store.get("todo", "one")).toEqual(value);
  });

  test("a row is what it was when it was put", async () => {
    const { store } = await fresh();
    const value = { list: [1] };
    await store.step(async (tx) => {
      tx.put("todo", "one", value);
      value.list.push(2);
      const seen = await tx.get<typeof value>("todo", "one");
      seen!.list.push(3);
    });
    expect(await store.get("todo", "one")).toEqual({ list: [1] });
  });

  test("small values, secrets, cursors", async () => {
    const { store } = await fresh();
    expect(await meta(store, "none", 4)).toBe(4);
    await store.step(async (tx) => {
      setMeta(tx, "k", { a: 1 });
      putSecret(tx, "s", new Uint8Array([1]));
      move(tx, "inbox", 7);
    });
    expect([await meta(store, "k"), await secret(store, "s"), await cursor(store, "inbox")]).toEqual([{ a: 1 }, new Uint8Array([1]), 7]);
    await store.step(async (tx) => {
      setMeta(tx, "k", undefined);
      putSecret(tx, "s", undefined);
    });
    expect([await meta(store, "k"), await secret(store, "s")]).toEqual([undefined, undefined]);
  });
});

describe("steps", () => {
  test("a step that fails changes nothing and tells nothing; what was to be kept is kept", async () => {
    const { store, told, undone } = await fresh();
    const kept: unknown[] = [];
    const step = store.step(async (tx) => {
      tx.put("todo", "one", { a: 1 });
      tx.events.push(connected);
      tx.later(async () => {
        await store.step(async (own) => own.put("todo", "kept", { stop: true }));
        kept.push(await store.get("todo", "one"));
      });
      throw new Error("broken");
    });
    await expect(step).rejects.toThrow("broken");
    expect([await store.get("todo", "one"), await store.get("todo", "kept"), kept, told, undone()]).toEqual(
      [undefined, { stop: true }, [undefined], [], 1]);
  });

  test("a full disk is L_DISK, changes nothing, tells nothing, and the next step goes on (CLT-008)", async () => {
    const told: Event[] = [];
    const { backend, fail } = failing(await memoryPlace().tables());
    const store = await openStore(backend, KEY, { rng: randomBytes, publish: (events) => void told.push(...events) });
    fail(1);
    const step = store.step(async (tx) => {
      tx.put("message", 1, row(1, 5));
      move(tx, "sp-a", 5);
      tx.events.push(connected);
    });
    await expect(step).rejects.toMatchObject({ code: "L_DISK" });
    expect([await store.get("message", 1), await cursor(store, "sp-a"), told]).toEqual([undefined, 0, []]);
    await store.step(async (tx) => move(tx, "sp-a", 6));
    expect(await cursor(store, "sp-a")).toBe(6);
  });

  test("events are told after the write", async () => {
    const backend = await memoryPlace().tables();
    const seen: unknown[] = [];
    const store = await openStore(backend, KEY, { rng: randomBytes, publish: () => void seen.push(backend.get("todo", "one")) });
    await store.step(async (tx) => {
      tx.put("todo", "one", {});
      tx.events.push(connected);
      expect(await store.get("todo", "one")).toBeUndefined();
    });
    expect(await seen[0]).toBeDefined();
  });

  test("steps take turns, and a step sees what it wrote", async () => {
    const { store } = await fresh();
    const add = (): Promise<void> => store.step(async (tx) => {
      const before = (await tx.get<{ n: number }>("todo", "count"))?.n ?? 0;
      await Promise.resolve();
      tx.put("todo", "count", { n: before + 1 });
      expect(await tx.get("todo", "count")).toEqual({ n: before + 1 });
    });
    await Promise.all(Array.from({ length: 20 }, add));
    expect(await store.get("todo", "count")).toEqual({ n: 20 });
  });

  test("a step that has ended writes nothing more", async () => {
    const { store } = await fresh();
    const tx = await store.step(async (one) => one);
    expect(() => tx.put("todo", "late", {})).toThrow("ended");
  });

  test("numbers ascend, also over rows that went, undone steps and openings", async () => {
    const { store, backend } = await fresh();
    const take = (from: Store): Promise<number> => from.step((tx) => tx.number("message"));
    await store.step(async (tx) => {
      tx.drop("message", await tx.number("message"));
    });
    await expect(store.step(async (tx) => {
      await Promise.all([tx.number("message"), tx.number("message")]);
      throw new Error("no");
    })).rejects.toThrow();
    expect(await take(store)).toBe(4);
    expect(await take(await openStore(backend, KEY, { rng: randomBytes }))).toBe(5);
  });
});

describe("order", () => {
  const keys = (rows: [Key, unknown][]): Key[] => rows.map(([key]) => key);

  test("ranges of keys and indexes, both ways, with limits, stored and being written", async () => {
    const { store } = await fresh();
    await store.step(async (tx) => {
      for (const [n, pos] of [[1, 30], [2, 10], [3, 20], [4, 20], [12, 5]] as const) tx.put("message", n, row(n, pos));
      tx.put("message", 5, row(5, 15, { sph: "sp-b" }));
      tx.put("message", 6, row(6, 40, { mid: undefined }));
      for (const k of ["slot/a", "slot/b", "slou", "key/1"]) tx.put("todo", k, {});
    });
    const questions = async (from: Pick<Store, "list" | "by" | "count">): Promise<unknown[]> => [
      keys(await from.list("message")),
      keys(await from.by("message", "pos", { prefix: ["sp-a"] })),
      keys(await from.by("message", "pos", { prefix: ["sp-a"], reverse: true, limit: 2 })),
      keys(await from.by("message", "pos", { from: ["sp-a", 10], to: ["sp-a", 20] })),
      keys(await from.by("message", "pos", { from: ["sp-a", 20], to: ["sp-a", 10] })),
      keys(await from.by("message", "mid", { prefix: ["sp-a", "mid-3"] })),
      keys(await from.by("message", "mid", { prefix: ["sp-a"] })).length,
      keys(await from.list("todo", { prefix: "slot/" })),
      await from.count("message"),
      await from.count("message", { from: ["sp-a", 20] }, "pos"),
    ];
    const expected = [
      [1, 2, 3, 4, 5, 6, 12], [12, 2, 3, 4, 1, 6], [6, 1], [2, 3, 4], [], [3], 5, ["slot/a", "slot/b"], 7, 5,
    ];
    expect(await questions(store)).toEqual(expected);
    await store.step(async (tx) => {
      tx.put("message", 3, row(3, 35));
      tx.drop("message", 6);
      tx.put("message", 7, row(7, 11));
      tx.put("todo", "slot/aa", {});
      tx.drop("todo", "slot/b");
      const changed = [
        [1, 2, 3, 4, 5, 7, 12], [12, 2, 7, 4, 1, 3], [3, 1], [2, 7, 4], [], [3], 6, ["slot/a", "slot/aa"], 7, 4,
      ];
      expect(await questions(tx)).toEqual(changed);
    });
    expect(keys(await store.by("message", "pos", { prefix: ["sp-a"] }))).toEqual([12, 2, 7, 4, 1, 3]);
  });

  test("random rows: every range agrees with a plain sort", async () => {
    const { store } = await fresh();
    let seed = 1;
    const next = (below: number): number => (seed = (seed * 48271) % 2147483647) % below;
    const held = new Map<number, Record<string, unknown>>();
    for (let round = 0; round < 30; round += 1) {
      await store.step(async (tx) => {
        for (let i = 0; i < 10; i += 1) {
          const n = next(60);
          if (next(4) === 0) {
            tx.drop("message", n);
            held.delete(n);
          } else {
            held.set(n, row(n, next(40)));
            tx.put("message", n, held.get(n));
          }
        }
        const [from, to, limit, reverse] = [next(40), next(40), 1 + next(10), next(2) === 0];
        const found = keys(await tx.by("message", "pos", { from: ["sp-a", from], to: ["sp-a", to], limit, reverse }));
        const sorted = [...held.values()].filter((one) => (one["pos"] as number) >= from && (one["pos"] as number) <= to)
          .sort((one, other) => (one["pos"] as number) - (other["pos"] as number) || (one["n"] as number) - (other["n"] as number));
        if (reverse) sorted.reverse();
        expect(found).toEqual(sorted.slice(0, limit).map((one) => one["n"]));
      });
    }
  });
});

describe("what lies there", () => {
  test("nothing of a value, and no key of a wrong hand", async () => {
    const place = memoryPlace();
    const backend = await place.tables();
    const store = await openStore(backend, KEY, { rng: randomBytes });
    await store.step(async (tx) => tx.put("message", 1, row(1, 1, { body: { text: "the grey seals" } })));
    const stored = (await backend.get("message", 1))!;
    expect(Buffer.from(stored.box).toString("latin1")).not.toContain("seals");
    expect(JSON.stringify([stored.key, stored.indexes])).not.toContain("seals");
    await expect(openStore(backend, new Uint8Array(32), { rng: randomBytes })).rejects.toBeInstanceOf(VaultError);
  });

  test("a damaged record is C_VAULT and loses no other; one moved elsewhere or filed elsewhere is damaged (WEB-010)", async () => {
    const { store, backend } = await fresh();
    await store.step(async (tx) => {
      for (let n = 1; n <= 4; n += 1) tx.put("message", n, row(n, n));
    });
    const [one, two, three] = await Promise.all([1, 2, 3].map(async (n) => (await backend.get("message", n))!));
    const flipped = Uint8Array.from(one!.box);
    flipped[20]! ^= 1;
    await backend.write([
      ["message", { ...one!, box: flipped }],
      ["message", { ...two!, key: 3, indexes: three!.indexes }],
      ["message", { ...two!, indexes: { ...two!.indexes, pos: ["sp-a", 9, 2] } }],
    ], []);
    for (const n of [1, 2, 3]) await expect(store.get("message", n)).rejects.toMatchObject({ code: "C_VAULT" });
    expect(await store.get("message", 4)).toMatchObject({ n: 4 });
    // Control: what was not touched opens.
    await backend.write([["message", two!]], []);
    expect(await store.get("message", 2)).toMatchObject({ n: 2 });
  });

  test("a store of a newer version is refused", async () => {
    const { store, backend } = await fresh();
    await store.step(async (tx) => tx.put("meta", "store/version", 2));
    await expect(openStore(backend, KEY, { rng: randomBytes })).rejects.toBeInstanceOf(VaultError);
  });

  test("a page of 256 messages is sealed in less than 100 ms", async () => {
    const { store } = await fresh();
    const text = "x".repeat(900);
    const page = async (first: number): Promise<number> => {
      const began = performance.now();
      await store.step(async (tx) => {
        for (let n = first; n < first + 256; n += 1) tx.put("message", n, row(n, n, { jws: text, body: { text } }));
      });
      return performance.now() - began;
    };
    const times: number[] = [];
    for (let round = 0; round < 5; round += 1) times.push(await page(1 + round * 256));
    expect(Math.min(...times)).toBeLessThan(100);
  });
});

test("writers of one thing take turns; another thing does not wait (CLT-012)", async () => {
  const profile = new Profile(memoryPlace(), randomBytes);
  const order: string[] = [];
  let open = (): void => {};
  const gate = new Promise<void>((done) => (open = done));
  const first = profile.writer("sp-a", async () => {
    await gate;
    order.push("first");
    throw new Error("its own trouble");
  });
  const second = profile.writer("sp-a", async () => void order.push("second"));
  await profile.writer("sp-b", async () => void order.push("other"));
  open();
  await expect(first).rejects.toThrow("its own trouble");
  await second;
  expect(order).toEqual(["other", "first", "second"]);
});
