/**
 * The first run, against a real relay: sign up, make a sphere, invite, ask, admit, send, read (CLT-003, CLT-010, CLT-018).
 */

import { afterAll, beforeAll, describe, expect, test, vi } from "vitest";

import type { Row } from "../../src/client/records.ts";
import { type TestRelay, startRelay } from "../relay.ts";
import { type Person, person } from "./party.ts";

vi.mock("../../src/crypto/argon2.ts", async (real) => (await import("../cheap.ts")).cheap(real));

let relay: TestRelay;
let ada: Person;
let bo: Person;
let sph = "";

beforeAll(async () => {
  relay = await startRelay({ signup: "invite" });
  ada = await person("ada", { address: relay.origin });
  bo = await person("bo", { address: relay.origin });
});
afterAll(async () => {
  await ada.client.close();
  await bo.client.close();
  await relay.stop();
});

const texts = (rows: readonly Row[]): string[] => rows.flatMap((one) => (one.row === "message" ? [one.message.text] : []));
const INVITE = { uses: 1, seconds: 3600, role: "member", admit: "ask" } as const;

describe("the first run", () => {
  test("the first account by the set-up code", async () => {
    expect((await ada.client.serverInfo()).setup).toBe(true);
    expect(await ada.client.account()).toMatchObject({ status: "new" });
    await ada.client.createAccount("ada", ada.password, { ticket: relay.code, deviceName: "Firefox on Linux" });
    expect(await ada.client.account()).toMatchObject({ status: "open", login: "ada", admin: true, deviceName: "Firefox on Linux" });
  });

  test("a sphere, and a text to itself", async () => {
    ({ sph } = await ada.client.createSphere("Harbour", {}));
    await ada.client.send(sph, "Anybody here?", {});
    expect(await ada.client.sync()).toMatchObject({ offline: false, waiting: 0, faults: [] });
    expect(texts((await ada.client.rows(sph, { limit: 50 })).rows)).toEqual(["Anybody here?"]);
  });

  test("invited, asked, admitted", async () => {
    const { url } = await ada.client.invite(sph, INVITE);
    expect(await bo.client.readLink(url)).toMatchObject({ kind: "invite", origin: relay.origin, label: "Harbour" });
    const asked = await bo.client.createAccount("bo", bo.password, { link: url });
    expect(asked).toMatchObject({ state: "asked" });
    await ada.client.sync();
    const [request] = await ada.client.requests();
    expect(request).toMatchObject({ name: "bo", byLink: true });
    await ada.client.admit(sph, request!.hash, { confirmed: false, role: "member" });
    expect(await bo.client.sync()).toMatchObject({ offline: false, faults: [] });
    expect((await bo.client.spheres()).map((one) => [one.title, one.members, one.haveKey])).toEqual([["Harbour", 2, true]]);
  });

  test("they talk", async () => {
    await bo.client.send(sph, "I am.", {});
    await bo.client.sync();
    await ada.client.sync();
    const { rows } = await ada.client.rows(sph, { limit: 50 });
    expect(texts(rows)).toEqual(["Anybody here?", "I am."]);
    expect(rows.some((one) => one.row === "notice" && one.notice.op === "add")).toBe(true);
    expect(ada.events.filter((one) => one.event === "MessageReceived").map((one) => one.message.text)).toContain("I am.");
    expect((await ada.client.sphere(sph)).unread).toBe(1);
  });

  test("a reload finds everything, and a wrong password nothing", async () => {
    await bo.client.close();
    bo = await person("bo", { address: relay.origin, place: bo.place });
    expect(await bo.client.account()).toMatchObject({ status: "locked", login: "bo" });
    await expect(bo.client.unlock("not this password at all")).rejects.toMatchObject({ code: "E_AUTH" });
    await bo.client.unlock(bo.password);
    expect(texts((await bo.client.rows(sph, { limit: 50 })).rows)).toContain("I am.");
  });
});
