/**
 * Writing against a real relay: spheres made, people let in, words sent once each, whatever becomes of the answers
 * (CLT-013 to CLT-018, CLT-030).
 */

import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test, vi } from "vitest";

import * as commits from "../../src/client/commits.ts";
import { replica } from "../../src/client/context.ts";
import * as delivery from "../../src/client/delivery.ts";
import { known } from "../../src/client/replica.ts";
import * as spheres from "../../src/client/sphere.ts";
import { setMeta } from "../../src/client/store.ts";
import { CloisterError } from "../../src/errors.ts";
import { b64e } from "../../src/protocol/encoding.ts";
import type { Intent } from "../../src/sphere/intents.ts";
import { type TestRelay, startRelay } from "../relay.ts";
import { type Fate, type Member, clear, messages, reopen, say, signUp, sync, texts, together } from "./members.ts";

vi.mock("../../src/crypto/argon2.ts", async (real) => (await import("../cheap.ts")).cheap(real));

let relay: TestRelay;
let ada: Member;
let bo: Member;
let cy: Member;
let sph: string;

beforeAll(async () => {
  relay = await startRelay();
  ada = await signUp(relay, "ada");
  bo = await signUp(relay, "bo");
  cy = await signUp(relay, "cy");
});

beforeEach(async () => {
  sph = await together("Harbour", ada, bo);
});

afterEach(async () => {
  for (const one of [ada, bo, cy]) {
    one.wire.fate = () => "sent";
    one.wire.alter = (_, answer) => answer;
    one.skew = 0;
  }
  await clear(ada, bo, cy);
});

afterAll(() => relay.stop());

const code = (work: Promise<unknown>): Promise<string> =>
  work.then(() => "", (error: unknown) => (error instanceof CloisterError ? error.code : String(error)));

const stateOf = async (one: Member): Promise<ReturnType<typeof known>["state"]> => known(await replica(one.ctx, sph)).state;
const offline = (): Fate => "lost";

/** The next request of this form meets `fate`, the others pass. */
function once(one: Member, form: RegExp, fate: Fate): void {
  let met = false;
  one.wire.fate = (sent) => {
    const here = !met && form.test(`${sent.method} ${sent.path}`);
    met ||= here;
    return here ? fate : "sent";
  };
}

async function change(one: Member, ...intents: Intent[]): Promise<void> {
  await spheres.change(one.ctx, sph, () => intents);
}

describe("two members", () => {
  test("make a sphere, come in by a link, talk", async () => {
    await say(ada, sph, "Hello from the pier");
    await sync(bo);
    expect(await texts(bo, sph)).toEqual(["Hello from the pier"]);
    const [hello] = await messages(bo, sph);
    await say(bo, sph, "Heard you", hello!.mid);
    await say(bo, sph, "And here I am");
    await sync(ada);
    expect(await texts(ada, sph)).toEqual(["Hello from the pier", "And here I am"]);
    expect((await spheres.sphere(bo.ctx, sph)).title).toBe("Harbour");
    expect(await spheres.outbox(bo.ctx)).toEqual([]);
  });

  test("change, delete and answer words", async () => {
    await say(ada, sph, "frist");
    const [first] = await messages(ada, sph);
    await spheres.edit(ada.ctx, sph, first!.mid, "first");
    await spheres.react(ada.ctx, sph, first!.mid, "+1", true);
    await delivery.idle(ada.ctx);
    await sync(bo);
    const [seen] = await messages(bo, sph);
    expect([seen!.text, seen!.edited, seen!.reactions]).toEqual(["first", true, [["+1", ["ada"]]]]);
    expect(await code(spheres.edit(bo.ctx, sph, first!.mid, "mine now"))).toBe("L_USAGE");
    expect(await code(spheres.remove(bo.ctx, sph, first!.mid))).toBe("L_USAGE");
    await spheres.remove(ada.ctx, sph, first!.mid);
    await delivery.idle(ada.ctx);
    await sync(bo);
    expect((await messages(bo, sph))[0]!.deleted).toBe(true);
  });

  test("an item is answered when it is durable, without the relay", async () => {
    ada.wire.fate = offline;
    const { id, state } = await spheres.send(ada.ctx, sph, "later");
    expect(state).toBe("waiting");
    await delivery.idle(ada.ctx);
    expect(await texts(ada, sph)).toEqual(["(later)"]);
    await reopen(ada);
    expect((await spheres.outbox(ada.ctx)).map((one) => [one.id, one.text])).toEqual([[id, "later"]]);
  });
});

describe("answers that never come", () => {
  test("a message is there once, whether the request or its answer was lost", async () => {
    for (const fate of ["lost", "unanswered"] as const) {
      once(ada, /^POST .*\/messages$/, fate);
      await say(ada, sph, fate);
      expect((await spheres.outbox(ada.ctx)).map((one) => one.state)).toEqual(["sealed"]);
      await sync(ada);
    }
    await sync(bo);
    expect(await texts(bo, sph)).toEqual(["lost", "unanswered"]);
    expect(await texts(ada, sph)).toEqual(["lost", "unanswered"]);
  });

  test("order is kept through a time without the relay", async () => {
    ada.wire.fate = offline;
    for (const text of ["one", "two", "three"]) await say(ada, sph, text);
    expect(await texts(ada, sph)).toEqual(["(one)", "(two)", "(three)"]);
    ada.wire.fate = () => "sent";
    await sync(ada, bo);
    expect(await texts(bo, sph)).toEqual(["one", "two", "three"]);
  });

  test("a commit is made once, whether the request or its answer was lost", async () => {
    for (const fate of ["lost", "unanswered"] as const) {
      const { ep } = { ep: (await stateOf(ada)).epoch!.n };
      once(ada, /^POST .*\/commits$/, fate);
      const said = await code(spheres.rotate(ada.ctx, sph, ""));
      expect(said).toBe(fate === "lost" ? "L_UNREACHABLE" : "");
      await sync(ada, bo);
      expect((await stateOf(ada)).epoch!.n).toBe(ep + 1);
      expect((await spheres.sphere(bo.ctx, sph)).haveKey).toBe(true);
    }
  });

  test("a new sphere stands once, or not at all", async () => {
    once(ada, /^POST \/v1\/spheres$/, "unanswered");
    const made = await spheres.createSphere(ada.ctx, "Answer lost").then((one) => one.sph, () => "");
    await sync(ada);
    const mine = (await spheres.spheres(ada.ctx)).filter((one) => one.title === "Answer lost");
    expect(mine.map((one) => [one.epoch, one.haveKey])).toEqual([[1, true]]);
    expect(made === "" || made === mine[0]!.sph).toBe(true);
  });

  test("what the relay refuses for good is kept as failed, with its text", async () => {
    const refusal = { status: 400, body: new TextEncoder().encode(`{"code":"E_BAD_FORMAT"}`), headers: {} };
    once(ada, /^POST .*\/messages$/, refusal);
    const id = await say(ada, sph, "keep me");
    expect(await spheres.outbox(ada.ctx)).toMatchObject([{ id, state: "failed", code: "E_BAD_FORMAT", text: "keep me" }]);
    await say(ada, sph, "I go on");
    await spheres.retry(ada.ctx, id, "");
    await delivery.idle(ada.ctx);
    await sync(bo);
    expect(await texts(bo, sph)).toEqual(["I go on", "keep me"]);
  });

  test("a sealed message is not dropped, a waiting one is", async () => {
    once(ada, /^POST .*\/messages$/, "unanswered");
    const id = await say(ada, sph, "on its way");
    expect(await code(spheres.drop(ada.ctx, id))).toBe("L_USAGE");
    await sync(ada);
    ada.wire.fate = offline;
    await say(ada, sph, "tried");
    const other = await say(ada, sph, "never");
    await spheres.drop(ada.ctx, other);
    expect(await texts(ada, sph)).toEqual(["on its way", "(tried)"]);
    ada.wire.fate = () => "sent";
    await sync(ada, bo);
    expect(await texts(bo, sph)).toEqual(["on its way", "tried"]);
  });
});

describe("races", () => {
  test("two that make a key at once both make one, and everybody reads", async () => {
    const before = (await stateOf(ada)).epoch!.n;
    await change(ada, { op: "role", id: bo.vault.account, role: "admin" });
    await sync(bo);
    await Promise.all([spheres.rotate(ada.ctx, sph, "a"), spheres.rotate(bo.ctx, sph, "b")]);
    await Promise.all([delivery.idle(ada.ctx), delivery.idle(bo.ctx)]);
    await sync(ada, bo);
    expect((await stateOf(ada)).epoch!.n).toBe(before + 2);
    expect((await texts(ada, sph)).sort()).toEqual(["a", "b"]);
    expect(await texts(bo, sph)).toEqual(await texts(ada, sph));
  });

  test("two that speak at once in a marked sphere make one key", async () => {
    const before = (await stateOf(ada)).epoch!.n;
    await change(ada, { op: "mark" });
    await sync(bo);
    await Promise.all([say(ada, sph, "from ada"), say(bo, sph, "from bo")]);
    await sync(ada, bo, ada);
    expect((await stateOf(ada)).epoch!.n).toBe(before + 1);
    expect((await texts(ada, sph)).sort()).toEqual(["from ada", "from bo"]);
    expect(await texts(bo, sph)).toEqual(await texts(ada, sph));
    const tries = (await bo.ctx.store.list("pledge")).length + (await ada.ctx.store.list("pledge")).length;
    expect(tries).toBe(0);
  });

  test("words sealed for an old key are sealed again under the new one", async () => {
    once(bo, /^POST .*\/messages$/, "lost");
    const id = await say(bo, sph, "old key, new key");
    await spheres.rotate(ada.ctx, sph, "");
    await sync(bo, ada);
    const [found] = await messages(ada, sph);
    expect([found!.cid, found!.epoch, found!.text]).toEqual([id, (await stateOf(ada)).epoch!.n, "old key, new key"]);
  });
});

describe("words that would go out weaker than they were written are held (CLT-016)", () => {
  test("when encryption was turned off", async () => {
    bo.wire.fate = offline;
    const id = await say(bo, sph, "for four eyes");
    await change(ada, { op: "mode", mode: "open" }, { op: "meta", text: { title: "Harbour", topic: "", icon: "" } });
    bo.wire.fate = () => "sent";
    await sync(bo);
    expect(await spheres.outbox(bo.ctx)).toMatchObject([{ id, state: "held", question: "open" }]);
    expect(bo.events.some((one) => one.event === "ItemHeld" && one.item.id === id)).toBe(true);
    expect(await code(spheres.retry(bo.ctx, id, ""))).toBe("L_USAGE");
    await sync(bo, ada);
    expect(await texts(ada, sph)).toEqual([]);
    await spheres.retry(bo.ctx, id, "open");
    await delivery.idle(bo.ctx);
    await sync(ada);
    expect(await texts(ada, sph)).toEqual(["for four eyes"]);
  });

  test("when somebody came in who is not confirmed", async () => {
    await spheres.confirm(bo.ctx, sph, ada.vault.account, true);
    bo.wire.fate = offline;
    const id = await say(bo, sph, "only ada");
    const link = await spheres.invite(ada.ctx, sph, { uses: 1, seconds: 600, role: "member", admit: "auto" });
    await spheres.join(cy.ctx, link.url);
    await sync(ada, cy);
    bo.wire.fate = () => "sent";
    await sync(bo, cy);
    expect(await spheres.outbox(bo.ctx)).toMatchObject([{ id, state: "held", question: "confirmed" }]);
    expect(await texts(cy, sph)).toEqual([]);
    await spheres.drop(bo.ctx, id);
    expect(await spheres.outbox(bo.ctx)).toEqual([]);
  });

  test("control: the same words go when nothing became weaker", async () => {
    bo.wire.fate = offline;
    await say(bo, sph, "for four eyes");
    bo.wire.fate = () => "sent";
    await sync(bo, ada);
    expect(await texts(ada, sph)).toEqual(["for four eyes"]);
  });
});

describe("coming in", () => {
  const link = (options: Partial<Parameters<typeof spheres.invite>[2]> = {}): ReturnType<typeof spheres.invite> =>
    spheres.invite(ada.ctx, sph, { uses: 1, seconds: 600, role: "member", admit: "ask", ...options });

  test("by a link that somebody pasted badly", async () => {
    const { url } = await link();
    const broken = `Here it is: <${url.slice(0, 70)}\n  ${url.slice(70)}>\n`;
    const pending = await spheres.join(cy.ctx, broken);
    expect(pending).toMatchObject({ sph, label: "Harbour", state: "asked" });
    const [asked] = await spheres.requests(ada.ctx, sph);
    expect(asked).toMatchObject({ name: "cy", byLink: true, code: "" });
    const person = await spheres.admit(ada.ctx, sph, asked!.hash, { confirmed: false, role: "guest" });
    expect([person.name, person.role, person.known]).toEqual(["cy", "member", "came by a link"]);
    await sync(cy);
    expect(await spheres.pending(cy.ctx)).toMatchObject([{ sph, state: "admitted" }]);
    expect((await spheres.sphere(cy.ctx, sph)).haveKey).toBe(true);
  });

  test("without a link: nothing leaves before the digits were compared (CLT-018)", async () => {
    await spheres.join(cy.ctx, `${relay.origin}/j#${sph}`);
    const [asked] = await spheres.requests(ada.ctx, sph);
    expect(asked).toMatchObject({ name: "cy", byLink: false });
    const before = ada.wire.seen.length;
    expect(await code(spheres.admit(ada.ctx, sph, asked!.hash, { confirmed: false, role: "member" }))).toBe("L_USAGE");
    expect(ada.wire.seen.slice(before).filter((one) => one.startsWith("POST"))).toEqual([]);
    expect(await spheres.showCard(ada.ctx, sph, asked!.hash)).toBe(asked!.safety);
    await sync(cy);
    expect((await spheres.pending(cy.ctx)).find((one) => one.hash === asked!.hash)!.safety).toBe(asked!.safety);
    const person = await spheres.admit(ada.ctx, sph, asked!.hash, { confirmed: true, role: "guest" });
    expect([person.role, person.known]).toEqual(["guest", "confirmed in person"]);
    await sync(cy);
    expect((await spheres.sphere(cy.ctx, sph)).haveKey).toBe(true);
  });

  test("declined, taken back, expired, withdrawn", async () => {
    const { url, jti } = await link({ uses: 9 });
    const stands = async (h: string): Promise<string | undefined> =>
      (await spheres.pending(cy.ctx)).find((one) => one.hash === h)?.state;
    const first = await spheres.join(cy.ctx, url);
    const [asked] = await spheres.requests(ada.ctx, sph);
    await spheres.decline(ada.ctx, sph, asked!.hash);
    expect(await spheres.requests(ada.ctx, sph)).toEqual([]);
    await sync(cy);
    expect(await stands(first.hash)).toBe("declined");

    const { hash } = await spheres.join(cy.ctx, url);
    await spheres.cancelJoin(cy.ctx, hash);
    expect(await spheres.requests(ada.ctx, sph)).toEqual([]);
    expect(await stands(hash)).toBeUndefined();

    const last = await spheres.join(cy.ctx, url);
    cy.skew = 31 * 86_400;
    await sync(cy);
    expect(await stands(last.hash)).toBe("expired");
    cy.skew = 0;

    await spheres.withdraw(ada.ctx, sph, jti);
    expect(await spheres.invites(ada.ctx, sph)).toEqual([]);
    expect(await code(spheres.join(cy.ctx, url))).toBe("E_FORBIDDEN");
  });

  test("the link is for this log: another one stops the sphere (INV-005)", async () => {
    const { url } = await link();
    const other = await spheres.createSphere(ada.ctx, "Another");
    const wrong = (await spheres.invite(ada.ctx, other.sph, { uses: 1, seconds: 600, role: "member", admit: "ask" })).url;
    const parts = url.split("~");
    parts[4] = wrong.split("~")[4]!;
    await spheres.join(cy.ctx, parts.join("~"));
    const [asked] = await spheres.requests(ada.ctx, sph);
    await spheres.admit(ada.ctx, sph, asked!.hash, { confirmed: false, role: "member" });
    await sync(cy);
    expect((await spheres.sphere(cy.ctx, sph)).stop?.code).toBe("C_LOG_FORK");
    expect((await spheres.sphere(cy.ctx, sph)).status).toBe("asked");
  });

  test("a link made here can be read here again, by its maker only", async () => {
    const { url, jti } = await link();
    expect(await spheres.link(ada.ctx, sph, jti)).toBe(url);
    await sync(bo);
    expect(await code(spheres.link(bo.ctx, sph, jti))).toBe("L_NOT_FOUND");
    expect((await spheres.invites(bo.ctx, sph)).map((one) => [one.jti, one.mine])).toEqual([[jti, false]]);
  });
});

describe("going", () => {
  test("a removed member reads nothing said afterwards, and knows it", async () => {
    await say(ada, sph, "before");
    await sync(bo);
    await spheres.removePerson(ada.ctx, sph, bo.vault.account, false);
    await say(ada, sph, "after");
    await sync(bo);
    expect((await spheres.sphere(bo.ctx, sph)).status).toBe("removed");
    expect(await texts(bo, sph)).toEqual(["before"]);
    const held = await replica(bo.ctx, sph);
    expect([...held.keys.keys()]).not.toContain((await stateOf(ada)).epoch!.n);
    expect(await code(spheres.send(bo.ctx, sph, "still here"))).toBe("C_NOT_MEMBER");
  });

  test("who leaves is followed by a new key with the next words", async () => {
    const before = (await stateOf(ada)).epoch!.n;
    await spheres.leave(bo.ctx, sph);
    expect((await spheres.sphere(bo.ctx, sph)).status).toBe("left");
    await say(ada, sph, "among us");
    expect((await stateOf(ada)).epoch!.n).toBe(before + 1);
    const row = (await ada.ctx.store.list<{ jws: string }>("message", { reverse: true, limit: 1 }))[0]![1];
    expect(row.jws).not.toBe("");
    await spheres.forget(bo.ctx, sph);
    expect((await spheres.spheres(bo.ctx, true)).map((one) => one.sph)).not.toContain(sph);
  });
});

describe("a copy of this device", () => {
  test("makes it sign nothing more (CLT-014)", async () => {
    await say(ada, sph, "mine");
    await ada.ctx.store.step(async (tx) => setMeta(tx, `own/${sph}`, { seq: 0, hs: [] }));
    const other = await ada.ctx.store.list("chain", { prefix: [sph] });
    await ada.ctx.store.step(async (tx) => {
      for (const [key] of other) tx.drop("chain", key);
      for (const [key] of await tx.by("message", "name", { prefix: [sph] })) tx.drop("message", key);
      tx.drop("cursor", sph);
    });
    await sync(ada);
    await say(ada, sph, "mine?");
    expect((await spheres.outbox(ada.ctx)).map((one) => one.text)).toEqual(["mine?"]);
    expect(await ada.ctx.store.get("meta", "retired")).toMatchObject({ sph });
    await ada.ctx.store.step(async (tx) => {
      tx.drop("meta", "retired");
      for (const [key] of await tx.list("outbox")) tx.drop("outbox", key);
    });
  });
});

test("what is sealed is remembered before it leaves (CLT-014)", async () => {
  let remembered: unknown;
  ada.wire.fate = (sent) => {
    if (/\/messages$/.test(sent.path)) remembered = ada.ctx.store.get("meta", `own/${sph}`);
    return "sent";
  };
  await say(ada, sph, "first");
  const [row] = (await ada.ctx.store.by<{ jws: string; seq: number }>("message", "name", { prefix: [sph, ada.ctx.dv] })).map(([, one]) => one);
  expect(await remembered).toMatchObject({ seq: row!.seq });
  expect(((await remembered) as { hs: string[] }).hs).toHaveLength(1);
  expect(b64e(known(await replica(ada.ctx, sph)).history.digest(0))).toBe(sph.slice(3));
  expect(await commits.pledges(ada.ctx.store, sph)).toEqual([]);
});
