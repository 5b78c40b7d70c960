/**
 * The live connection: what one writes the other hears at once, a relay that goes away is waited for (CLT-033, STR-014).
 */

import { afterAll, beforeAll, describe, expect, test, vi } from "vitest";

import type { PageEvent } from "../../src/client/api.ts";
import { settled } from "../../src/client/background.ts";
import { type TestRelay, startRelay } from "../relay.ts";
import { type Person, person } from "./party.ts";

vi.mock("../../src/crypto/argon2.ts", async (real) => (await import("../cheap.ts")).cheap(real));

let relay: TestRelay;
let ada: Person;
let bo: Person;
let sph = "";

const is = (name: PageEvent["event"]) => (event: PageEvent): boolean => event.event === name;
const says = (text: string) => (event: PageEvent): boolean => event.event === "MessageReceived" && event.message.text === text;

beforeAll(async () => {
  relay = await startRelay();
  ada = await person("ada", { address: relay.origin, live: true });
  bo = await person("bo", { address: relay.origin, live: true });
  await ada.client.createAccount("ada", ada.password, { ticket: relay.code });
  ({ sph } = await ada.client.createSphere("Harbour", {}));
  await ada.heard(is("Connected"));
});
afterAll(async () => {
  await ada.client.lock();
  await bo.client.lock();
  await settled();
  await relay.stop();
});

describe("live", () => {
  test("a request is let in by itself, and both are there", async () => {
    const { url } = await ada.client.invite(sph, { uses: 1, seconds: 3600, role: "member", admit: "auto" });
    await bo.client.createAccount("bo", bo.password, { link: url });
    await bo.heard(is("Admitted"));
    expect((await bo.client.spheres()).map((one) => one.title)).toEqual(["Harbour"]);
  });

  test("texts go over the line, both ways, without asking", async () => {
    await bo.client.send(sph, "Over the line", {});
    await bo.heard(is("MessageSent"));
    await ada.heard(says("Over the line"));
    const { line } = ada.client.context;
    expect(line).toBeDefined();
    await ada.client.send(sph, "And back", {});
    await bo.heard(says("And back"));
  });

  test("a relay that goes and comes back: told, waited for, nothing lost", async () => {
    await relay.halt();
    await ada.heard(is("Disconnected"));
    await bo.heard(is("Disconnected"));
    const item = await bo.client.send(sph, "Written meanwhile", {});
    expect(item.state).toBe("waiting");
    await relay.start();
    await ada.heard(is("Connected"), says("Written meanwhile"));
    await bo.heard(is("MessageSent"));
    expect(await bo.client.outbox()).toEqual([]);
  });

  test("a removed member hears it, and the others make a new key by themselves", async () => {
    const { id } = (await ada.client.people(sph)).find((one) => !one.me)!;
    const before = (await ada.client.sphere(sph)).epoch;
    await ada.client.removePerson(sph, id, false);
    await bo.heard(is("Removed"));
    if ((await ada.client.sphere(sph)).epoch === before) await ada.heard(is("NewKey"));
    expect((await ada.client.sphere(sph)).epoch).toBe(before + 1);
  });

  test("a device taken away hears that it is over: why, where a signed entry can be read, else the relay's word (CLT-038)", async () => {
    const phone = await person("ada", { address: relay.origin, live: true });
    await phone.client.signIn("ada", ada.password, "Phone");
    await phone.heard(is("Connected"));
    const { dv } = await phone.client.account();
    await ada.client.revokeDevice(dv, ada.password);
    const refused = (event: PageEvent): boolean => event.event === "Disconnected" && event.code === "E_AUTH";
    await phone.heard((event) => event.event === "LockedNow" || refused(event));
    // An entry that reached it before its session ended locks it; otherwise it stays open and says what is known.
    if ((await phone.client.account()).status === "open") {
      expect((await phone.client.sync()).faults).toContain("E_AUTH");
      expect((await phone.client.doctor()).find((one) => one.topic === "device")).toMatchObject({ ok: false, code: "E_AUTH" });
      expect((await phone.client.spheres()).map((one) => one.title)).toEqual(["Harbour"]);
    }
    await phone.client.close();
    const { sph: square } = await ada.client.createSphere("Square", { mode: "public" });
    const tablet = await person("ada", { address: relay.origin, live: true });
    await tablet.client.signIn("ada", ada.password, "Tablet");
    await tablet.heard(is("Connected"));
    expect((await tablet.client.sphere(square)).status).toBe("active");
    await ada.client.revokeDevice((await tablet.client.account()).dv, ada.password);
    await tablet.heard(is("Revoked"), is("LockedNow"));
    expect(await tablet.client.account()).toMatchObject({ status: "locked" });
    await tablet.client.close();
  });
});
