/** Live transfer with members and a relay that ask too much of it: bounds of LIVE-010 and LIVE-014, and organisations. */

import { afterAll, afterEach, beforeAll, expect, test } from "vitest";

import { now, replica, signer } from "../../src/client/context.ts";
import * as transfers from "../../src/client/live_transfer.ts";
import { known } from "../../src/client/replica.ts";
import * as spheres from "../../src/client/sphere.ts";
import { rsaGenerate } from "../../src/crypto.ts";
import * as live from "../../src/sphere/live.ts";
import { type TestRelay, startRelay } from "../relay.ts";
import { type Member, further, signUp, sync } from "./members.ts";

let relay: TestRelay;
let ada: Member;
let mal: Member;
let bo: Member;
let sph: string;

const ONE = { uses: 1, seconds: 3600, role: "member", admit: "auto" } as const;

async function letIn(one: Member, where: string): Promise<void> {
  await spheres.join(one.ctx, (await spheres.invite(ada.ctx, where, ONE)).url);
  await sync(ada, one);
}

/** Live messages go nowhere by themselves; the relay says to how many they went. */
function byHand(one: Member, reached: number): string[] {
  const kept: string[] = [];
  one.wire.fate = ({ path, body }) => {
    if (!path.endsWith("/live")) return "sent";
    kept.push((JSON.parse(new TextDecoder().decode(body)) as { jws: string }).jws);
    return { status: 200, headers: {}, body: new TextEncoder().encode(JSON.stringify({ reached })) };
  };
  return kept;
}

beforeAll(async () => {
  relay = await startRelay();
  [ada, mal, bo] = [await signUp(relay, "ada"), await signUp(relay, "mal"), await signUp(relay, "bo")];
  await further(relay, ada);
  await sync(ada);
  ({ sph } = await spheres.createSphere(ada.ctx, "Harbour", { delivery: "live" }));
  for (const one of [mal, bo]) await letIn(one, sph);
  await sync(ada, mal, bo);
});
afterEach(() => {
  for (const one of [ada, mal, bo]) one.wire.fate = () => "sent";
});
afterAll(() => relay.stop());

test("whoever asks without end gets four offers, of which the last can be opened, and others are answered", async () => {
  const said = byHand(ada, 1);
  const { modulus: epk, unseal } = await rsaGenerate();
  const m = mal.ctx;
  for (let i = 0; i < 10; i += 1) {
    const asked = { sph, me: { id: m.id, dv: m.dv }, ns: [1], epk, unseal, now: now(m) };
    await transfers.take(ada.ctx, sph, (await live.ask(asked, signer(m), m.rng)).jws);
  }
  expect(said.length).toBe(transfers.MAX_SEEN);
  expect(ada.ctx.transfers.answered.size).toBe(1);
  const his = byHand(bo, 1);
  await transfers.ask(bo.ctx, await replica(bo.ctx, sph));
  await transfers.take(ada.ctx, sph, his[0]!);
  expect(said.length).toBe(transfers.MAX_SEEN + 1);
});

test("a relay that says nobody is there gets the same ask again, and no new key pair is made", async () => {
  bo.ctx.transfers.asked.clear();
  bo.ctx.transfers.last.clear();
  const his = byHand(bo, 0);
  for (let i = 0; i < 4; i += 1) await transfers.askUnasked(bo.ctx, await replica(bo.ctx, sph));
  expect([his.length, new Set(his).size]).toEqual([4, 1]);
});

test("in a sphere of an organisation nothing is asked for and nothing is answered (CLT-062)", async () => {
  const firm = (await spheres.createSphere(ada.ctx, "Firm", { kind: "org" })).sph;
  const board = (await spheres.createSphere(ada.ctx, "Board", { org: firm })).sph;
  for (const where of [firm, board]) await letIn(bo, where);
  await sync(ada, bo);
  const there = await replica(bo.ctx, board);
  there.keys.clear();
  expect(transfers.lacking(bo.ctx, there)).toEqual([]);
  await expect(transfers.ask(bo.ctx, there)).rejects.toMatchObject({ code: "L_USAGE" });
  const said = byHand(ada, 1);
  const { modulus: epk, unseal } = await rsaGenerate();
  const b = bo.ctx;
  const asked = { sph: board, me: { id: b.id, dv: b.dv }, ns: [1], epk, unseal, now: now(b) };
  const { jws } = await live.ask(asked, signer(b), b.rng);
  expect((await live.read(jws, known(await replica(ada.ctx, board)).history)).k).toBe("ask");
  await transfers.take(ada.ctx, board, jws);
  expect(said).toEqual([]);
});
