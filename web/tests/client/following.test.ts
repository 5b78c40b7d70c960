/**
 * What a sphere of an organisation does about a key that the organisation's log, as it is shown, does not have (CLT-062):
 * a member named one that does not exist, or the relay keeps the end of that log back.
 */

import { afterAll, beforeAll, expect, test } from "vitest";

import * as commits from "../../src/client/commits.ts";
import { now, replica } from "../../src/client/context.ts";
import { known } from "../../src/client/replica.ts";
import * as spheres from "../../src/client/sphere.ts";
import { b64e } from "../../src/protocol/encoding.ts";
import * as entries from "../../src/protocol/entry.ts";
import { type TestRelay, startRelay } from "../relay.ts";
import { type Member, say, signUp, sync, texts } from "./members.ts";

let relay: TestRelay;
let ada: Member;
let bo: Member;
let cy: Member;
let firm: string;
let board: string;

const ONE = { uses: 1, seconds: 3600, role: "member", admit: "auto" } as const;

beforeAll(async () => {
  relay = await startRelay();
  [ada, bo, cy] = [await signUp(relay, "ada"), await signUp(relay, "bo"), await signUp(relay, "cy")];
  firm = (await spheres.createSphere(ada.ctx, "Firm", { kind: "org" })).sph;
  board = (await spheres.createSphere(ada.ctx, "Board", { org: firm })).sph;
  for (const [sph, role] of [[firm, "member"], [board, "guest"]] as const) {
    await spheres.join(bo.ctx, (await spheres.invite(ada.ctx, sph, ONE)).url);
    await spheres.join(cy.ctx, (await spheres.invite(ada.ctx, sph, { ...ONE, role })).url);
    await sync(ada, bo, cy);
  }
  await sync(ada, bo, cy);
});
afterAll(() => relay.stop());

const epochs = async (): Promise<number[]> => [
  (await spheres.sphere(ada.ctx, firm)).epoch, (await spheres.sphere(ada.ctx, board)).epoch,
];

test("a key that the organisation does not have is answered by a new one there and then here", async () => {
  const held = await replica(bo.ctx, board);
  const { state, history } = known(held);
  const far = { sph: firm, n: 4_000_000_000, secret: new Uint8Array(32), kc: new Uint8Array(32), prev: new Uint8Array(32) };
  const given = { now: now(bo.ctx), rng: bo.ctx.rng, keys: held.keys, orgKey: far as never };
  const draft = await commits.composed(state, history, commits.author(bo.ctx), [{ op: "epoch" }], given);
  const made = await bo.ctx.store.step((tx) => commits.pledge(tx, draft));
  expect(await commits.settle(bo.ctx, held, made)).toBe(true);
  await say(ada, board, "Hello?");
  await sync(ada, bo);
  await sync(ada, bo);
  expect(await epochs()).toEqual([2, 3]);
  expect(await texts(bo, board)).toEqual(["Hello?"]);
  await say(bo, board, "Here");
  await sync(ada);
  expect(await texts(ada, board)).toEqual(["Hello?", "Here"]);
  expect(await epochs()).toEqual([2, 3]);
});

test("the organisation is looked at before every word, and a guest waits for a key it cannot make", async () => {
  await spheres.rotate(bo.ctx, firm, "");
  const [before] = await epochs();
  await say(ada, board, "Straight after");
  const newest = known(await replica(ada.ctx, board)).history.epochs().at(-1)!;
  expect(newest.m).toBe(before! + 1);
  await sync(cy);
  await sync(cy);
  await spheres.rotate(ada.ctx, firm, "");
  await say(cy, board, "From a guest");
  expect((await texts(cy, board)).slice(-1)).toEqual(["(From a guest)"]);
  await say(ada, board, "A new key");
  await sync(cy);
  await sync(cy, ada);
  expect((await texts(ada, board)).slice(-2)).toEqual(["A new key", "From a guest"]);
});

test("nor is a title sealed before that", async () => {
  await spheres.rotate(bo.ctx, firm, "");
  await spheres.setMeta(ada.ctx, board, { title: "Under the newest" });
  const [last] = known(await replica(ada.ctx, board)).history.epochs().slice(-1);
  expect(last!.m).toBe((await epochs())[0]);
  await sync(bo);
  await sync(bo);
  expect((await spheres.sphere(bo.ctx, board)).title).toBe("Under the newest");
});

test("an organisation stays encrypted (ROLE-014)", async () => {
  await expect(spheres.setMode(ada.ctx, firm, "open", undefined, "e2ee")).rejects.toMatchObject({ code: "L_USAGE" });
  await expect(spheres.createSphere(ada.ctx, "Open firm", { kind: "org", mode: "open" })).rejects.toMatchObject({ code: "L_USAGE" });
});

test("while the relay hides the organisation's newest key, words wait and no older one is used", async () => {
  const { seq } = known(await replica(ada.ctx, firm)).history;
  ada.wire.alter = (sent, answer) => {
    if (!sent.path.startsWith(`/v1/spheres/${firm}/`)) return answer;
    const body = JSON.parse(new TextDecoder().decode(answer.body)) as { entries?: string[]; items?: unknown };
    if (body.items !== undefined) body.items = [];
    const kept = body.entries?.filter((one) => entries.decode(one).seq <= seq) ?? [];
    if (kept.length > 0) Object.assign(body, { entries: kept, head: { seq, h: b64e(entries.decode(kept.at(-1)!).digest) } });
    return { ...answer, body: new TextEncoder().encode(JSON.stringify(body)) };
  };
  await spheres.rotate(bo.ctx, firm, "");
  await say(bo, board, "Under the fifth");
  await sync(ada);
  expect(await epochs()).toEqual([5, 7]);
  await say(ada, board, "For us");
  await sync(ada);
  expect((await texts(ada, board)).slice(-1)).toEqual(["(For us)"]);
  expect(await epochs()).toEqual([5, 7]);
  ada.wire.alter = (_, answer) => answer;
  await sync(ada, bo);
  await sync(ada, bo);
  expect((await texts(bo, board)).slice(-2)).toEqual(["Under the fifth", "For us"]);
  const { history } = known(await replica(bo.ctx, board));
  expect(history.epochs().slice(3).map(({ m }) => m)).toEqual(history.epochs().slice(3).map((_, at) => at + 3));
});
