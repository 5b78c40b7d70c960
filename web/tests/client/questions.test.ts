/**
 * A yes is good for what was shown, and for nothing else: questions about waiting texts, switches of mode, titles
 * (CLT-016, CLT-042). As tests/hostile/test_questions.py.
 */

import { afterAll, afterEach, beforeAll, beforeEach, expect, test, vi } from "vitest";

import { replica } from "../../src/client/context.ts";
import * as delivery from "../../src/client/delivery.ts";
import { known } from "../../src/client/replica.ts";
import * as spheres from "../../src/client/sphere.ts";
import { CloisterError } from "../../src/errors.ts";
import * as entries from "../../src/protocol/entry.ts";
import { type TestRelay, startRelay } from "../relay.ts";
import { type Member, clear, say, signUp, sync, texts, together } from "./members.ts";

vi.mock("../../src/crypto/argon2.ts", async (real) => (await import("../cheap.ts")).cheap(real));

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
  sph = await together("Harbour", ada, bo);
});
afterEach(async () => {
  for (const one of [ada, bo, cy]) {
    one.wire.fate = () => "sent";
    one.wire.alter = (_, answer) => answer;
    one.events.length = 0;
  }
  await clear(ada, bo, cy);
});
afterAll(() => relay.stop());

const code = (work: Promise<unknown>): Promise<string> =>
  work.then(() => "", (error: unknown) => (error instanceof CloisterError ? error.code : String(error)));

async function retried(id: string, anyway: string): Promise<string[]> {
  await spheres.retry(bo.ctx, id, anyway);
  await delivery.idle(bo.ctx);
  return (await spheres.outbox(bo.ctx)).map(({ question }) => question);
}

/** Body of the newest title entry that the relay has. */
async function title(): Promise<unknown> {
  const { entries: shown } = await ada.ctx.relay.log(sph, 0);
  return shown.map((one) => entries.decode(one)).findLast(({ op }) => op === "meta")!.body;
}

/** Bo wrote while everybody was confirmed; somebody came in, and he is asked about that. */
async function askedWhetherConfirmed(): Promise<string> {
  await spheres.confirm(bo.ctx, sph, ada.vault.account, true);
  bo.wire.fate = () => "lost";
  const id = await say(bo, sph, "for us only");
  const link = await spheres.invite(ada.ctx, sph, { uses: 1, seconds: 600, role: "member", admit: "auto" });
  await spheres.join(cy.ctx, link.url);
  await sync(ada, cy);
  bo.wire.fate = () => "sent";
  await sync(bo);
  expect(await spheres.outbox(bo.ctx)).toMatchObject([{ id, state: "held", question: "confirmed" }]);
  return id;
}

test.each([true, false])("a yes to one question is none to another (switch read before: %s)", async (read) => {
  const id = await askedWhetherConfirmed();
  await spheres.setMode(ada.ctx, sph, "open");
  if (read) await sync(bo);
  expect(await retried(id, "confirmed")).toEqual(["open"]);
  await sync(ada);
  expect(await texts(ada, sph)).toEqual([]);
  expect((await spheres.sphere(bo.ctx, sph)).switched).toMatchObject({ mode: "open" });
  expect(await retried(id, "open")).toEqual([]);
  await sync(ada);
  expect(await texts(ada, sph)).toEqual(["for us only"]);
});

test("a held text asks what is to be answered now", async () => {
  const id = await askedWhetherConfirmed();
  bo.events.length = 0;
  for (const mode of ["open", "public"] as const) {
    await spheres.setMode(ada.ctx, sph, mode);
    await sync(bo);
  }
  expect(bo.events.flatMap((one) => (one.event === "ItemHeld" ? [one.item.question] : []))).toEqual(["open", "public"]);
  expect(await retried(id, "open")).toEqual(["public"]);
  expect(await retried(id, "confirmed")).toEqual(["public"]);
  expect(await code(spheres.retry(bo.ctx, id, "mode"))).toBe("L_USAGE");
});

test("a yes to members and server is none to everybody", async () => {
  await spheres.setMode(ada.ctx, sph, "open");
  await sync(bo);
  const id = await say(bo, sph, "for us and the server");
  await spheres.setMode(ada.ctx, sph, "public");
  await spheres.acceptMode(bo.ctx, sph, "open"); // what was shown; the switch is in the log, and not read yet
  expect(await retried(id, "open")).toEqual(["public"]);
  await spheres.acceptMode(bo.ctx, sph, "open");
  expect((await spheres.sphere(bo.ctx, sph)).switched).toMatchObject({ mode: "public" });
  expect(await retried(id, "public")).toEqual([]);
  expect((await spheres.sphere(bo.ctx, sph)).switched).toBeUndefined();
});

test("a title written under encryption is not published", async () => {
  await spheres.setRole(ada.ctx, sph, bo.vault.account, "admin");
  await sync(bo);
  await spheres.setMode(ada.ctx, sph, "open");
  const before = await title();
  for (let tries = 0; tries < 2; tries += 1) { // nor afterwards, before this person has answered
    expect(await code(spheres.setMeta(bo.ctx, sph, { title: "Raid at dawn" }))).toBe("E_CONFLICT");
  }
  expect(await title()).toEqual(before);
  await spheres.acceptMode(bo.ctx, sph, "open");
  await spheres.setMeta(bo.ctx, sph, { title: "Harbour, open to all" });
  expect(await title()).toEqual({ title: "Harbour, open to all", topic: "", icon: "" });
});

test("a new title takes nothing sealed along (META-005)", async () => {
  await spheres.setMeta(ada.ctx, sph, { topic: "where the key is hidden", icon: "x" });
  await spheres.setMode(ada.ctx, sph, "open");
  await spheres.setMeta(ada.ctx, sph, { title: "Harbour" });
  expect(await title()).toEqual({ title: "Harbour", topic: "", icon: "" });
  await spheres.setMeta(ada.ctx, sph, { topic: "for all to read" });
  expect(await title()).toEqual({ title: "Harbour", topic: "for all to read", icon: "" });
});

test("a switch weakens nothing stronger than its owner saw", async () => {
  await spheres.setRole(ada.ctx, sph, bo.vault.account, "owner");
  await spheres.setMode(ada.ctx, sph, "public");
  await sync(bo);
  await spheres.acceptMode(bo.ctx, sph, "public");
  await spheres.setMode(ada.ctx, sph, "e2ee");
  expect(await code(spheres.setMode(bo.ctx, sph, "open"))).toBe("E_CONFLICT");
  expect(await code(spheres.setMode(bo.ctx, sph, "open", undefined, "public"))).toBe("E_CONFLICT");
  expect((await spheres.sphere(bo.ctx, sph)).mode).toBe("e2ee");
  await spheres.setMode(bo.ctx, sph, "open");
  expect((await spheres.sphere(bo.ctx, sph)).mode).toBe("open");
});

test("what is wanted is judged on the head that the commit builds on", async () => {
  await spheres.setRole(ada.ctx, sph, bo.vault.account, "owner");
  await sync(bo);
  const { seq } = known(await replica(bo.ctx, sph)).state;
  await say(ada, sph, "one more");
  await spheres.setMode(ada.ctx, sph, "open");
  let asked = false;
  bo.wire.alter = ({ path }, answer) => {
    if (path.includes("/heads")) asked = true;
    if (asked || !path.includes("/log")) return answer;
    const page = JSON.parse(new TextDecoder().decode(answer.body)) as { entries: string[]; head: { h: string } };
    const shown = { entries: page.entries.slice(0, 1), head: { seq, h: page.head.h } };
    return { ...answer, body: new TextEncoder().encode(JSON.stringify(shown)) };
  };
  const judged: number[] = [];
  const { change } = await import("../../src/client/membership.ts");
  await change(bo.ctx, sph, (held) => {
    judged.push(known(held).state.seq);
    return known(held).state.mode === "e2ee" ? [{ op: "role", id: ada.vault.account, role: "member" }] : [];
  });
  expect(judged).toEqual([seq, seq + 1]);
  expect((await spheres.people(bo.ctx, sph)).find((one) => one.id === ada.vault.account)!.role).toBe("owner");
});
