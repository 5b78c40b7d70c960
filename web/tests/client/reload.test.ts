/**
 * A reload between any two durable steps: the profile ends at each of its writes in turn, is opened again from what is
 * durable, and nothing acknowledged is lost, nothing is there twice (CLT-008, CLT-013, CLT-014).
 */

import { afterAll, beforeAll, beforeEach, expect, test, vi } from "vitest";

import { replica } from "../../src/client/context.ts";
import * as delivery from "../../src/client/delivery.ts";
import { known } from "../../src/client/replica.ts";
import * as spheres from "../../src/client/sphere.ts";
import { type TestRelay, startRelay } from "../relay.ts";
import { Ended, type Member, clear, reopen, signUp, sync, texts, together } from "./members.ts";

vi.mock("../../src/crypto/argon2.ts", async (real) => (await import("../cheap.ts")).cheap(real));

let relay: TestRelay;
let ada: Member;
let bo: Member;
let sph: string;

beforeAll(async () => {
  relay = await startRelay();
  ada = await signUp(relay, "ada");
  bo = await signUp(relay, "bo");
});

beforeEach(async () => {
  await reopen(ada);
  await reopen(bo);
  await clear(ada, bo);
  sph = await together("Harbour", ada, bo);
});

afterAll(() => relay.stop());

/** Whether `work` came to its end before the profile did. */
async function survives(member: Member, work: () => Promise<unknown>): Promise<boolean> {
  let whole = true;
  const part = async (run: () => Promise<unknown>): Promise<void> => {
    try {
      await run();
    } catch (error) {
      if (!(error instanceof Ended)) throw error;
      whole = false;
    }
  };
  await part(work);
  await part(() => delivery.idle(member.ctx));
  return whole;
}

/** Let `act`, `prepare`d each time, end at each of its durable writes, before and after it; open again, catch up, and look. */
async function everywhere(
  member: Member,
  act: (cut: string) => Promise<unknown>,
  check: (cut: string, answered: boolean) => Promise<void>,
  sides: readonly boolean[] = [false, true],
  prepare: () => Promise<unknown> = async () => undefined,
): Promise<number> {
  let cuts = 0;
  for (const after of sides) {
    for (let write = 1; ; write += 1) {
      const cut = `${after ? "after" : "before"} ${write}`;
      await prepare();
      await reopen(member, { write, after });
      let answered = false;
      const whole = await survives(member, async () => {
        await act(cut);
        answered = true;
      });
      await reopen(member);
      await sync(member);
      await check(cut, answered);
      if (whole) break;
      cuts += 1;
    }
  }
  return cuts;
}

test("a message", async () => {
  const said: string[] = [];
  const cuts = await everywhere(ada, (cut) => spheres.send(ada.ctx, sph, cut), async (cut, answered) => {
    await sync(bo);
    const read = await texts(bo, sph);
    expect(await texts(ada, sph), cut).toEqual(read);
    const times = read.filter((one) => one === cut).length;
    if (answered) expect(times, cut).toBe(1);
    else expect(times, cut).toBeLessThanOrEqual(1);
    if (times === 1) said.push(cut);
    expect(read, cut).toEqual(said);
    expect(await spheres.outbox(ada.ctx), cut).toEqual([]);
  });
  expect(cuts).toBeGreaterThanOrEqual(6);
});

test("a new key with the words that ask for it", async () => {
  const cuts = await everywhere(bo, async (cut) => {
    await spheres.change(ada.ctx, sph, ({ state }) => (state!.hard ? [] : [{ op: "mark" }]));
    await spheres.send(bo.ctx, sph, cut);
  }, async (cut, answered) => {
    await sync(ada);
    const read = await texts(ada, sph);
    if (answered) expect(read.filter((one) => one === cut), cut).toHaveLength(1);
    expect(await texts(bo, sph), cut).toEqual(read);
    expect(read.some((one) => one.startsWith("<") || one.startsWith("(")), cut).toBe(false);
    const { state } = known(await replica(ada.ctx, sph));
    for (const one of [ada, bo]) expect((await replica(one.ctx, sph)).keys.has(state.epoch!.n), cut).toBe(true);
    expect(await bo.ctx.store.list("pledge"), cut).toEqual([]);
  });
  expect(cuts).toBeGreaterThanOrEqual(6);
});

test("a new sphere", async () => {
  const before = new Set(await ada.ctx.relay.spheres());
  const fresh = async (): Promise<string[]> => (await ada.ctx.relay.spheres()).filter((one) => !before.has(one));
  const cuts = await everywhere(ada, (cut) => spheres.createSphere(ada.ctx, cut), async (cut, answered) => {
    const mine = (await spheres.spheres(ada.ctx, true)).filter((one) => one.title === cut);
    if (answered) expect(mine, cut).toHaveLength(1);
    for (const one of mine) expect([one.status, one.epoch, one.haveKey], cut).toEqual(["active", 1, true]);
    expect(await ada.ctx.store.list("pledge"), cut).toEqual([]);
    const held = (await spheres.spheres(ada.ctx, true)).filter((one) => one.sph !== sph);
    for (const one of held) expect(one.seq, cut).toBeGreaterThan(0);
    expect(held.map((one) => one.sph).sort(), cut).toEqual((await fresh()).sort());
  });
  expect(cuts).toBeGreaterThanOrEqual(4);
}, 120_000);

const inside = async (): Promise<unknown> => {
  const { status, haveKey } = await spheres.sphere(bo.ctx, sph);
  return [status, haveKey];
};

test("letting somebody in", async () => {
  const gone = await together("Harbour", ada, bo);
  await clear(bo);
  const { url } = await spheres.invite(ada.ctx, gone, { uses: 99, seconds: 600, role: "member", admit: "ask" });
  sph = gone;
  const cuts = await everywhere(ada, async () => {
    await spheres.change(ada.ctx, sph, ({ state }) =>
      state!.members.get(bo.vault.account)!.role === "none" ? [] : [{ op: "remove", id: bo.vault.account }]);
    await clear(bo);
    await spheres.join(bo.ctx, url);
    const [asked] = await spheres.requests(ada.ctx, sph);
    await spheres.admit(ada.ctx, sph, asked!.hash, { confirmed: false, role: "member" });
  }, async (cut, answered) => {
    const { state } = known(await replica(ada.ctx, sph));
    const role = state.members.get(bo.vault.account)!.role;
    if (answered) expect(role, cut).toBe("member");
    for (const asked of await spheres.requests(ada.ctx, sph)) {
      await spheres.admit(ada.ctx, sph, asked.hash, { confirmed: false, role: "member" });
    }
    if ((await spheres.pending(bo.ctx)).length > 0) {
      await sync(bo);
      expect(await inside(), cut).toEqual(["active", true]);
    }
    expect(await ada.ctx.store.list("pledge"), cut).toEqual([]);
  }, [false]);
  expect(cuts).toBeGreaterThanOrEqual(6);
}, 120_000);

test("coming in", async () => {
  const { url } = await spheres.invite(ada.ctx, sph, { uses: 99, seconds: 600, role: "member", admit: "auto" });
  const out = async (): Promise<void> => {
    await spheres.change(ada.ctx, sph, ({ state }) =>
      state!.members.get(bo.vault.account)!.role === "none" ? [] : [{ op: "remove", id: bo.vault.account }]);
    await sync(bo);
  };
  const cuts = await everywhere(bo, async () => {
    await spheres.join(bo.ctx, url);
    await sync(ada);
    await sync(bo);
  }, async (cut, answered) => {
    if (answered) expect(await inside(), cut).toEqual(["active", true]);
    await sync(ada, bo);
    if ((await spheres.sphere(bo.ctx, sph)).status === "active") expect(await inside(), cut).toEqual(["active", true]);
  }, [false], out);
  expect(cuts).toBeGreaterThanOrEqual(6);
}, 120_000);
