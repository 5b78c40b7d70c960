/**
 * What only a browser has: the store over its database, compared with the one over memory, step for step. Bundled by
 * `probe.config.ts` and asked by `tests/browser/test_store.py`.
 */

import { browserPlace } from "../../src/client/backend_idb.ts";
import { memoryPlace } from "../../src/client/backend_memory.ts";
import type { Place } from "../../src/client/profile.ts";
import { type Range, type Reader, type Store, openStore } from "../../src/client/store.ts";
import { aeadOpen, aeadSeal, newHeldKey, randomBytes } from "../../src/crypto.ts";
import { CloisterError } from "../../src/errors.ts";

const KEY = new Uint8Array(32).fill(7);
const NAME = "probe";

const open = async (place: Place, key = KEY): Promise<Store> => openStore(await place.tables(), key, { rng: randomBytes });
const code = async (work: Promise<unknown>): Promise<string> => {
  try {
    await work;
    return "";
  } catch (error) {
    return error instanceof CloisterError ? error.code : String(error);
  }
};

function row(n: number, pos: number): Record<string, unknown> {
  const text = `the grey seals ${n} `.repeat(40);
  return { n, sph: "sp-a", pos, mid: `mid-${n % 7}`, cid: `cid-${n}`, dv: "dv-1", seq: n, state: n % 3 ? "sent" : "unreadable", ep: 1, body: { text }, jws: text };
}

/** A small generator, so that both places get the same. */
function generator(seed: number): (below: number) => number {
  let state = seed;
  return (below) => (state = (state * 48271) % 2147483647) % below;
}

async function asked(from: Reader, next: (below: number) => number): Promise<string> {
  const ends = [next(45), next(45)] as const;
  const range: Range = { from: ["sp-a", ends[0]], to: ["sp-a", ends[1]], limit: 1 + next(9), reverse: next(2) === 0 };
  const answers = [
    await from.by("message", "pos", range), await from.by("message", "pos", { prefix: ["sp-a"], reverse: true, limit: 3 }),
    await from.by("message", "mid", { prefix: ["sp-a", `mid-${next(7)}`] }), await from.count("message", { prefix: ["sp-a", "unreadable"] }, "state"),
    await from.list("message", { reverse: next(2) === 0 }), await from.get("message", next(60)),
    await from.list("todo", { prefix: "slot/" }), await from.list("entry", { prefix: ["sp-a"], reverse: true, limit: 2 }), await from.count("entry"),
  ];
  return JSON.stringify(answers);
}

/** The same random steps on a store; what it answers before, within and after each. */
async function played(store: Store, rounds: number): Promise<string[]> {
  const next = generator(1);
  const answers: string[] = [];
  for (let round = 0; round < rounds; round += 1) {
    const fails = next(5) === 0;
    await code(store.step(async (tx) => {
      for (let i = 0; i < 8; i += 1) {
        const n = next(60);
        if (next(4) === 0) tx.drop("message", n);
        else tx.put("message", n, row(n, next(40)));
        tx.put("entry", ["sp-a", next(300)], { h: String(n) });
        tx.put("todo", `${["slot", "slou"][next(2)]}/${n}`, {});
        if (next(3) === 0) tx.drop("todo", `slot/${next(60)}`);
      }
      answers.push(String(await tx.number("message")), await asked(tx, next));
      if (fails) throw new Error("undone");
    }));
    answers.push(await asked(store, next));
  }
  return answers;
}

export async function alike(rounds: number): Promise<number> {
  const browser = browserPlace(NAME);
  const [mine, theirs] = [await open(memoryPlace()), await open(browser)];
  const [expected, found] = [await played(mine, rounds), await played(theirs, rounds)];
  await theirs.close();
  await mine.close();
  const different = expected.findIndex((one, at) => one !== found[at]);
  if (different >= 0) throw new Error(`answer ${different}: ${expected[different]} but ${found[different]}`);
  return found.length;
}

/** What lies there after closing: readable under its key only, and nothing of it in clear. */
export async function lasting(): Promise<Record<string, unknown>> {
  const place = browserPlace(NAME);
  const store = await open(place);
  const count = await store.count("message");
  await store.close();
  const wrong = await code(open(place, new Uint8Array(32)));
  const raw = await new Promise<unknown[]>((done, failed) => {
    const request = indexedDB.open(`${NAME}-tables`);
    request.onerror = () => failed(request.error);
    request.onsuccess = () => {
      const rows = request.result.transaction("message").objectStore("message").getAll();
      rows.onsuccess = () => {
        request.result.close();
        done(rows.result as unknown[]);
      };
    };
  });
  const clear = raw.map((one) => {
    const { box, ...rest } = one as { box: Uint8Array };
    return JSON.stringify(rest) + new TextDecoder("latin1").decode(box);
  }).join("");
  return { count, wrong, clear: clear.includes("seals"), size: clear.length };
}

/** A key the browser keeps: usable by the next page, readable by nobody. */
export async function heldKey(): Promise<Record<string, unknown>> {
  const key = await newHeldKey();
  const first = browserPlace(NAME);
  const [nonce, text] = [randomBytes(12), new TextEncoder().encode("VK")];
  const box = await aeadSeal(key, nonce, text, new Uint8Array());
  await first.documents.set({ session: key, vault: text });
  await first.documents.close();
  const next = browserPlace(NAME);
  const kept = await next.documents.get("session") as CryptoKey;
  const opened = new TextDecoder().decode(await aeadOpen(kept, nonce, box, new Uint8Array()));
  let exported = true;
  try {
    await crypto.subtle.exportKey("raw", kept);
  } catch {
    exported = false;
  }
  await next.documents.set({ session: undefined });
  return { opened, exported, extractable: kept.extractable, gone: (await next.documents.get("session")) === undefined };
}

/** Writes until the disk is full: the step that failed left nothing, and the next small one goes. */
export async function full(megabytes: number): Promise<Record<string, unknown>> {
  const store = await open(browserPlace(NAME));
  const before = await store.count("attach");
  let [fault, written] = ["", 0];
  while (fault === "" && written < megabytes) {
    fault = await code(store.step(async (tx) => {
      tx.put("attach", ["sp-b", String(written)], new Uint8Array(1 << 20));
      tx.put("cursor", "sp-b", written);
    }));
    if (fault === "") written += 1;
  }
  const found = { fault, count: (await store.count("attach")) - before, written, cursor: await store.get<number>("cursor", "sp-b") };
  await store.close();
  return found;
}

/** Milliseconds for a page of 256 messages, sealed and durable, and for reading it: the best of some. */
export async function speed(): Promise<Record<string, number>> {
  const store = await open(browserPlace(NAME));
  const times: Record<string, number> = { write: Infinity, read: Infinity };
  for (let round = 0; round < 8; round += 1) {
    const began = performance.now();
    await store.step(async (tx) => {
      for (let n = 0; n < 256; n += 1) tx.put("message", 1000 * (round + 1) + n, row(1000 * (round + 1) + n, n));
    });
    const middle = performance.now();
    await store.list("message", { from: 1000 * (round + 1), to: 1000 * (round + 1) + 255 });
    times["write"] = Math.min(times["write"]!, middle - began);
    times["read"] = Math.min(times["read"]!, performance.now() - middle);
  }
  await store.close();
  return times;
}

/** Everything goes; the place can be used again at once. */
export async function wiped(): Promise<Record<string, unknown>> {
  const place = browserPlace(NAME);
  const held = await place.documents.get("vault");
  await place.wipe();
  const left = (await indexedDB.databases()).map((one) => one.name).filter((one) => one?.startsWith(NAME));
  return { held: held !== undefined, left, again: (await place.documents.get("vault")) === undefined };
}
