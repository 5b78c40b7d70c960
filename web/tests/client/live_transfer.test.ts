/**
 * Keys handed from one connected browser to another, and to a terminal's device: asked by itself, compared, given
 * (LIVE-003 to LIVE-009, LIVE-012 to LIVE-014).
 */

import { afterAll, beforeAll, describe, expect, test } from "vitest";

import { settled } from "../../src/client/background.ts";
import type { KeyAsked, KeyOffered } from "../../src/client/events.ts";
import type { PageEvent } from "../../src/client/api.ts";
import { type TestRelay, startRelay } from "../relay.ts";
import { type Person, person } from "./party.ts";

let relay: TestRelay;
let ada: Person;
let bo: Person;
let cy: Person | undefined;
let sph = "";

const is = (name: PageEvent["event"]) => (event: PageEvent): boolean => event.event === name;

function last<E extends PageEvent>(who: Person, name: E["event"]): E {
  return who.events.filter((one) => one.event === name).at(-1) as E;
}

beforeAll(async () => {
  relay = await startRelay();
  ada = await person("ada", { address: relay.origin, live: true });
  bo = await person("bo", { address: relay.origin, live: true });
  await ada.client.createAccount("ada", ada.password, { ticket: relay.code });
  const phone = await person("ada", { address: relay.origin });
  await phone.client.signIn("ada", ada.password, "Phone");
  await phone.client.close();
  await ada.client.sync();
  ({ sph } = await ada.client.createSphere("Harbour", { delivery: "live" }));
  await ada.client.send(sph, "Before bo came", {});
});
afterAll(async () => {
  await ada.client.lock();
  await bo.client.lock();
  await cy?.client.lock();
  await settled();
  await relay.stop();
});

describe("live transfer", () => {
  test("who came by a link asks by itself, both see the same digits, and nothing is given before a word", async () => {
    const { url } = await ada.client.invite(sph, { uses: 1, seconds: 3600, role: "member", admit: "auto" });
    await bo.client.createAccount("bo", bo.password, { link: url });
    await bo.heard(is("Admitted"), is("KeyOffered"));
    await ada.heard(is("KeyAsked"));
    const [asked, offered] = [last<KeyAsked>(ada, "KeyAsked"), last<KeyOffered>(bo, "KeyOffered")];
    expect([asked.digits, asked.who, offered.who]).toEqual([offered.digits, "bo", "ada"]);
    expect(asked.digits).toMatch(/^\d{6}$/);
    expect((await bo.client.keys(sph)).map((one) => one.here)).toEqual([false]);
    expect((await ada.client.transfers(sph)).map((one) => one.name)).toEqual([asked.name]);
  });

  test("different digits end it on both sides", async () => {
    const { name } = last<KeyAsked>(ada, "KeyAsked");
    await bo.client.endLive(sph, name, "different");
    await ada.heard(is("TransferEnded"));
    expect(await ada.client.transfers(sph)).toEqual([]);
    await expect(ada.client.giveLive(sph, name)).rejects.toMatchObject({ code: "L_NOT_FOUND" });
  });

  test("asked again and given: the past opens as far as the policy lets it", async () => {
    const { reached } = await bo.client.askLive(sph);
    expect(reached).toBeGreaterThan(0);
    await ada.heard(is("KeyAsked"));
    await ada.client.giveLive(sph, last<KeyAsked>(ada, "KeyAsked").name);
    await bo.heard(is("KeyReceived"));
    await ada.heard(is("KeyGiven"));
    expect((await bo.client.keys(sph)).map((one) => one.here)).toEqual([true]);
    await bo.client.send(sph, "Now I can read", {});
    await ada.heard((event) => event.event === "MessageReceived" && event.message.text === "Now I can read");
    await expect(bo.client.askLive(sph)).rejects.toMatchObject({ code: "L_USAGE" });
  });

  test("a device that may gives the next key without being asked", async () => {
    await ada.client.setProvides(sph, true);
    expect(await ada.client.provides(sph)).toBe(true);
    await ada.client.rotate(sph, "");
    await bo.heard(is("NewKey"));
    const got = bo.client.keys(sph).then((keys) => keys.every((one) => one.here));
    if (!(await got)) {
      await bo.client.askLive(sph);
      await bo.heard(is("KeyReceived"));
    }
    expect((await bo.client.keys(sph)).map((one) => one.here)).toEqual([true, true]);
  });

  test("who says no spoils nothing: the next offer that came is opened, with digits of its own", async () => {
    await ada.client.setProvides(sph, false);
    const { url } = await ada.client.invite(sph, { uses: 1, seconds: 3600, role: "member", admit: "auto" });
    cy = await person("cy", { address: relay.origin, live: true });
    await cy.client.createAccount("cy", cy.password, { link: url });
    await cy.heard(is("Admitted"), is("KeyOffered"));
    const offered = last<KeyOffered>(cy, "KeyOffered");
    const [first, second] = offered.who === "ada" ? [ada, bo] : [bo, ada];
    await first.heard(is("KeyAsked"));
    await first.client.endLive(sph, offered.name, "refused");
    await second.heard(is("KeyAsked"));
    await cy.heard(is("KeyOffered"));
    const [asked, next] = [last<KeyAsked>(second, "KeyAsked"), last<KeyOffered>(cy, "KeyOffered")];
    expect(next.name).toBe(offered.name);
    expect(next.digits).toBe(asked.digits);
    expect(next.who).not.toBe(offered.who);
    await second.client.giveLive(sph, asked.name);
    await cy.heard(is("KeyReceived"));
    expect((await cy.client.keys(sph)).map((one) => one.here)).toEqual([true, true]);
  });
});
