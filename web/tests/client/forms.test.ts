/**
 * Answers of the relay against its own description (API-001, CLT-025).
 */

import { execFileSync } from "node:child_process";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

import { describe, expect, test } from "vitest";

import { isKind } from "../../src/client/forms.ts";
import { Relay } from "../../src/client/relay.ts";
import type { Answer, Transport } from "../../src/client/transports/base.ts";
import { AuthFailed, FormatError, Unreachable } from "../../src/errors.ts";

const WEB = join(dirname(fileURLToPath(import.meta.url)), "../..");
const SPH = `sp-${"A".repeat(43)}`;

test("the generated files are those of the relay as it is", () => {
  execFileSync("node", [join(WEB, "tools/openapi.mjs"), "--check"], { stdio: "pipe" });
});

describe("forms", () => {
  test("what fits is taken, what does not is not", () => {
    expect(isKind("Spheres", { spheres: [SPH] })).toBe(true);
    for (const wrong of [undefined, null, [], {}, { spheres: "x" }, { spheres: [1] },
      { spheres: [SPH], more: 1 }]) expect(isKind("Spheres", wrong)).toBe(false);
    expect(isKind("Token", { token: "A".repeat(43), id: `id-${"A".repeat(43)}`, level: "device", until: 1 })).toBe(true);
    expect(isKind("Token", { token: "A".repeat(43), id: "id-short", level: "device", until: 1 })).toBe(false);
    expect(isKind("Position", { pos: 3 })).toBe(true);
    for (const pos of [-1, 1.5, 2 ** 53, "3", NaN]) expect(isKind("Position", { pos })).toBe(false);
    expect(isKind("Item", { pos: 1, k: "msg" })).toBe(true);
    expect(isKind("Item", { pos: 1, k: "msg", jws: 7 })).toBe(false);
    expect(isKind("Card", { ik: { kty: "EC" }, cert: "" })).toBe(true);
    expect(isKind("Card", { ik: { kty: 1 }, cert: "" })).toBe(false);
  });
});

/** A relay that gives these answers, one after another, and keeps what was asked. */
function answering(...answers: [number, string][]): { relay: Relay; asked: { path: string; token: string | undefined }[] } {
  const asked: { path: string; token: string | undefined }[] = [];
  const transport: Transport = {
    origin: "http://localhost:1",
    request: async ({ path, token }): Promise<Answer> => {
      asked.push({ path, token });
      const [status, text] = answers.shift()!;
      return { status, body: new TextEncoder().encode(text), headers: {} };
    },
    connect: () => Promise.reject(new Unreachable("")),
    close: async () => {},
  };
  return { relay: new Relay(transport), asked };
}

describe("calls", () => {
  test("an answer of another form is C_FORMAT, what is no relay's answer is L_UNREACHABLE, a refusal has its code", async () => {
    const ask = (status: number, text: string): Promise<unknown> => answering([status, text]).relay.spheres();
    await expect(ask(200, "{}")).rejects.toBeInstanceOf(FormatError);
    await expect(ask(200, "not json")).rejects.toBeInstanceOf(FormatError);
    await expect(ask(502, "<html>bad gateway</html>")).rejects.toBeInstanceOf(Unreachable);
    await expect(ask(404, "{}")).rejects.toBeInstanceOf(Unreachable);
    await expect(ask(401, '{"code":"E_AUTH","left":3}')).rejects.toMatchObject({ code: "E_AUTH", data: { left: 3 } });
    await expect(ask(418, '{"code":"E_NEW"}')).rejects.toMatchObject({ code: "E_INTERNAL" });
  });

  test("a session that is over is renewed once, by all that find it over together (CLT-027)", async () => {
    const over: [number, string] = [401, '{"code":"E_AUTH"}'];
    const fine: [number, string] = [200, '{"spheres":[]}'];
    const { relay, asked } = answering(over, over, fine, fine);
    let renewals = 0;
    relay.token = "old";
    relay.renew = async () => {
      renewals += 1;
      return "new";
    };
    await Promise.all([relay.spheres(), relay.spheres()]);
    expect([renewals, asked.map((one) => one.token)]).toEqual([1, ["old", "old", "new", "new"]]);
    const again = answering(over, over);
    again.relay.renew = async () => "new";
    await expect(again.relay.spheres()).rejects.toBeInstanceOf(AuthFailed);
    expect(again.asked).toHaveLength(2);
  });

  test("a closed profile's relay sends nothing more", async () => {
    const { relay, asked } = answering();
    relay.end();
    await expect(relay.spheres()).rejects.toMatchObject({ code: "L_LOCKED" });
    expect(asked).toEqual([]);
  });
});
