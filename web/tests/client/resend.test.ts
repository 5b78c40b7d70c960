/**
 * Messages a relay keeps back or shows damaged, against a real relay: members hand on the very envelopes, and are believed
 * nothing for it (CLT-052).
 */

import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from "vitest";

import { replica } from "../../src/client/context.ts";
import * as inbox from "../../src/client/inbox.ts";
import type { MessageRow } from "../../src/client/intake.ts";
import * as keys from "../../src/client/keys.ts";
import * as resend from "../../src/client/resend.ts";
import { cursor, move } from "../../src/client/store.ts";
import type { Answer } from "../../src/client/transports/base.ts";
import * as jws from "../../src/protocol/jws.ts";
import { type TestRelay, startRelay } from "../relay.ts";
import { type Member, clear, say, signUp, sync, texts, together } from "./members.ts";

interface Item {
  readonly pos: number;
  readonly k: string;
  readonly jws?: string;
}
type Bend = (items: Item[]) => Item[];

let relay: TestRelay;
let ada: Member;
let bo: Member;
let cy: Member;
let sph: string;

beforeAll(async () => {
  relay = await startRelay();
  [ada, bo, cy] = [await signUp(relay, "ada"), await signUp(relay, "bo"), await signUp(relay, "cy")];
});

beforeEach(async () => {
  sph = await together("Harbour", ada, bo, cy);
});

afterEach(async () => {
  for (const one of [ada, bo, cy]) {
    one.wire.alter = (_, answer) => answer;
    one.skew = 0;
  }
  await clear(ada, bo, cy);
});

afterAll(() => relay.stop());

const json = (answer: Answer): Record<string, unknown> => JSON.parse(new TextDecoder().decode(answer.body));
const letters = (one: Member): number => one.wire.seen.filter((what) => what === "POST /inbox").length;

/** What the relay shows somebody of the stream. */
function bent(one: Member, bend: Bend): void {
  one.wire.alter = (sent, answer) => {
    if (!/\/items\?/.test(sent.path)) return answer;
    const body = json(answer);
    return { ...answer, body: new TextEncoder().encode(JSON.stringify({ ...body, items: bend(body["items"] as Item[]) })) };
  };
}

const said = (item: Item, dv: string, seq: number): boolean => {
  if (item.k !== "msg" || item.jws === undefined) return false;
  const { header } = jws.decode(item.jws, "sph-msg+1");
  return header["kid"] === dv && header["seq"] === seq;
};
const without = (dv: string, seq: number): Bend => (items) => items.filter((one) => !said(one, dv, seq));
const broken = (dv: string, seq: number): Bend => (items) => items.map((one) =>
  said(one, dv, seq) ? { ...one, jws: one.jws!.replace(/\.[^.]*$/, (sig) => `.${sig[1] === "A" ? "B" : "A"}${sig.slice(2)}`) } : one);

/** Cy says three things, which Ada reads; Bo is shown them bent. */
async function threeWords(bend: (dv: string) => Bend): Promise<void> {
  for (const text of ["one", "two", "three"]) await say(cy, sph, text);
  await sync(ada);
  bent(bo, bend(cy.ctx.dv));
  await sync(bo);
}

test("what is kept back comes from its author or another reader, into its own place", async () => {
  for (const holder of [cy, ada]) {
    sph = await together("Harbour", ada, bo, cy);
    await threeWords((dv) => without(dv, 2));
    expect(await texts(bo, sph)).toEqual(["one", "three"]);
    expect([...(await resend.wanted(bo.ctx, await replica(bo.ctx, sph)))]).toEqual([[cy.ctx.dv, [2]]]);
    await sync(holder, bo);
    expect(await texts(bo, sph)).toEqual(["one", "two", "three"]);
    expect((await resend.wanted(bo.ctx, await replica(bo.ctx, sph))).size).toBe(0);
    await clear(ada, bo, cy);
  }
});

test("a damaged last word is asked for", async () => {
  await threeWords((dv) => broken(dv, 3));
  expect(await texts(bo, sph)).toEqual(["one", "two", "<quarantined>"]);
  await sync(ada, bo);
  expect(await texts(bo, sph)).toEqual(["one", "two", "three"]);
});

test("questions are few", async () => {
  await threeWords((dv) => without(dv, 2));
  const first = letters(bo);
  expect(first).toBeGreaterThan(0);
  await sync(bo);
  expect(letters(bo)).toBe(first);
  for (let i = 0; i < resend.TRIES + 2; i += 1) {
    bo.skew += keys.ASK_AGAIN;
    await resend.ask(bo.ctx, await replica(bo.ctx, sph));
  }
  expect(letters(bo)).toBe(first + resend.TRIES - 1);
  expect((await resend.ask(bo.ctx, await replica(bo.ctx, sph), true)).length).toBe(2);
});

/** A letter of one member, given to another as a relay would. */
async function give(from: Member, to: Member, k: string, members: Record<string, unknown>): Promise<void> {
  const letter = await keys.letter(from.ctx, sph, k, members as never);
  const at = await cursor(to.ctx.store, inbox.STREAM);
  await inbox.take(to.ctx, { pos: at + 1, k: "p2p", sph, jws: letter });
  await to.ctx.store.step(async (tx) => move(tx, inbox.STREAM, at));
}

test("answers are few", async () => {
  await threeWords((dv) => without(dv, 2));
  const before = letters(cy);
  const question = { dv: cy.ctx.dv, seqs: [1, 2, 3] };
  for (let i = 0; i < resend.LETTERS + 3; i += 1) await give(bo, cy, "resend-ask", question);
  expect(letters(cy)).toBe(before + resend.LETTERS);
});

test("an answer is judged like what the relay shows, and only what was asked for is looked at", async () => {
  await threeWords((dv) => without(dv, 2));
  const rows = (await cy.ctx.store.by<MessageRow>("message", "name", { prefix: [sph, cy.ctx.dv, 2] })).map(([, row]) => row);
  const [envelope] = rows.map((row) => row.jws);
  const forged = envelope!.replace(/^[^.]*\.([^.]*)\./, (all, body: string) => all.replace(body, `${body.slice(0, -4)}AAAA`));
  await give(ada, bo, "resend", { dv: cy.ctx.dv, msgs: ["not.an.envelope", forged] });
  expect(await texts(bo, sph)).not.toContain("two");
  await give(ada, bo, "resend", { dv: ada.ctx.dv, msgs: [envelope] });
  expect(await texts(bo, sph)).not.toContain("two");
  await give(ada, bo, "resend", { dv: cy.ctx.dv, msgs: [envelope] });
  expect((await texts(bo, sph)).filter((text) => !text.startsWith("<"))).toEqual(["one", "two", "three"]);
});
