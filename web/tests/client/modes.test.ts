/** A switch of mode is answered once by a person: his other browsers do not ask again, but about the next one (CLT-042). */

import { afterAll, beforeAll, expect, test, vi } from "vitest";

import { type TestRelay, startRelay } from "../relay.ts";
import { type Person, person } from "./party.ts";

vi.mock("../../src/crypto/argon2.ts", async (real) => (await import("../cheap.ts")).cheap(real));

let relay: TestRelay;
let ada: Person;
let bo: Person;
let phone: Person;
let sph = "";

beforeAll(async () => {
  relay = await startRelay();
  [ada, bo, phone] = [
    await person("ada", { address: relay.origin }), await person("bo", { address: relay.origin }),
    await person("bo", { address: relay.origin }),
  ];
  await ada.client.createAccount("ada", ada.password, { ticket: relay.code });
  ({ sph } = await ada.client.createSphere("Harbour", {}));
  const { url } = await ada.client.invite(sph, { uses: 1, seconds: 3600, role: "member", admit: "auto" });
  await bo.client.createAccount("bo", bo.password, { link: url });
  await ada.client.sync();
  await bo.client.sync();
  await phone.client.signIn("bo", bo.password, "Phone");
  await phone.client.sync();
});
afterAll(async () => {
  for (const one of [ada, bo, phone]) await one.client.close();
  await relay.stop();
});

const asked = async ({ client }: Person): Promise<boolean> =>
  (await client.spheres()).find((one) => one.sph === sph)!.switched !== undefined;

async function all(): Promise<void> {
  for (const one of [ada, bo, phone]) await one.client.sync();
}

test("answered on one, known on the other; the next switch asks again", async () => {
  await ada.client.setMode(sph, "open");
  await all();
  expect([await asked(ada), await asked(bo), await asked(phone)]).toEqual([false, true, true]);
  await bo.client.acceptMode(sph, "open");
  await all();
  expect([await asked(bo), await asked(phone)]).toEqual([false, false]);
  await ada.client.setMode(sph, "e2ee");
  await ada.client.setMode(sph, "open");
  await all();
  expect([await asked(bo), await asked(phone)]).toEqual([true, true]);
});
