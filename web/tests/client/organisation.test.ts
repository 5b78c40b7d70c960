/** Spheres of an organisation, between a browser's client and the terminal's: both derive, and both follow (CLT-062). */

import { afterAll, beforeAll, describe, expect, test } from "vitest";

import type { Message, Row, SphereInfo } from "../../src/client/records.ts";
import { type TestRelay, startRelay } from "../relay.ts";
import { type Person, person } from "./party.ts";
import { type Terminal, terminal } from "./terminal.ts";

let relay: TestRelay;
let ada: Person;
let bo: Terminal;
let firm: SphereInfo;
let board: SphereInfo;

beforeAll(async () => {
  relay = await startRelay({ signup: "invite" });
  ada = await person("ada", { address: relay.origin });
  bo = terminal(relay, "bo");
  await ada.client.createAccount("ada", ada.password, { ticket: relay.code });
  firm = await ada.client.createSphere("Firm", { kind: "org" });
  board = await ada.client.createSphere("Board", { org: firm.sph });
});
afterAll(async () => {
  await ada.client.close();
  await bo.end();
  await relay.stop();
});

const texts = (rows: readonly Row[]): string[] => rows.flatMap((one) => (one.row === "message" ? [one.message.text] : []));
const here = async (sph: string): Promise<string[]> => texts((await ada.client.rows(sph, { limit: 50 })).rows);
const there = async (sph: string): Promise<[string, string][]> =>
  (await bo.do<Message[]>("messages", { sph })).map((one) => [one.text, one.state]);

/** Everybody looks twice: what one says in one sphere another hears in the next. */
async function rounds(): Promise<void> {
  for (let n = 0; n < 2; n += 1) {
    await ada.client.sync();
    await bo.do("sync");
  }
}

async function link(sph: string): Promise<string> {
  return (await ada.client.invite(sph, { uses: 1, seconds: 3600, role: "member", admit: "ask" })).url;
}

async function admit(sph: string): Promise<void> {
  await ada.client.sync();
  const [request] = await ada.client.requests(sph);
  await ada.client.admit(sph, request!.hash, { confirmed: false, role: "member" });
}

describe("an organisation's spheres", () => {
  test("nobody comes in who is not in the organisation", async () => {
    expect([firm.kind, board.kind, board.org]).toEqual(["org", "sphere", firm.sph]);
    await expect(ada.client.createSphere("Canteen", { org: board.sph })).rejects.toMatchObject({ code: "L_USAGE" });
    const asked = { login: "bo", password: "seven-bo-grey-seals-on-a-rock", link: await link(board.sph) };
    await bo.do("sign_up", asked);
    await expect(admit(board.sph)).rejects.toMatchObject({ code: "L_USAGE" });
    await bo.do("join", { link: await link(firm.sph) });
    await admit(firm.sph);
    await admit(board.sph);
  });

  test("each reads what the other writes, in spheres of either", async () => {
    await ada.client.send(board.sph, "From the browser", {});
    await rounds();
    expect(await there(board.sph)).toEqual([["From the browser", "sent"]]);
    await bo.do("send", { sph: board.sph, text: "From the terminal" });
    await rounds();
    expect(await here(board.sph)).toEqual(["From the browser", "From the terminal"]);
    const made = await bo.do<SphereInfo>("create", { title: "Canteen", options: { org: firm.sph } });
    const { url } = await bo.do<{ url: string }>("invite", { sph: made.sph, admit: "auto" });
    await ada.client.join(url);
    await rounds();
    await bo.do("send", { sph: made.sph, text: "Soup" });
    await rounds();
    expect(await here(made.sph)).toEqual(["Soup"]);
    expect((await ada.client.sphere(made.sph)).haveKey).toBe(true);
  });

  test("a new key there brings one here, made by whoever speaks first", async () => {
    await bo.do("rotate", { sph: firm.sph });
    await rounds();
    await ada.client.send(board.sph, "Under the second", {});
    await rounds();
    expect((await ada.client.sphere(board.sph)).epoch).toBe(2);
    await ada.client.rotate(firm.sph, "");
    await rounds();
    await bo.do("send", { sph: board.sph, text: "Under the third" });
    await rounds();
    expect((await ada.client.sphere(board.sph)).epoch).toBe(3);
    expect((await here(board.sph)).slice(-2)).toEqual(["Under the second", "Under the third"]);
    expect((await there(board.sph)).slice(-2)).toEqual([["Under the second", "sent"], ["Under the third", "sent"]]);
  });

  test("whoever is removed from the organisation reads no further", async () => {
    const [other] = (await ada.client.people(firm.sph)).filter((one) => !one.me);
    await ada.client.removePerson(firm.sph, other!.id, false);
    await ada.client.send(board.sph, "Without bo", {});
    await rounds();
    expect((await ada.client.sphere(board.sph)).epoch).toBe(4);
    expect((await there(board.sph)).at(-1)).toEqual(["", "unreadable"]);
  });
});
