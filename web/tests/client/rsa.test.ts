/** A terminal's device with an RSA key in a browser's sphere: kept out, then let in where the policy says so (CLT-061). */

import { afterAll, beforeAll, describe, expect, test, vi } from "vitest";

import type { Message, Row } from "../../src/client/records.ts";
import { type TestRelay, startRelay } from "../relay.ts";
import { type Person, person } from "./party.ts";
import { type Terminal, terminal } from "./terminal.ts";

vi.mock("../../src/crypto/argon2.ts", async (real) => (await import("../cheap.ts")).cheap(real));

let relay: TestRelay;
let ada: Person;
let rosa: Terminal;
let sph = "";

beforeAll(async () => {
  relay = await startRelay({ signup: "invite" });
  ada = await person("ada", { address: relay.origin });
  rosa = terminal(relay, "rosa");
  await ada.client.createAccount("ada", ada.password, { ticket: relay.code });
  ({ sph } = await ada.client.createSphere("Harbour", {}));
});
afterAll(async () => {
  await ada.client.close();
  await rosa.end();
  await relay.stop();
});

const texts = (rows: readonly Row[]): string[] => rows.flatMap((one) => (one.row === "message" ? [one.message.text] : []));

describe("a device with an RSA key", () => {
  test("is kept out, by a link that lets in at once and by an owner's yes alike (ROLE-007)", async () => {
    const { url } = await ada.client.invite(sph, { uses: 1, seconds: 3600, role: "member", admit: "auto" });
    await rosa.do("sign_up", { login: "rosa", password: "seven-bo-grey-seals-on-a-rock", link: url, kem: "rsa4096" });
    expect((await ada.client.sync()).faults).toEqual([]);
    const [request] = await ada.client.requests(sph);
    expect(request).toMatchObject({ byLink: true, weak: true });
    const yes = ada.client.admit(sph, request!.hash, { confirmed: false, role: "member" });
    await expect(yes).rejects.toMatchObject({ code: "L_USAGE" });
    expect(await ada.client.sphere(sph)).toMatchObject({ members: 1, kemMin: "xwing" });
  });

  test("comes in when the policy allows it, and shares go both ways (SHR-007)", async () => {
    await ada.client.setPolicy(sph, { kem_min: "rsa4096" });
    await ada.client.sync();
    await rosa.do("sync");
    await ada.client.rotate(sph, "");
    await ada.client.send(sph, "From the browser", {});
    await rosa.do("sync");
    expect((await rosa.do<Message[]>("messages", { sph })).map((one) => one.text)).toEqual(["From the browser"]);
    expect(await rosa.do("rotate", { sph })).toBe(3);
    await rosa.do("send", { sph, text: "From the old machine" });
    await ada.client.sync();
    expect(texts((await ada.client.rows(sph, { limit: 9 })).rows)).toEqual(["From the browser", "From the old machine"]);
    expect(await ada.client.sphere(sph)).toMatchObject({ members: 2, kemMin: "rsa4096", haveKey: true });
    await expect(ada.client.setPolicy(sph, { kem_min: "xwing" })).rejects.toMatchObject({ code: "L_USAGE" });
  });
});
