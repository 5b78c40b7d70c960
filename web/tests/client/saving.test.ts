/** Keys saved as a text: only for who can open this device, checked before it counts, believed by nobody but the log (CLT-060). */

import { afterAll, beforeAll, describe, expect, test, vi } from "vitest";

import * as slotNames from "../../src/account/slot_names.ts";
import { replica } from "../../src/client/context.ts";
import { keep } from "../../src/client/keys.ts";
import type { SavedKeys } from "../../src/client/records.ts";
import { sendingKey } from "../../src/client/replica.ts";
import { randomBytes } from "../../src/crypto.ts";
import type { EpochKey } from "../../src/sphere/epoch.ts";
import * as exported from "../../src/sphere/export.ts";
import { type TestRelay, startRelay } from "../relay.ts";
import { type Person, person } from "./party.ts";

vi.mock("../../src/crypto/argon2.ts", async (real) => (await import("../cheap.ts")).cheap(real));

let relay: TestRelay;
let ada: Person;
let sph = "";
let other = "";
let saved: SavedKeys;

beforeAll(async () => {
  relay = await startRelay();
  ada = await person("ada", { address: relay.origin });
  await ada.client.createAccount("ada", ada.password, { ticket: relay.code });
  ({ sph } = await ada.client.createSphere("Harbour", {}));
  ({ sph: other } = await ada.client.createSphere("Mole", {}));
  await ada.client.rotate(sph, "");
});
afterAll(async () => {
  await ada.client.close();
  await relay.stop();
});

const code = (wanted: string): unknown => expect.objectContaining({ code: wanted });

describe("keys in a text", () => {
  test("are given to who types what opens this device, sealed", async () => {
    await expect(ada.client.saveKeys(sph, "somebody else's guess", "")).rejects.toEqual(code("E_AUTH"));
    await expect(ada.client.saveKeys(sph, ada.password, "only three words")).rejects.toEqual(code("L_PASSWORD"));
    saved = await ada.client.saveKeys(sph, ada.password, "");
    expect(saved).toMatchObject({ sph, keys: [1, 2] });
    expect(saved.code).toMatch(/^(?:[0-9a-z]{4}-){6}[0-9a-z]{4}$/);
    for (const [, { secret }] of await ada.client.context.store.list<{ secret: Uint8Array }>("epochKey")) {
      expect(saved.text).not.toContain(Buffer.from(secret).toString("base64url"));
    }
    expect(await ada.client.readSaved(saved.text)).toMatchObject({ sph, by: "code", keys: [1, 2], known: true });
  });

  test("count as saved when they were read back, and no other text does", async () => {
    expect((await ada.client.sphere(sph)).saved).toBe(0);
    const wrong = saved.text.slice(0, -4) + (saved.text.endsWith("AAAA") ? "BBBB" : "AAAA");
    await expect(ada.client.checkSaved(sph, wrong, saved.code)).rejects.toEqual(code("C_DECRYPT"));
    await expect(ada.client.checkSaved(sph, saved.text.slice(0, 90), saved.code)).rejects.toEqual(code("C_FORMAT"));
    await expect(ada.client.checkSaved(other, saved.text, saved.code)).rejects.toEqual(code("C_KC_MISMATCH"));
    expect((await ada.client.sphere(sph)).saved).toBe(0);
    expect(await ada.client.checkSaved(sph, `\n${saved.text.slice(0, 40)}\n ${saved.text.slice(40)}`, saved.code.toUpperCase())).toBe(2);
    expect(await ada.client.sphere(sph)).toMatchObject({ saved: 2, epoch: 2 });
  });

  test("come back by their text when they are nowhere else", async () => {
    const { context } = ada.client;
    await context.store.step(async (tx) => {
      for (const n of [1, 2]) tx.drop("epochKey", [sph, n]);
    });
    context.replicas.clear();
    expect((await ada.client.keys(sph)).map(({ n, here }) => [n, here])).toEqual([[1, false], [2, false]]);
    await expect(ada.client.importKeys(saved.text, (await ada.client.saveKeys(other, ada.password, "")).code))
      .rejects.toEqual(code("C_VAULT"));
    expect(await ada.client.importKeys(saved.text, saved.code)).toMatchObject({ sph, new: [1, 2], had: [], refused: [] });
    expect((await ada.client.keys(sph)).every(({ here }) => here)).toBe(true);
    expect(await ada.client.importKeys(saved.text, saved.code)).toMatchObject({ new: [], had: [1, 2] });
  });

  test("that are lies are refused one by one; a client that believed them would speak under them (EXP-008)", async () => {
    const { context } = ada.client;
    const rng = randomBytes;
    const held = await replica(context, sph);
    const lie = (n: number): EpochKey => ({ ...held.keys.get(n)!, secret: new Uint8Array(32).fill(n) });
    const theirs = exported.newCode(rng);
    const sealed = (keys: EpochKey[]): Promise<string> => exported.seal(keys, exported.readCode(theirs), 0, rng);
    const half = await sealed([held.keys.get(1)!, lie(2)]);
    const whole = await sealed([lie(1), lie(2)]);
    const lose = async (): Promise<void> => {
      await context.store.step(async (tx) => [1, 2].forEach((n) => tx.drop("epochKey", [sph, n])));
      context.replicas.clear();
    };
    await lose();
    await expect(ada.client.importKeys(whole, theirs)).rejects.toEqual(code("C_KC_MISMATCH"));
    expect((await replica(context, sph)).keys.size).toBe(0);
    expect(await ada.client.importKeys(half, theirs)).toMatchObject({ new: [1], refused: [2] });
    await lose();
    const believing = await replica(context, sph);
    await context.store.step((tx) => keep(context, believing, [lie(2)], tx));
    expect(sendingKey(believing)?.secret).toEqual(lie(2).secret);
    await lose();
    expect(await ada.client.importKeys(saved.text, saved.code)).toMatchObject({ new: [1, 2], refused: [] });
  });

  test("wait for the log, and are nothing to an account outside the sphere", async () => {
    const bo = await person("bo", { address: relay.origin });
    await bo.client.createAccount("bo", bo.password, {});
    await expect(bo.client.importKeys(saved.text, saved.code)).rejects.toEqual(code("L_NOT_FOUND"));
    // A device that has heard of the sphere and not read its log yet.
    await bo.client.context.store.step(async (tx) => tx.put("sphere", sph, { status: "entering", label: "", confirmed: true }));
    expect(await bo.client.importKeys(saved.text, saved.code)).toMatchObject({ new: [], waiting: [1, 2] });
    const { store } = bo.client.context;
    expect(await store.get("todo", `kept/${slotNames.epoch(sph, 2)}`)).toBeDefined();
    // Not under the name of what lies in the account's slots: there it would count as stored.
    expect(await store.get("todo", `slot/${slotNames.epoch(sph, 2)}`)).toBeUndefined();
    await bo.client.close();
  });

  test("of made-up numbers save nothing (CLT-060)", async () => {
    const { context } = ada.client;
    const { sph: pier } = await ada.client.createSphere("Pier", {});
    const first = (await replica(context, pier)).keys.get(1)!;
    await ada.client.rotate(pier, "");
    const theirs = exported.newCode(randomBytes);
    const sealed = (...more: number[]): Promise<string> => exported.seal(
      [first, ...more.map((n) => ({ ...first, n, secret: new Uint8Array(32) }))], exported.readCode(theirs), 0, randomBytes,
    );
    const both = await sealed(2, 4_000_000_000);
    await expect(ada.client.checkSaved(pier, both, theirs)).rejects.toEqual(code("C_KC_MISMATCH"));
    expect(await ada.client.checkSaved(pier, await sealed(4_000_000_000), theirs)).toBe(1);
    expect(await ada.client.sphere(pier)).toMatchObject({ saved: 1, epoch: 2 });
    await expect(ada.client.keepOnlyHere(pier, true)).rejects.toEqual(code("L_USAGE"));
  });
});
