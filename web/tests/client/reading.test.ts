/** Reading over a real relay: notices where they happened, a thread, unread, search, and one name for a row that waits (WEB-031 to WEB-033). */

import { afterAll, beforeAll, describe, expect, test, vi } from "vitest";

import type { Row, Rows } from "../../src/client/records.ts";
import { type TestRelay, startRelay } from "../relay.ts";
import { type Person, person } from "./party.ts";

vi.mock("../../src/crypto/argon2.ts", async (real) => (await import("../cheap.ts")).cheap(real));

let relay: TestRelay;
let ada: Person;
let bo: Person;
let sph = "";

beforeAll(async () => {
  relay = await startRelay();
  ada = await person("ada", { address: relay.origin });
  bo = await person("bo", { address: relay.origin });
  await ada.client.createAccount("ada", ada.password, { ticket: relay.code });
  ({ sph } = await ada.client.createSphere("Harbour", {}));
  const { url } = await ada.client.invite(sph, { uses: 1, seconds: 3600, role: "member", admit: "ask" });
  await bo.client.createAccount("bo", bo.password, { link: url });
  await ada.client.sync();
  const [request] = await ada.client.requests();
  await ada.client.admit(sph, request!.hash, { confirmed: false, role: "member" });
  await bo.client.sync();
});
afterAll(async () => {
  await ada.client.close();
  await bo.client.close();
  await relay.stop();
});

const page = ({ client }: Person, more: { thread?: string } = {}): Promise<Rows> => client.rows(sph, { limit: 100, ...more });
const labels = (rows: readonly Row[]): string[] =>
  rows.map((one) => (one.row === "message" ? one.message.text : one.row === "notice" ? `*${one.notice.op}` : "-"));

async function say(from: Person, text: string, re?: string): Promise<Row> {
  const item = await from.client.send(sph, text, re === undefined ? {} : { re });
  const waiting = (await from.client.row(sph, item.id))!;
  await from.client.sync();
  const sent = (await from.client.row(sph, item.id))!;
  expect(sent.key).toBe(waiting.key);
  expect(sent).toMatchObject({ message: { state: "sent" } });
  return sent;
}

const midOf = (row: Row): string => (row.row === "message" ? row.message.mid : "");

describe("reading", () => {
  test("texts, comments and notices of both sides in one order", async () => {
    const root = midOf(await say(ada, "Which port?"));
    await bo.client.sync();
    await say(bo, "The north one.", root);
    await say(bo, "And when?");
    await ada.client.rotate(sph, "");
    await ada.client.sync();
    await bo.client.sync();
    for (const one of [ada, bo]) {
      const { rows } = await page(one);
      expect(labels(rows)).toEqual(["*create", "*epoch", "*meta", "*add", "Which port?", "And when?", "*epoch"]);
      expect(rows.find((row) => row.row === "message")).toMatchObject({ comments: 1 });
      expect(labels((await page(one, { thread: root })).rows)).toEqual(["Which port?", "The north one."]);
      const notices = rows.flatMap((row) => (row.row === "notice" ? [row.notice] : []));
      expect(notices.find((notice) => notice.op === "add")).toMatchObject({ byName: "ada", whoName: "bo", mine: one === ada });
      expect(notices.at(-1)).toMatchObject({ epoch: 2, why: ["asked"] });
      expect(new Set(rows.map((row) => row.key)).size).toBe(rows.length);
    }
  });

  test("what is unread goes when it is read, on the other side only what was not its own", async () => {
    expect((await bo.client.sphere(sph)).unread).toBe(1);
    const { firstUnread, rows } = await page(bo);
    expect(rows.find((row) => row.key === firstUnread)).toMatchObject({ message: { text: "Which port?" } });
    expect(rows.find((row) => row.key === firstUnread)).toMatchObject({ unreadComments: 0 });
    expect((await ada.client.sphere(sph)).unread).toBe(2);
    const last = (await page(ada)).rows.filter((row) => row.row === "message").at(-1)!;
    await ada.client.markRead(sph, last.row === "message" ? last.message.pos : 0);
    expect((await ada.client.sphere(sph)).unread).toBe(0);
    expect((await page(ada)).firstUnread).toBeUndefined();
  });

  test("words are found on the device that has read them", async () => {
    expect((await ada.client.search("NORTH", 5)).found.map((one) => one.text)).toEqual(["The north one."]);
    expect(await bo.client.search("port", 5)).toMatchObject({ searched: 3, whole: true });
  });
});
