/**
 * A browser's client and the terminal's in the same spheres: each admits the other, and what one writes the other reads.
 */

import { afterAll, beforeAll, describe, expect, test } from "vitest";

import type { DeviceInfo, Invitation, Message, Person as Member, Row, SavedKeys, SphereInfo } from "../../src/client/records.ts";
import { type TestRelay, startRelay } from "../relay.ts";
import { type Person, person } from "./party.ts";
import { type Terminal, terminal } from "./terminal.ts";

let relay: TestRelay;
let ada: Person;
let bo: Terminal;
let sph = "";
const PASSWORD = "seven-bo-grey-seals-on-a-rock";

beforeAll(async () => {
  relay = await startRelay({ signup: "invite" });
  ada = await person("ada", { address: relay.origin });
  bo = terminal(relay, "bo");
  await ada.client.createAccount("ada", ada.password, { ticket: relay.code });
  ({ sph } = await ada.client.createSphere("Harbour", { topic: "Who ties up where" }));
});
afterAll(async () => {
  await ada.client.close();
  await bo.end();
  await relay.stop();
});

const messages = (rows: readonly Row[]): Message[] => rows.flatMap((one) => (one.row === "message" ? [one.message] : []));
const read = async (): Promise<Message[]> => messages((await ada.client.rows(sph, { limit: 50 })).rows);

describe("a browser and a terminal", () => {
  test("the browser admits the terminal", async () => {
    const { url } = await ada.client.invite(sph, { uses: 1, seconds: 3600, role: "member", admit: "ask" });
    await bo.do("sign_up", { login: "bo", password: PASSWORD, link: url });
    await ada.client.sync();
    const [request] = await ada.client.requests(sph);
    await ada.client.admit(sph, request!.hash, { confirmed: false, role: "member" });
    await bo.do("sync");
    expect((await bo.do<SphereInfo[]>("spheres")).map((one) => one.title)).toEqual(["Harbour"]);
  });

  test("texts, comments, edits, reactions and deletions both ways", async () => {
    await ada.client.send(sph, "Berth 4 is free", {});
    await ada.client.sync();
    await bo.do("sync");
    const [first] = await bo.do<Message[]>("messages", { sph });
    expect(first).toMatchObject({ text: "Berth 4 is free", name: "ada", state: "sent" });
    await bo.do("send", { sph, text: "Taken.", re: first!.mid });
    const mine = await bo.do<Message>("send", { sph, text: "And berth 5 too" });
    await bo.do("react", { sph, mid: first!.mid, emoji: "👍" });
    await bo.do("edit", { sph, mid: mine.mid, text: "And berth 5" });
    await ada.client.sync();
    expect((await read()).map((one) => [one.text, one.edited, one.reactions])).toEqual([
      ["Berth 4 is free", false, [["👍", ["bo"]]]], ["And berth 5", true, []],
    ]);
    const thread = messages((await ada.client.rows(sph, { thread: first!.mid, limit: 50 })).rows);
    expect(thread.map((one) => one.text)).toEqual(["Berth 4 is free", "Taken."]);
    await ada.client.react(sph, mine.mid, "⚓", true);
    await ada.client.remove(sph, mine.mid);
    await ada.client.sync();
    await bo.do("sync");
    expect((await bo.do<Message[]>("messages", { sph })).map((one) => [one.text, one.deleted])).toEqual([
      ["Berth 4 is free", false], ["Taken.", false], ["", true],
    ]);
  });

  test("both show the same digits and the same head", async () => {
    const people = await ada.client.people(sph);
    const [me, other] = [people.find((one) => one.me)!, people.find((one) => !one.me)!];
    expect(await ada.client.safetyNumber(sph, other.id)).toBe(await bo.do("safety", { sph, id: me.id }));
    expect(await ada.client.headCode(sph)).toBe(await bo.do("head", { sph }));
  });

  test("either makes a new key, and the other goes on under it", async () => {
    expect(await ada.client.rotate(sph, "asked")).toBe(2);
    await bo.do("sync");
    await bo.do("send", { sph, text: "Under the second key" });
    expect(await bo.do("rotate", { sph })).toBe(3);
    await ada.client.sync();
    await ada.client.send(sph, "Under the third", {});
    await ada.client.sync();
    await bo.do("sync");
    const found = await bo.do<Message[]>("messages", { sph });
    expect(found.slice(-2).map((one) => [one.text, one.epoch])).toEqual([["Under the second key", 2], ["Under the third", 3]]);
    expect((await read()).slice(-2).map((one) => [one.text, one.epoch])).toEqual([["Under the second key", 2], ["Under the third", 3]]);
  });

  test("keys saved in one are opened in the other (EXP-001, CLT-060)", async () => {
    const there = await bo.do<SavedKeys>("save", { sph });
    expect(await ada.client.checkSaved(sph, there.text, there.code)).toBe(3);
    expect((await ada.client.sphere(sph)).saved).toBe(3);
    const here = await ada.client.saveKeys(sph, ada.password, "");
    expect(here.keys).toEqual([1, 2, 3]);
    expect(await bo.do("check", { sph, text: here.text, code: here.code })).toBe(3);
  });

  test("the terminal admits the browser, by itself", async () => {
    const made = await bo.do<SphereInfo>("create", { title: "Chandlery" });
    const { url } = await bo.do<{ url: string }>("invite", { sph: made.sph, admit: "auto" });
    expect(await ada.client.join(url)).toMatchObject({ state: "asked", label: "Chandlery" });
    await bo.do("sync");
    await ada.client.sync();
    expect((await ada.client.spheres()).map((one) => [one.title, one.status, one.haveKey])).toEqual([
      ["Chandlery", "active", true], ["Harbour", "active", true],
    ]);
    await bo.do("send", { sph: made.sph, text: "Rope is in" });
    await ada.client.sync();
    expect(messages((await ada.client.rows(made.sph, { limit: 9 })).rows).map((one) => one.text)).toEqual(["Rope is in"]);
  });

  test("the same account in both: each is a device of the other's, reads what was, and is read", async () => {
    const second = terminal(relay, "ada");
    await second.do("sign_in", { login: "ada", password: ada.password });
    await second.do("sync");
    expect((await second.do<Message[]>("messages", { sph })).map((one) => one.text)).toContain("Under the third");
    await second.do("send", { sph, text: "From my other device" });
    await ada.client.sync();
    expect((await read()).at(-1)).toMatchObject({ text: "From my other device", mine: true });
    expect((await ada.client.devices()).filter((one) => one.active)).toHaveLength(2);
    const third = await person("bo", { address: relay.origin });
    await third.client.signIn("bo", PASSWORD, "Firefox");
    expect((await third.client.spheres()).map((one) => [one.title, one.haveKey])).toEqual([["Chandlery", true], ["Harbour", true]]);
    expect(messages((await third.client.rows(sph, { limit: 50 })).rows).map((one) => one.text)).toContain("From my other device");
    await third.client.send(sph, "From bo's browser", {});
    await third.client.sync();
    await bo.do("sync");
    expect((await bo.do<Message[]>("messages", { sph })).at(-1)).toMatchObject({ text: "From bo's browser", mine: true });
    expect((await bo.do<DeviceInfo[]>("devices")).filter((one) => one.active)).toHaveLength(2);
    await third.client.close();
    await second.end();
  });

  test("removed by the terminal, the browser knows it from a signed entry", async () => {
    const { sph: other } = (await ada.client.spheres()).find((one) => one.title === "Chandlery")!;
    const { id } = (await bo.do<Member[]>("people", { sph: other })).find((one) => !one.me)!;
    await bo.do("remove", { sph: other, id });
    await ada.client.sync();
    expect((await ada.client.spheres(true)).find((one) => one.sph === other)).toMatchObject({ status: "removed" });
    await expect(ada.client.send(other, "Hello?", {})).rejects.toMatchObject({ code: "C_NOT_MEMBER" });
  });
});

describe("an invitation to somebody known (CLT-053)", () => {
  test("from the browser to the terminal", async () => {
    const board = await ada.client.createSphere("Board", {});
    const [known] = await ada.client.candidates(board.sph);
    await ada.client.invite(board.sph, { uses: 1, seconds: 3600, role: "member", admit: "ask", to: known!.id });
    await bo.do("sync");
    const [one] = await bo.do<Invitation[]>("invitations");
    expect(one).toMatchObject({ name: "ada", label: "Board", sph: board.sph, via: sph });
    await bo.do("accept", { id: one!.id });
    await ada.client.sync();
    await bo.do("sync");
    expect(await bo.do("invitations")).toEqual([]);
    expect((await ada.client.people(board.sph)).map((member) => member.name)).toContain(known!.name);
  });

  test("from the terminal to the browser", async () => {
    const { sph: pier } = await bo.do<SphereInfo>("create", { title: "Pier" });
    await bo.do("invite", { sph: pier, to: "ada" });
    await ada.client.sync();
    const [one] = await ada.client.invitations();
    expect(one).toMatchObject({ label: "Pier", sph: pier });
    await ada.client.acceptInvitation(one!.id);
    await bo.do("sync");
    await ada.client.sync();
    expect((await ada.client.sphere(pier)).status).toBe("active");
    expect(await ada.client.invitations()).toEqual([]);
  });
});
