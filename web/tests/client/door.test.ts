/**
 * The ways in: password, PIN with the relay's count, the session a reload takes over; locking and leaving nothing behind
 * (CLT-003, CLT-004, CLT-006, VLT-004 to VLT-011, WEB-013).
 */

import { afterAll, beforeAll, describe, expect, test, vi } from "vitest";

import { memoryPlace } from "../../src/client/backend_memory.ts";
import { IDLE } from "../../src/client/door.ts";
import type { Place } from "../../src/client/profile.ts";
import { httpTransport } from "../../src/client/transports/http.ts";
import { Unreachable } from "../../src/errors.ts";
import { type TestRelay, startRelay } from "../relay.ts";
import { type Person, person } from "./party.ts";

vi.mock("../../src/crypto/argon2.ts", async (real) => (await import("../cheap.ts")).cheap(real));

const PIN = "805117";
let relay: TestRelay;
let ada: Person;
let time = Date.now() / 1000;
const clock = (): number => time;

const again = (place: Place): Promise<Person> => person("ada", { address: relay.origin, place, clock });
const code = (wanted: string, more: Record<string, unknown> = {}): unknown => expect.objectContaining({ code: wanted, ...more });

beforeAll(async () => {
  relay = await startRelay();
  ada = await person("ada", { address: relay.origin, clock });
  await ada.client.createAccount("ada", ada.password, { ticket: relay.code });
  await ada.client.createSphere("Harbour", {});
});
afterAll(async () => {
  await ada.client.close();
  await relay.stop();
});

describe("the session", () => {
  test("a reload takes it over, by a key nobody can read", async () => {
    const key = await ada.place.documents.get("session");
    expect(key).toMatchObject({ type: "secret", extractable: false });
    await ada.client.close();
    ada = await again(ada.place);
    expect(await ada.client.openers()).toEqual({ password: true, pin: false, session: true, offline: true });
    expect(await ada.client.resume()).toBe(true);
    expect((await ada.client.spheres())[0]).toMatchObject({ title: "Harbour" });
  });

  test("not after ten idle minutes, nor with a clock set back; what goes on goes on", async () => {
    time += IDLE - 60;
    await ada.client.touch();
    time += IDLE - 60;
    await ada.client.close();
    ada = await again(ada.place);
    expect(await ada.client.resume()).toBe(true);
    await ada.client.close();
    ada = await again(ada.place);
    time -= 3600;
    expect(await ada.client.resume()).toBe(false);
    time += 3600;
    await ada.client.unlock(ada.password);
    await ada.client.close();
    time += IDLE + 1;
    ada = await again(ada.place);
    expect(await ada.client.resume()).toBe(false);
    // Refused once, the key is gone: turning the clock back does not bring it.
    time -= IDLE;
    expect(await ada.place.documents.get("session")).toBeUndefined();
    expect(await ada.client.resume()).toBe(false);
    time += IDLE;
    await ada.client.unlock(ada.password);
  });

  test("locking ends it, tells the page, and stops everything that still runs", async () => {
    const { context } = ada.client;
    const waits = context.pause(3600);
    await ada.client.lock();
    await expect(waits).rejects.toEqual(code("L_LOCKED"));
    expect(ada.events.at(-1)).toMatchObject({ event: "LockedNow" });
    expect((await ada.client.openers()).session).toBe(false);
    expect(await ada.place.documents.get("session")).toBeUndefined();
    expect(await ada.client.resume()).toBe(false);
    for (const work of [() => ada.client.spheres(), () => context.store.list("sphere"), () => context.relay.account()]) {
      await expect(work()).rejects.toEqual(code("L_LOCKED"));
    }
    expect(await ada.client.account()).toMatchObject({ status: "locked", login: "ada" });
    await ada.client.unlock(ada.password);
  });
});

describe("the PIN", () => {
  test("weak ones are refused before anything is asked", async () => {
    for (const pin of ["12345", "123456", "111111", "121212", "a12345"]) {
      await expect(ada.client.setPin(ada.password, pin)).rejects.toEqual(code("L_PIN"));
    }
    await expect(ada.client.setPin("not this password at all", PIN)).rejects.toEqual(code("E_AUTH"));
    expect(await ada.client.openers()).toMatchObject({ password: true, pin: false });
  });

  test("set: the opener by password is gone, the PIN opens with the relay's help", async () => {
    await ada.client.setPin(ada.password, PIN);
    expect(await ada.client.openers()).toMatchObject({ password: false, pin: true });
    await ada.client.lock();
    expect(await ada.client.openers()).toEqual({ password: false, pin: true, session: false, offline: false });
    await expect(ada.client.unlock(ada.password)).rejects.toEqual(code("L_USAGE"));
    await expect(ada.client.unlockWithPin("314159")).rejects.toEqual(code("E_AUTH", { data: { left: 9 } }));
    await ada.client.unlockWithPin(PIN);
    expect((await ada.client.spheres())[0]).toMatchObject({ title: "Harbour" });
  });

  test("a new password does not bring back the opener by password, and the PIN goes on", async () => {
    const fresh = "eleven-quiet-herons-by-the-mole";
    await ada.client.changePassword(ada.password, fresh);
    await ada.client.changePassword(fresh, ada.password);
    expect(await ada.client.openers()).toMatchObject({ password: false, pin: true });
  });

  test("without the relay it does not open, and says so", async () => {
    await ada.client.lock();
    await relay.halt();
    await expect(ada.client.unlockWithPin(PIN)).rejects.toEqual(code("L_UNREACHABLE"));
    await relay.start();
    await ada.client.unlockWithPin(PIN);
  });

  test("another pepper is the relay's doing, not a wrong PIN (VLT-011)", async () => {
    const vault = JSON.parse(new TextDecoder().decode((await ada.place.documents.get("vault")) as Uint8Array));
    const other = { ...vault, pin: { ...vault.pin, hp: Buffer.alloc(32, 1).toString("base64url") } };
    await ada.client.lock();
    const kept = (await ada.place.documents.get("vault")) as Uint8Array;
    await ada.place.documents.set({ vault: new TextEncoder().encode(JSON.stringify(other)) });
    const misled = await again(ada.place);
    await expect(misled.client.unlockWithPin(PIN)).rejects.toEqual(code("C_VAULT", { data: { reason: "pepper" } }));
    await ada.place.documents.set({ vault: kept });
    await ada.client.unlockWithPin(PIN);
  });

  test("removed: the password opens again, the PIN no more, at the relay neither", async () => {
    const before = (await ada.place.documents.get("vault")) as Uint8Array;
    await ada.client.removePin(ada.password);
    expect(await ada.client.openers()).toMatchObject({ password: true, pin: false });
    await ada.client.lock();
    await expect(ada.client.unlockWithPin(PIN)).rejects.toEqual(code("L_USAGE"));
    // A copy of the header from before: the relay's row is another one.
    const copy = memoryPlace();
    await copy.documents.set({ vault: before });
    await expect((await again(copy)).client.unlockWithPin(PIN)).rejects.toEqual(code("E_AUTH"));
    await ada.client.unlock(ada.password);
  });
});

describe("what a crash leaves", () => {
  test("a sign-up whose answer was lost is settled by the password (CLT-003)", async () => {
    const bo = await person("bo", { address: relay.origin });
    const cut = await person("bo", { address: relay.origin, place: bo.place, transport: lossy(relay.origin, "/v1/accounts") });
    await expect(cut.client.createAccount("bo", bo.password, {})).rejects.toEqual(code("L_UNREACHABLE"));
    expect(await cut.client.account()).toMatchObject({ status: "pending", login: "bo" });
    const next = await person("bo", { address: relay.origin, place: bo.place });
    await next.client.unlock(bo.password);
    expect(await next.client.account()).toMatchObject({ status: "open", login: "bo" });
    await next.client.createSphere("Mole", {});
    await next.client.close();
  });

  test("a new password whose answer was lost: either opens, and the one that holds stays (CLT-006)", async () => {
    const place = memoryPlace();
    const cy = await person("cy", { address: relay.origin, place });
    const fresh = "eleven-quiet-herons-by-the-mole";
    await cy.client.createAccount("cy", cy.password, {});
    await cy.client.close();
    const cut = await person("cy", { address: relay.origin, place, transport: lossy(relay.origin, "/v1/account/roots", "PUT") });
    expect(await cut.client.resume()).toBe(true);
    await cut.client.changePassword(cy.password, fresh);
    await cut.client.close();
    const next = await person("cy", { address: relay.origin, place });
    await expect(next.client.unlock(cy.password)).rejects.toEqual(code("E_AUTH"));
    await next.client.unlock(fresh);
    await next.client.close();
  });

  test.each([["request", false], ["answer", false], ["request", true], ["answer", true]] as const)(
    "a PIN whose %s was lost (another set before: %s): one way in, whichever the relay holds (CLT-040)",
    async (lost, change) => {
      const place = memoryPlace();
      const login = `di-${lost}-${change}`;
      const di = await person(login, { address: relay.origin, place });
      await di.client.createAccount(login, di.password, {});
      if (change) await di.client.setPin(di.password, "271829");
      await di.client.close();
      const cut = await person(login, { address: relay.origin, place, transport: lossy(relay.origin, "/v1/vault/enrol", "POST", lost) });
      expect(await cut.client.resume()).toBe(true);
      await expect(cut.client.setPin(di.password, PIN)).rejects.toEqual(code("L_UNREACHABLE"));
      await cut.client.lock();
      const next = await person(login, { address: relay.origin, place });
      expect(await next.client.openers()).toMatchObject({ password: !change, pin: true });
      if (lost === "answer") {
        await expect(next.client.unlockWithPin("314159")).rejects.toEqual(code("E_AUTH", { data: { left: 9 } }));
        await next.client.unlockWithPin(PIN);
        expect(await next.client.openers()).toMatchObject({ password: false, pin: true });
      } else if (change) await next.client.unlockWithPin("271829");
      else {
        await expect(next.client.unlockWithPin(PIN)).rejects.toEqual(code("L_USAGE"));
        expect(await next.client.openers()).toMatchObject({ password: true, pin: false });
        await next.client.unlock(di.password);
      }
      expect(await next.client.account()).toMatchObject({ status: "open", login });
      await next.client.close();
      const after = await person(login, { address: relay.origin, place });
      expect(await after.client.resume()).toBe(true);
      await after.client.close();
    },
  );
});

describe("leaving", () => {
  test("signed out, the relay's session is over; wiped, nothing is left", async () => {
    const place = memoryPlace();
    const second = await person("ada", { address: relay.origin, place });
    await second.client.signIn("ada", ada.password, "Phone");
    expect((await ada.client.sessions()).length).toBeGreaterThan(1);
    const { token } = second.client.context.relay;
    await second.client.signOut(true);
    expect(await second.client.account()).toMatchObject({ status: "new", login: "", deviceName: "" });
    for (const name of ["vault", "vault.next", "vault.pin", "session", "session.until", "profile"]) {
      expect(await place.documents.get(name)).toBeUndefined();
    }
    const tables = await place.tables();
    expect(await tables.count("meta", undefined, { low: undefined, high: undefined, reverse: false, limit: undefined })).toBe(0);
    const answer = await fetch(`${relay.origin}/v1/account`, { headers: { authorization: `Bearer ${token}` } });
    expect(answer.status).toBe(401);
  });

  test("a profile is not used with another relay", async () => {
    const other = await startRelay();
    try {
      await expect(person("ada", { address: other.origin, place: ada.place })).rejects.toEqual(code("L_USAGE"));
    } finally {
      await other.stop();
    }
  });
});

/** A way to the relay that loses one request, or the answer to it: then it has its effect, and nobody hears of it. */
function lossy(
  address: string, path: string, method = "POST", what: "request" | "answer" = "answer",
): NonNullable<Parameters<typeof person>[1]["transport"]> {
  const inner = httpTransport(address);
  let lost = false;
  return {
    origin: inner.origin,
    connect: inner.connect,
    close: inner.close,
    request: async (sent) => {
      const here = !lost && sent.path === path && sent.method === method;
      lost ||= here;
      const answer = here && what === "request" ? undefined : await inner.request(sent);
      if (here || answer === undefined) throw new Unreachable("lost");
      return answer;
    },
  };
}
