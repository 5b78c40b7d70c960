/** Letters without end: shares that wait for their entry have bounds, and one device is answered so many times (CLT-017). */

import { afterAll, beforeAll, expect, test } from "vitest";

import { now, replica } from "../../src/client/context.ts";
import * as kept from "../../src/client/kept.ts";
import * as keys from "../../src/client/keys.ts";
import { saveNote } from "../../src/client/replica.ts";
import * as spheres from "../../src/client/sphere.ts";
import { b64e } from "../../src/protocol/encoding.ts";
import { type TestRelay, startRelay } from "../relay.ts";
import { type Member, signUp, sync, together } from "./members.ts";

let relay: TestRelay;
let ada: Member;
let bo: Member;
let sph: string;

beforeAll(async () => {
  relay = await startRelay();
  [ada, bo] = [await signUp(relay, "ada"), await signUp(relay, "bo")];
  sph = await together("Harbour", ada, bo);
});
afterAll(() => relay.stop());

const waiting = async (): Promise<number> => (await ada.ctx.store.list("todo", { prefix: "letter/" })).length;
const looks = (from: number): number => ada.wire.seen.slice(from).filter((one) => one === `GET /spheres/${sph}/log`).length;

test("shares of epochs that never come: so many of one device, one look at the log in a round, and an end", async () => {
  const to = { idR: ada.ctx.id, dvR: ada.ctx.dv, kem: "xwing", ct: b64e(new Uint8Array(1168)) };
  for (let n = 0; n < kept.PER_SENDER + 6; n += 1) {
    const share = await keys.letter(bo.ctx, sph, "share", { n: 4_000_000_000 + n, ...to });
    await bo.ctx.relay.post([ada.ctx.dv], share);
  }
  await sync(ada);
  expect(await waiting()).toBe(kept.PER_SENDER);
  const since = ada.wire.seen.length;
  await sync(ada);
  expect(looks(since)).toBeLessThan(6);
  ada.skew = 31 * 86_400;
  await kept.bySphere(ada.ctx);
  ada.skew = 0;
  expect(await waiting()).toBe(0);
});

test("the same question again and again is answered up to a bound, and again after ten minutes", async () => {
  for (let n = 0; n < 3; n += 1) await spheres.rotate(ada.ctx, sph, "");
  await sync(bo, ada);
  const rep = await replica(ada.ctx, sph);
  await ada.ctx.store.step(async (tx) => {
    rep.note["handed"] = { [bo.ctx.dv]: { at: now(ada.ctx), n: 509 } };
    saveNote(tx, rep);
  });
  const answers = async (): Promise<number> => {
    const since = ada.wire.seen.length;
    const ask = await keys.letter(bo.ctx, sph, "ask", { ns: [1, 2, 3, 4] });
    await bo.ctx.relay.post([ada.ctx.dv], ask);
    await sync(ada);
    return ada.wire.seen.slice(since).filter((one) => one === "POST /inbox").length;
  };
  expect([await answers(), await answers()]).toEqual([3, 0]);
  ada.skew = keys.ASK_AGAIN + 1;
  expect(await answers()).toBe(4);
  ada.skew = 0;
});

test("a stored key that is not the epoch's is as good as missing, and the true one takes its place", async () => {
  const held = async (): Promise<boolean> => {
    ada.ctx.replicas.clear();
    return (await spheres.sphere(ada.ctx, sph)).haveKey;
  };
  const { epoch } = await spheres.sphere(ada.ctx, sph);
  await ada.ctx.store.step(async (tx) => tx.put("epochKey", [sph, epoch], { secret: new Uint8Array(32), slot: 1 }));
  expect(await held()).toBe(false);
  await sync(ada);
  expect(await held()).toBe(true);
});
