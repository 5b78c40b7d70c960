/** A relay that leaves positions out or shows the same page for ever: asked a bounded number of times, then said (CLT-033). */

import { afterAll, beforeAll, describe, expect, test, vi } from "vitest";
import { WebSocket } from "ws";

import type { Answer, Transport } from "../../src/client/transports/base.ts";
import { httpTransport } from "../../src/client/transports/http.ts";
import type { RawSocket } from "../../src/client/transports/websocket.ts";
import { type TestRelay, startRelay } from "../relay.ts";
import { type Person, person } from "./party.ts";

vi.mock("../../src/crypto/argon2.ts", async (real) => (await import("../cheap.ts")).cheap(real));

interface Page { items: { pos: number; k: string; jws: string }[]; head: number }

/** Answers after which a client counts as one that asks for ever. */
const FOR_EVER = 40;
const SAID = ["one", "two", "three", "four"];

let relay: TestRelay;
let ada: Person;
let bo: Person;
let sph = "";
let bent: ((page: Page) => Page) | undefined;
let asked = 0;

/** The relay as bo's transport shows it: pages of rows bent. */
function lying(real: Transport): Transport {
  return {
    origin: real.origin,
    connect: (path) => real.connect(path),
    close: () => real.close(),
    request: async (given): Promise<Answer> => {
      const answer = await real.request(given);
      if (!/\/spheres\/.*\/items/.test(given.path) || bent === undefined) return answer;
      asked += 1;
      if (asked > FOR_EVER) throw new Error("asked for ever");
      const page = bent(JSON.parse(new TextDecoder().decode(answer.body)) as Page);
      return { ...answer, body: new TextEncoder().encode(JSON.stringify(page)) };
    },
  };
}

beforeAll(async () => {
  relay = await startRelay();
  ada = await person("ada", { address: relay.origin });
  const raw = (url: string): RawSocket => new WebSocket(url, { perMessageDeflate: false }) as unknown as RawSocket;
  bo = await person("bo", { address: relay.origin, transport: lying(httpTransport(relay.origin, raw)) });
  await ada.client.createAccount("ada", ada.password, { ticket: relay.code });
  ({ sph } = await ada.client.createSphere("Harbour", {}));
  const { url } = await ada.client.invite(sph, { uses: 1, seconds: 3600, role: "member", admit: "auto" });
  await bo.client.createAccount("bo", bo.password, { link: url });
  await ada.client.sync();
  await bo.client.sync();
  for (const text of SAID) await ada.client.send(sph, text, {});
  await ada.client.sync();
});
afterAll(async () => {
  await ada.client.close();
  await bo.client.close();
  await relay.stop();
});

/** One round of bo's, with pages bent; what it reports. */
async function round(how: (page: Page) => Page): Promise<readonly string[]> {
  [bent, asked] = [how, 0];
  const { faults } = await bo.client.sync();
  return faults;
}

const texts = async (): Promise<string[]> =>
  (await bo.client.rows(sph, { limit: 100 })).rows.flatMap((one) => (one.row === "message" ? [one.message.text] : []));
const told = async (): Promise<string[]> =>
  (await bo.client.doctor()).map((one) => one.text).filter((text) => text.includes("of its list"));

describe("what the relay leaves out", () => {
  test("is asked for twice more, read past, and said once", async () => {
    const without = (page: Page): Page => ({ ...page, items: page.items.filter((_, at) => at !== page.items.length - 3) });
    expect(await round(without)).toContain("C_GAP");
    expect(asked).toBe(3);
    expect(await texts()).toEqual(["one", "three", "four"]);
    expect(await told()).toHaveLength(1);
    expect(await round((page) => page)).not.toContain("C_GAP");
    expect(asked).toBe(1);
    expect(await told()).toHaveLength(1);
  });

  test.each<[string, (page: Page) => Page]>([
    ["nothing", (page) => ({ items: [], head: page.head + 7 })],
    ["the same row", (page) => ({ items: [{ pos: 1, k: "msg", jws: "x.y.z" }], head: page.head + 7 })],
  ])("holds nobody up when it shows %s", async (_, how) => {
    expect(await round(how)).toContain("C_GAP");
    expect(asked).toBe(3);
    expect(await told()).toHaveLength(2);
    expect(await round((page) => page)).not.toContain("C_GAP");
    expect(await told()).toHaveLength(1);
  });
});
