/**
 * Sending while the live connection stands: over it, each word once, also when it breaks or the relay asks for patience;
 * and a terminal's client that writes and makes keys at the same moment (CLT-013, CLT-014,
 * CLT-033, STR-014, WEB-041).
 */

import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test, vi } from "vitest";

import { replica } from "../../src/client/context.ts";
import * as delivery from "../../src/client/delivery.ts";
import * as live from "../../src/client/live.ts";
import type { Message, SphereInfo } from "../../src/client/records.ts";
import * as spheres from "../../src/client/sphere.ts";
import { Busy } from "../../src/errors.ts";
import { type TestRelay, startRelay } from "../relay.ts";
import { type Member, clear, say, signUp, sync, texts, together } from "./members.ts";
import { type Terminal, terminal } from "./terminal.ts";

vi.mock("../../src/crypto/argon2.ts", async (real) => (await import("../cheap.ts")).cheap(real));

let relay: TestRelay;
let ada: Member;
let bo: Member;
let sph: string;
let closed: AbortController;
let runs: Promise<void>[];

beforeAll(async () => {
  relay = await startRelay();
  ada = await signUp(relay, "ada");
  bo = await signUp(relay, "bo");
});

beforeEach(async () => {
  sph = await together("Harbour", ada, bo);
  closed = new AbortController();
  runs = [];
});

afterEach(async () => {
  closed.abort();
  await Promise.all(runs);
  for (const one of [ada, bo]) one.wire.fate = () => "sent";
  await clear(ada, bo);
});

afterAll(() => relay.stop());

/** When the events of a member hold what is looked for. */
async function heard(one: Member, fits: (event: Member["events"][number]) => boolean): Promise<void> {
  while (!one.events.some(fits)) await new Promise((done) => setImmediate(done));
}

async function connect(one: Member): Promise<void> {
  one.events.length = 0;
  runs.push(live.run(one.ctx, closed.signal));
  await heard(one, (event) => event.event === "Connected");
}

const posted = (one: Member): number => one.wire.seen.filter((path) => path.startsWith("POST") && path.endsWith("/messages")).length;

describe("live", () => {
  test("words go over the standing connection and arrive unasked", async () => {
    await connect(ada);
    await connect(bo);
    const before = posted(ada);
    for (const text of ["one", "two", "three"]) await spheres.send(ada.ctx, sph, text);
    await heard(bo, (event) => event.event === "MessageReceived" && event.message.text === "three");
    await delivery.idle(ada.ctx);
    expect(posted(ada)).toBe(before);
    expect(await texts(bo, sph)).toEqual(["one", "two", "three"]);
    expect(ada.events.filter((event) => event.event === "MessageSent")).toHaveLength(3);
  });

  test("an item is answered at once, with much in the queue", async () => {
    await connect(ada);
    const took: number[] = [];
    for (let n = 0; n < 40; n += 1) {
      const start = performance.now();
      await spheres.send(ada.ctx, sph, `text ${n}`);
      took.push(performance.now() - start);
    }
    await delivery.idle(ada.ctx);
    took.sort((one, other) => one - other);
    expect(took[20]).toBeLessThan(50);
    await sync(bo);
    expect(await texts(bo, sph)).toEqual(Array.from({ length: 40 }, (_, n) => `text ${n}`));
  });

  test("a relay that goes away in between loses nothing and repeats nothing", async () => {
    await connect(ada);
    await say(ada, sph, "before");
    await relay.halt();
    await say(ada, sph, "meanwhile");
    expect(await texts(ada, sph)).toEqual(["before", "(meanwhile)"]);
    await relay.start();
    closed.abort();
    await Promise.all(runs);
    await sync(ada, bo);
    expect(await texts(bo, sph)).toEqual(["before", "meanwhile"]);
    expect(await spheres.outbox(ada.ctx)).toEqual([]);
  });

  test("a relay that asks for patience is tried again by itself", async () => {
    const busy = { status: 503, body: new TextEncoder().encode(`{"code":"E_BUSY"}`), headers: {} };
    let times = 0;
    ada.wire.fate = (sent) => (/\/messages$/.test(sent.path) && (times += 1) <= 2 ? busy : "sent");
    const pauses: number[] = [];
    const patient = { ...ada.ctx, pause: async (seconds: number) => void pauses.push(seconds) };
    await spheres.send(patient, sph, "patience");
    await delivery.idle(patient);
    expect(pauses).toHaveLength(2);
    expect(pauses[0]).toBeLessThanOrEqual(1);
    expect(pauses[1]).toBeLessThanOrEqual(2);
    await sync(bo);
    expect(await texts(bo, sph)).toEqual(["patience"]);
  });

  test("a commit that has to wait keeps nobody from reading", async () => {
    const busy = { status: 503, body: new TextEncoder().encode(`{"code":"E_BUSY"}`), headers: {} };
    ada.wire.fate = (sent) => (/\/commits$/.test(sent.path) ? busy : "sent");
    await expect(spheres.rotate(ada.ctx, sph, "")).rejects.toThrow(Busy);
    await say(bo, sph, "meanwhile");
    await sync(ada);
    expect(await texts(ada, sph)).toEqual(["meanwhile"]);
    ada.wire.fate = () => "sent";
    await sync(ada, bo);
    expect((await spheres.info(bo.ctx, await replica(bo.ctx, sph))).epoch).toBe(2);
  });

  test("the time a relay asks for is waited out, whatever is written meanwhile", async () => {
    const body = new TextEncoder().encode(`{"code":"E_RATE","retry_after":7}`);
    let times = 0;
    ada.wire.fate = (sent) => (/\/messages$/.test(sent.path) && (times += 1) === 1 ? { status: 429, body, headers: {} } : "sent");
    const pauses: number[] = [];
    let over = (): void => undefined;
    const waited = new Promise<void>((done) => (over = done));
    let waits = (): void => undefined;
    const began = new Promise<void>((done) => (waits = done));
    const pause = (seconds: number): Promise<void> => {
      pauses.push(seconds);
      waits();
      return waited;
    };
    const patient = { ...ada.ctx, pause };
    await spheres.send(patient, sph, "first");
    await began;
    await spheres.send(patient, sph, "second");
    for (let ticks = 0; ticks < 50; ticks += 1) await new Promise((done) => setImmediate(done));
    expect([times, pauses]).toEqual([1, [7]]);
    over();
    await delivery.idle(patient);
    await sync(bo);
    expect(await texts(bo, sph)).toEqual(["first", "second"]);
  });

  test("an item that comes while the runner looks for the last time is sent too", async () => {
    for (let n = 0; n < 12; n += 1) {
      const first = spheres.send(ada.ctx, sph, `a${n}`);
      for (let ticks = 0; ticks < n; ticks += 1) await new Promise((done) => setImmediate(done));
      await Promise.all([first, spheres.send(ada.ctx, sph, `b${n}`)]);
      await delivery.idle(ada.ctx);
      expect(await spheres.outbox(ada.ctx)).toEqual([]);
    }
    await sync(bo);
    expect(await texts(bo, sph)).toHaveLength(24);
  });
});

describe("with a terminal at the same moment", () => {
  let eve: Terminal;

  beforeAll(() => {
    eve = terminal(relay, "eve");
  });

  afterAll(() => eve.end());

  test("both write and make keys; every word is read by all, once", async () => {
    const { url } = await spheres.invite(ada.ctx, sph, { uses: 1, seconds: 600, role: "admin", admit: "auto" });
    await eve.do("sign_up", { login: "eve", password: "seven-eve-grey-seals-on-a-rock", link: url });
    await sync(ada);
    await eve.do("sync");
    expect(await eve.do<SphereInfo[]>("spheres")).toHaveLength(1);
    // Who makes a key while everybody does may be asked to come again later; what was begun is settled then.
    const busy = (error: unknown): void => expect(String(error)).toMatch(/E_BUSY|Busy/) as void;
    const theirs = async (): Promise<void> => {
      for (let n = 0; n < 4; n += 1) {
        await eve.do("send", { sph, text: `eve ${n}` });
        await eve.do("rotate", { sph }).catch(busy);
      }
    };
    const mine = async (): Promise<void> => {
      for (let n = 0; n < 8; n += 1) {
        await say(ada, sph, `ada ${n}`);
        if (n % 3 === 0) await spheres.rotate(ada.ctx, sph, "").catch(busy);
      }
    };
    await Promise.all([theirs(), mine()]);
    await eve.do("sync");
    await sync(ada, bo, ada, bo);
    await eve.do("sync");
    const read = await texts(ada, sph);
    expect(new Set(read)).toEqual(new Set([
      ...Array.from({ length: 8 }, (_, n) => `ada ${n}`), ...Array.from({ length: 4 }, (_, n) => `eve ${n}`),
    ]));
    expect(read).toHaveLength(12);
    expect(read.filter((text) => text.startsWith("ada"))).toEqual(Array.from({ length: 8 }, (_, n) => `ada ${n}`));
    expect(await texts(bo, sph)).toEqual(read);
    expect((await eve.do<Message[]>("messages", { sph })).map((one) => one.text)).toEqual(read);
  });
});
