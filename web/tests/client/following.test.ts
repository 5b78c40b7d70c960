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
let firm: string;
let board: string;

const ONE = { uses: 1, seconds: 3600, role: "member", admit: "auto" } as const;

beforeAll(async () => {
  relay = await startRelay();
  [ada, bo] = [await signUp(relay, "ada"), await signUp(relay, "bo")];
  firm = (await spheres.createSphere(ada.ctx, "Firm", { kind: "org" })).sph;
  board = (await spheres.createSphere(ada.ctx, "Board", { org: firm })).sph;
  for (const sph of [firm, board]) {
    await spheres.join(bo.ctx, (await spheres.invite(ada.ctx, sph, ONE)).url);
    await sync(ada, bo);
  }
  await sync(ada, bo);
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
  await say(bo, board, "Under the third");
  await sync(ada);
  expect(await epochs()).toEqual([2, 4]);
  await say(ada, board, "For us");
  await sync(ada);
  expect((await texts(ada, board)).slice(-1)).toEqual(["(For us)"]);
  expect(await epochs()).toEqual([2, 4]);
  ada.wire.alter = (_, answer) => answer;
  await sync(ada, bo);
  await sync(ada, bo);
  expect((await texts(bo, board)).slice(-2)).toEqual(["Under the third", "For us"]);
  const { history } = known(await replica(bo.ctx, board));
  expect(history.epochs().slice(3).map(({ m }) => m)).toEqual(history.epochs().slice(3).map((_, at) => at + 3));
});
