/**
 * What a sphere is, changed against a real relay: encryption off and on, open words, policy, custody, older keys
 * (CLT-016, CLT-035, CLT-041, CLT-042, CLT-044).
 */

import { afterAll, beforeAll, describe, expect, test, vi } from "vitest";

import { replica } from "../../src/client/context.ts";
import * as delivery from "../../src/client/delivery.ts";
import type { Event } from "../../src/client/events.ts";
import { read as reading } from "../../src/client/public.ts";
import type { PublicPage } from "../../src/client/records.ts";
import { known } from "../../src/client/replica.ts";
import * as spheres from "../../src/client/sphere.ts";
import { httpTransport } from "../../src/client/transports/http.ts";
import { randomBytes } from "../../src/crypto.ts";
import { CloisterError } from "../../src/errors.ts";
import * as entries from "../../src/protocol/entry.ts";
import { type TestRelay, startRelay } from "../relay.ts";
import { type Member, further, messages, say, signUp, sync, texts, together } from "./members.ts";

vi.mock("../../src/crypto/argon2.ts", async (real) => (await import("../cheap.ts")).cheap(real));

let relay: TestRelay;
let ada: Member;
let bo: Member;
let cy: Member;

beforeAll(async () => {
  relay = await startRelay();
  [ada, bo, cy] = [await signUp(relay, "ada"), await signUp(relay, "bo"), await signUp(relay, "cy")];
});
afterAll(() => relay.stop());

const code = (work: Promise<unknown>): Promise<string> =>
  work.then(() => "", (error: unknown) => (error instanceof CloisterError ? error.code : String(error)));

/** Events of one kind told since the last look. */
function told<K extends Event["event"]>(one: Member, kind: K): Extract<Event, { event: K }>[] {
  return one.events.splice(0).filter((event): event is Extract<Event, { event: K }> => event.event === kind);
}

async function enter(sph: string, one: Member): Promise<void> {
  const link = await spheres.invite(ada.ctx, sph, { uses: 1, seconds: 3600, role: "member", admit: "ask" });
  await spheres.join(one.ctx, link.url);
  const [asked] = await spheres.requests(ada.ctx, sph);
  await spheres.admit(ada.ctx, sph, asked!.hash, { confirmed: false, role: "member" });
  await sync(one);
}

/** What the relay holds of the log, as it can be read there. */
async function logAtRelay(sph: string): Promise<string> {
  const { entries: shown } = await ada.ctx.relay.log(sph, 0);
  return JSON.stringify(shown.map((one) => entries.decode(one).body));
}

describe("encryption", () => {
  let sph: string;

  test("turned off: told to everybody, asked about, and nothing sealed is published (CLT-042, META-005)", async () => {
    sph = await together("Harbour", ada, bo);
    await spheres.setMeta(ada.ctx, sph, { topic: "Moorings" });
    await say(ada, sph, "sealed words");
    await sync(bo);
    told(bo, "ModeChanged");
    expect(await code(spheres.setMode(bo.ctx, sph, "open"))).toBe("E_FORBIDDEN");
    await spheres.setMode(ada.ctx, sph, "open");
    await say(ada, sph, "for all to read");
    const id = await say(bo, sph, "written before bo knew");
    const [change] = told(bo, "ModeChanged");
    expect(change).toMatchObject({ sph, mode: "open", by: "ada", since: 0 });
    expect((await spheres.sphere(bo.ctx, sph)).switched).toEqual({ mode: "open", by: "ada", at: change!.at });
    expect((await spheres.sphere(ada.ctx, sph)).switched).toBeUndefined();
    expect(await spheres.outbox(bo.ctx)).toMatchObject([{ id, state: "held", question: "open" }]);
    for (const word of ["Harbour", "Moorings"]) expect(await logAtRelay(sph)).not.toContain(word);
    expect(await spheres.sphere(bo.ctx, sph)).toMatchObject({ mode: "open", title: "Harbour", topic: "Moorings" });
  });

  test("seen: new words go, those of before keep their question until a yes (CLT-016)", async () => {
    const [before] = await spheres.outbox(bo.ctx);
    await spheres.acceptMode(bo.ctx, sph, "open");
    expect((await spheres.sphere(bo.ctx, sph)).switched).toBeUndefined();
    expect(await spheres.outbox(bo.ctx)).toMatchObject([{ id: before!.id, state: "held" }]);
    await spheres.retry(bo.ctx, before!.id, "open");
    await delivery.idle(bo.ctx);
    await say(bo, sph, "written knowingly");
    expect(await spheres.outbox(bo.ctx)).toEqual([]);
    await sync(ada);
    expect(await texts(ada, sph)).toEqual(["sealed words", "for all to read", "written before bo knew", "written knowingly"]);
  });

  test("who comes in meanwhile has nothing to answer; a title of one's own is for everybody", async () => {
    await enter(sph, cy);
    expect((await spheres.sphere(cy.ctx, sph)).switched).toBeUndefined();
    await say(cy, sph, "hello");
    expect(await spheres.outbox(cy.ctx)).toEqual([]);
    await spheres.setMeta(ada.ctx, sph, { title: "Open harbour", topic: "" });
    expect(await logAtRelay(sph)).toContain("Open harbour");
    await sync(bo);
    expect((await spheres.sphere(bo.ctx, sph)).title).toBe("Open harbour");
  });

  test("on again: a new key, and from when to when words stay readable", async () => {
    await spheres.setMode(ada.ctx, sph, "e2ee");
    told(bo, "ModeChanged");
    await sync(bo, cy);
    const [again] = told(bo, "ModeChanged");
    expect(again).toMatchObject({ mode: "e2ee", by: "ada" });
    expect(again!.since).toBeGreaterThan(0);
    expect(again!.since).toBeLessThanOrEqual(again!.at);
    await say(cy, sph, "sealed again");
    await sync(bo);
    expect((await messages(bo, sph)).at(-1)).toMatchObject({ text: "sealed again", open: false, epoch: 2 });
    expect(await spheres.sphere(cy.ctx, sph)).toMatchObject({ haveKey: true, epoch: 2 });
  });
});

describe("the policy", () => {
  test("is read and changed; one message in clear only where it allows that", async () => {
    const { sph } = await spheres.createSphere(ada.ctx, "Pier", { policy: { history: "since-join", T: 0 } });
    expect(await spheres.policy(ada.ctx, sph)).toMatchObject({ history: "since-join", T: 0, plaintext: false, join: "approve" });
    await enter(sph, bo);
    expect(await code(spheres.send(bo.ctx, sph, "in clear", { openly: true }))).toBe("L_USAGE");
    expect(await code(spheres.setPolicy(ada.ctx, sph, { history: "some" }))).toBe("C_FORMAT");
    await spheres.setPolicy(ada.ctx, sph, { plaintext: true });
    await sync(bo);
    await spheres.send(bo.ctx, sph, "in clear", { openly: true });
    await delivery.idle(bo.ctx);
    await say(bo, sph, "sealed");
    await sync(ada);
    expect((await messages(ada, sph)).map(({ text, open }) => [text, open])).toEqual([["in clear", true], ["sealed", false]]);
    // What may not go in clear any more stays here, and not even the relay sees it (CLT-016).
    bo.wire.fate = () => "lost";
    await spheres.send(bo.ctx, sph, "in clear, late", { openly: true });
    await delivery.idle(bo.ctx);
    await spheres.setPolicy(ada.ctx, sph, { plaintext: false });
    bo.wire.fate = () => "sent";
    const since = bo.wire.seen.length;
    await sync(bo);
    expect(await spheres.outbox(bo.ctx)).toMatchObject([{ state: "failed", code: "E_FORBIDDEN" }]);
    expect(bo.wire.seen.slice(since).filter((one) => one.startsWith("POST") && one.endsWith("/messages"))).toEqual([]);
    await spheres.drop(bo.ctx, (await spheres.outbox(bo.ctx))[0]!.id);
    const [clear, sealed] = await messages(ada, sph);
    const decoded = async (mid: string): Promise<string> => {
      const { stored } = await spheres.seen(ada.ctx, sph, mid);
      return Buffer.from(stored.split(".")[1]!, "base64url").toString();
    };
    expect(await decoded(clear!.mid)).toContain("in clear");
    expect(await decoded(sealed!.mid)).not.toContain("sealed");
  });

  test("gives a newcomer no more than it says, and a person's yes gives the rest (CLT-041)", async () => {
    const { sph } = await spheres.createSphere(ada.ctx, "Slip", { policy: { history: "since-join" } });
    await enter(sph, bo);
    await say(bo, sph, "of old");
    await spheres.rotate(ada.ctx, sph, "");
    await enter(sph, cy);
    await say(bo, sph, "and now");
    await sync(cy, ada, cy);
    expect(await texts(cy, sph)).toEqual(["<unreadable>", "and now"]);
    expect(await spheres.olderKeys(cy.ctx, sph)).toEqual([2]);
    expect(await spheres.askOlder(cy.ctx, sph)).toEqual(["ada"]);
    told(ada, "KeysWished");
    await sync(ada, cy);
    const [wished] = told(ada, "KeysWished");
    expect(wished).toMatchObject({ sph, name: "cy", ns: [2] });
    expect(await spheres.wishes(ada.ctx, sph)).toMatchObject([{ id: cy.ctx.id, ns: [2] }]);
    expect(await texts(cy, sph)).toEqual(["<unreadable>", "and now"]);
    expect(await spheres.shareOlder(ada.ctx, sph, cy.ctx.id, [2])).toBe(1);
    await sync(cy);
    expect(await texts(cy, sph)).toEqual(["of old", "and now"]);
    expect([await spheres.wishes(ada.ctx, sph), await spheres.olderKeys(cy.ctx, sph)]).toEqual([[], []]);
  });
});

describe("custody", () => {
  test("only here: the choice is there before the new key, and no key is made while it cannot be told (CLT-035)", async () => {
    const dee = await signUp(relay, "dee");
    const tablet = await further(relay, dee);
    const { sph } = await spheres.createSphere(dee.ctx, "Shed");
    await sync(dee, tablet);
    dee.wire.fate = ({ method, path }) => (method === "PUT" && path.endsWith("/slots/state") ? "lost" : "sent");
    expect(await code(spheres.keepOnlyHere(dee.ctx, sph, true))).toBe("L_UNREACHABLE");
    expect(await spheres.sphere(dee.ctx, sph)).toMatchObject({ onlyHere: true, epoch: 1 });
    dee.wire.fate = () => "sent";
    await spheres.keepOnlyHere(dee.ctx, sph, true);
    await sync(tablet, dee, tablet);
    expect(await spheres.sphere(tablet.ctx, sph)).toMatchObject({ onlyHere: true, epoch: 2, haveKey: true });
    const stored = (await dee.ctx.relay.slots()).map(({ name }) => name).filter((name) => name.includes(sph));
    expect(stored).toEqual([`e.${sph}.1`]);
    await spheres.keepOnlyHere(dee.ctx, sph, true);
    expect((await spheres.sphere(dee.ctx, sph)).epoch).toBe(2);
  });

  test("on devices only needs a second device; no slot is written from then on (CLT-035)", async () => {
    const { sph } = await spheres.createSphere(ada.ctx, "Strongroom");
    const slots = async (): Promise<string[]> => (await ada.ctx.relay.slots()).map(({ name }) => name).filter((name) => name.includes(sph));
    expect(await slots()).toHaveLength(1);
    expect(await code(spheres.setCustody(ada.ctx, sph, "device"))).toBe("L_USAGE");
    expect(await code(spheres.keepOnlyHere(ada.ctx, sph, true))).toBe("L_USAGE");
    expect(await code(spheres.createSphere(ada.ctx, "Vault", { custody: "device" }))).toBe("L_USAGE");
    const phone = await further(relay, ada);
    await sync(ada);
    const strict = await spheres.createSphere(ada.ctx, "Vault", { custody: "device" });
    expect(strict.custody).toBe("device");
    await spheres.keepOnlyHere(ada.ctx, sph, true);
    expect((await spheres.sphere(ada.ctx, sph)).onlyHere).toBe(true);
    await sync(ada, phone);
    expect((await spheres.sphere(phone.ctx, sph)).onlyHere).toBe(true);
    await spheres.rotate(ada.ctx, sph, "");
    await sync(ada, phone);
    expect(await slots()).toHaveLength(1);
    await spheres.keepOnlyHere(ada.ctx, sph, false);
    await spheres.setCustody(ada.ctx, sph, "device");
    expect(known(await replica(phone.ctx, sph)).state.custody).toBe("synced");
    await sync(phone);
    expect(known(await replica(phone.ctx, sph)).state.custody).toBe("device");
    expect((await ada.ctx.relay.slots()).some(({ name }) => name.includes(strict.sph))).toBe(false);
  });
});

describe("a public sphere", () => {
  test("is read by its link, by anybody, and only what was said since (CLT-044)", async () => {
    const nobody = (link: string): Promise<PublicPage> => reading(httpTransport(relay.origin), () => Date.now() / 1000, randomBytes, link, 50);
    const { sph } = await spheres.createSphere(ada.ctx, "Notices");
    await enter(sph, bo);
    await say(ada, sph, "sealed");
    await expect(code(spheres.publicLink(ada.ctx, sph))).resolves.toBe("L_USAGE");
    await spheres.setMode(ada.ctx, sph, "open");
    await say(ada, sph, "for members");
    await spheres.setMode(ada.ctx, sph, "public", "Harbour notices");
    await say(ada, sph, "Ferry at nine");
    await sync(bo);
    await spheres.acceptMode(bo.ctx, sph, "public");
    await say(bo, sph, "Thanks");
    const ferry = (await messages(bo, sph)).find((one) => one.text === "Ferry at nine")!;
    await say(bo, sph, "And back?", ferry.mid);
    const link = await spheres.publicLink(ada.ctx, sph);
    const page = await nobody(link);
    expect(page).toMatchObject({ sph, title: "Harbour notices", members: 2 });
    expect(page.messages.map(({ name, text }) => [name, text])).toEqual([["ada", "Ferry at nine"], ["bo", "And back?"], ["bo", "Thanks"]]);
    const other = `${link.slice(0, -3)}${link.endsWith("AAA") ? "BBB" : "AAA"}`;
    expect(await code(nobody(other))).toBe("C_LOG_FORK");
    expect(await code(nobody(link.replace("/p#", "/j#")))).toBe("L_USAGE");
    await spheres.setMode(ada.ctx, sph, "e2ee");
    expect(await code(nobody(link))).toBe("E_FORBIDDEN");
  });
});
