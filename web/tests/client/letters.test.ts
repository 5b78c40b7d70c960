/**
 * Letters, against a real relay: keys that come before their entry, keys asked for, a removal nobody else shows, a member
 * who has seen more than the relay shows; and what the doctor says of it (CLT-015, CLT-017, CLT-030, CLT-031, CLT-036).
 */

import { beforeEach, describe, expect, test, vi } from "vitest";

import { type Vault } from "../../src/account/vault.ts";
import { replica } from "../../src/client/context.ts";
import * as delivery from "../../src/client/delivery.ts";
import * as doctor from "../../src/client/doctor.ts";
import * as keys from "../../src/client/keys.ts";
import { known, saveNote } from "../../src/client/replica.ts";
import * as memory from "../../src/client/memory.ts";
import * as spheres from "../../src/client/sphere.ts";
import type { Answer } from "../../src/client/transports/base.ts";
import { DeviceRevoked } from "../../src/errors.ts";
import { b64e } from "../../src/protocol/encoding.ts";
import { type Member, further, reopen, say, sync, texts } from "./members.ts";
import { type Pair, hand, pair } from "./pair.ts";

vi.mock("../../src/crypto/argon2.ts", async (real) => (await import("../cheap.ts")).cheap(real));

let { relay, ada, bo, sph } = {} as Pair;
const fresh = pair();

beforeEach(async () => {
  ({ relay, ada, bo, sph } = await fresh());
});

const said = (status: number, body: unknown): Answer =>
  ({ status, body: new TextEncoder().encode(JSON.stringify(body)), headers: {} });
const epochOf = async (one: Member): Promise<number> => known(await replica(one.ctx, sph)).state.epoch!.n;
const keysOf = async (one: Member): Promise<number[]> => [...(await replica(one.ctx, sph)).keys.keys()].sort();

/** Forget the keys of a member, as a damaged store would. */
async function loseKeys(one: Member, onlyHere: boolean): Promise<void> {
  const rep = await replica(one.ctx, sph);
  await one.ctx.store.step(async (tx) => {
    for (const [key] of await tx.list("epochKey", { prefix: [sph] })) tx.drop("epochKey", key);
    saveNote(tx, rep);
  });
  await memory.setSetting(one.ctx, `only.${sph}`, onlyHere);
  await reopen(one);
}

describe("keys (CLT-017)", () => {
  test("a share before its entry is kept and used later", async () => {
    await spheres.rotate(ada.ctx, sph, "");
    bo.wire.fate = (sent) => (/\/log\?/.test(sent.path) ? said(503, { code: "E_BUSY" }) : "sent");
    await sync(bo);
    expect((await bo.ctx.store.list("todo", { prefix: "letter/" })).length).toBe(1);
    expect(await keysOf(bo)).toEqual([1]);
    bo.wire.fate = () => "sent";
    await reopen(bo);
    await sync(bo);
    expect(await keysOf(bo)).toEqual([1, 2]);
    expect(await bo.ctx.store.list("todo", { prefix: "letter/" })).toEqual([]);
  });

  test("a share that held a wrong key is saved as evidence, with the log that names who signed it", async () => {
    await expect(spheres.evidence(bo.ctx, sph)).rejects.toMatchObject({ code: "L_NOT_FOUND" });
    const to = { idR: bo.ctx.id, dvR: bo.ctx.dv, kem: "p384", ct: b64e(new Uint8Array(145)) };
    const wrong = await keys.letter(ada.ctx, sph, "share", { n: 1, ...to });
    await bo.ctx.store.step(async (tx) => tx.put("todo", `evidence/${ada.ctx.dv}/1`, { jws: wrong, code: "C_KC_MISMATCH", sph }));
    const proof = await spheres.evidence(bo.ctx, sph);
    expect(proof).toMatchObject({ kind: "cloister-evidence", code: "C_KC_MISMATCH", sph, shares: [wrong] });
    expect((proof["past"] as string[]).length).toBe(known(await replica(bo.ctx, sph)).history.seq + 1);
  });

  test("a lost key comes from the own slot", async () => {
    await say(ada, sph, "slots");
    await loseKeys(bo, false);
    await sync(bo);
    expect(await keysOf(bo)).toEqual([1]);
    expect(await texts(bo, sph)).toEqual(["slots"]);
  });

  test("or by asking a member, who hands on what the policy gives", async () => {
    await say(ada, sph, "asked");
    await loseKeys(bo, true);
    await sync(bo);
    expect(await texts(bo, sph)).toEqual(["<unreadable>"]);
    expect(await spheres.askKeys(bo.ctx, sph)).toEqual(["ada"]);
    await sync(ada, bo);
    expect(await texts(bo, sph)).toEqual(["asked"]);
    expect(await keysOf(bo)).toEqual([1]);
  });

  test("not to somebody who was removed, whatever a relay passes on", async () => {
    const ask = async (ns: number[]): Promise<number> => {
      const before = ada.wire.seen.filter((one) => one === "POST /inbox").length;
      await hand(bo, ada, sph, "ask", { ns });
      return ada.wire.seen.filter((one) => one === "POST /inbox").length - before;
    };
    expect(await ask([1])).toBe(1);
    await spheres.removePerson(ada.ctx, sph, bo.vault.account, false);
    expect(await ask([1, 2])).toBe(0);
    await sync(bo);
    expect(await keysOf(bo)).toEqual([1]);
  });
});

describe("a removal (CLT-030)", () => {
  test("is known by its entry alone when the log before it was never fetched", async () => {
    await spheres.checkpoint(ada.ctx, sph);
    await spheres.removePerson(ada.ctx, sph, bo.vault.account, false);
    await sync(bo);
    expect((await spheres.sphere(bo.ctx, sph)).status).toBe("removed");
    expect((await spheres.sphere(bo.ctx, sph)).seq).toBeLessThan(known(await replica(ada.ctx, sph)).history.seq - 1);
    expect(bo.events.filter((one) => one.event === "Removed" && one.sph === sph)).toHaveLength(1);
  });

  test("by another own device, which left for all, is known in the same way", async () => {
    const phone = await further(relay, bo);
    await sync(phone);
    await sync(bo);
    await sync(phone);
    await spheres.checkpoint(ada.ctx, sph);
    await spheres.leave(phone.ctx, sph);
    const [report] = await sync(bo);
    expect(report!.faults).toEqual([]);
    expect((await spheres.sphere(bo.ctx, sph)).status).toBe("left");
  });

  test("is not believed of a relay that merely refuses", async () => {
    bo.wire.fate = (sent) => (sent.path.includes(sph) ? said(403, { code: "E_FORBIDDEN" }) : "sent");
    const [report] = await sync(bo);
    expect(report!.faults).toContain("E_FORBIDDEN");
    expect((await spheres.sphere(bo.ctx, sph)).status).toBe("active");
    const found = await doctor.examine(bo.ctx, bo.vault, sph);
    expect(found.map((one) => one.code)).toContain("E_FORBIDDEN");
    bo.wire.fate = () => "sent";
    await sync(bo);
    expect((await doctor.examine(bo.ctx, bo.vault, sph)).map((one) => one.code)).not.toContain("E_FORBIDDEN");
  });
});

/** Show a member the sphere as it is now, whatever is added: entries later than that are held back. */
async function freeze(one: Member): Promise<void> {
  const { history } = known(await replica(one.ctx, sph));
  const last = history.seq;
  const head = { seq: last, h: "" };
  one.wire.alter = (sent, answer) => {
    if (answer.status !== 200) return answer;
    const body = JSON.parse(new TextDecoder().decode(answer.body)) as Record<string, unknown>;
    const seqOf = (jws: string): number => (JSON.parse(atob(jws.split(".")[0]!.replaceAll("-", "+").replaceAll("_", "/"))) as { seq: number }).seq;
    if (/\/log\?/.test(sent.path) && sent.path.includes(sph)) {
      const entries = (body["entries"] as string[]).filter((jws) => seqOf(jws) <= last);
      const real = body["head"] as { seq: number; h: string };
      return said(200, { entries, head: real.seq > last ? { ...head, h: real.h } : real });
    }
    if (/\/items\?/.test(sent.path) && sent.path.includes(sph)) {
      const items = (body["items"] as { k: string; jws: string; pos: number }[]).map((item) =>
        item.k === "entry" && seqOf(item.jws) > last ? { pos: item.pos, k: "gone" } : item);
      return said(200, { ...body, items });
    }
    return answer;
  };
}

describe("a member who has seen more (CLT-015, CLT-036)", () => {
  test("makes the others wait, is asked, and shows it; nothing is sent before the relay does", async () => {
    await freeze(ada);
    await spheres.change(bo.ctx, sph, () => [{ op: "mark" }]);
    await say(bo, sph, "after the mark");
    await sync(ada);
    const id = await say(ada, sph, "not under the old key");
    expect(await spheres.outbox(ada.ctx)).toMatchObject([{ id, state: "waiting", code: "E_STALE_HEAD" }]);
    expect(ada.wire.seen.some((one) => one === "POST /inbox")).toBe(true);
    await sync(bo, ada);
    const [claim] = Object.values((await replica(ada.ctx, sph)).note["claims"] as Record<string, { shown?: boolean }>);
    expect(claim!.shown).toBe(true);
    await spheres.retry(ada.ctx, id, "claim");
    await delivery.idle(ada.ctx);
    expect(await spheres.outbox(ada.ctx)).toMatchObject([{ id, code: "E_STALE_HEAD" }]);
    ada.wire.alter = (_, answer) => answer;
    await sync(ada, bo);
    expect(await spheres.outbox(ada.ctx)).toEqual([]);
    expect((await texts(bo, sph)).sort()).toEqual(["after the mark", "not under the old key"]);
    expect(await epochOf(ada)).toBe(await epochOf(bo));
  });
});

describe("a device that is taken no more (CLT-038)", () => {
  const shutOut = (one: Member): void => {
    one.ctx.relay.token = undefined;
    one.wire.fate = (sent) => (sent.path.startsWith("/v1/public/") ? "sent" : said(401, { code: "E_AUTH" }));
  };
  const device = async (): Promise<string[]> =>
    (await doctor.examine(bo.ctx, bo.vault)).filter((one) => one.topic === "device").map((one) => one.code);

  test("says so as the relay's word while no signed entry shows it, and forgets it when it is taken again", async () => {
    await spheres.change(ada.ctx, sph, () => [
      { op: "mode", mode: "public" }, { op: "meta", text: { title: "Square", topic: "", icon: "" } },
    ]);
    await sync(bo);
    shutOut(bo);
    expect((await sync(bo))[0]!.faults).toEqual(["E_AUTH"]);
    expect(bo.wire.seen.at(-1)).toBe(`GET /public/${sph}/log`);
    expect(await device()).toEqual(["E_AUTH"]);
    bo.wire.fate = () => "sent";
    await sync(bo);
    expect(await device()).toEqual([]);
  });

  test("finds the signed entry where it can be read without signing in, and no other counts", async () => {
    await spheres.change(ada.ctx, sph, () => [
      { op: "mode", mode: "public" }, { op: "meta", text: { title: "Square", topic: "", icon: "" } },
    ]);
    await sync(ada);
    const phone = await further(relay, ada);
    await sync(ada, phone, ada);
    expect((await spheres.sphere(phone.ctx, sph)).status).toBe("active");
    await spheres.checkpoint(ada.ctx, sph);
    shutOut(phone);
    expect((await sync(phone))[0]!.faults).toEqual(["E_AUTH"]);
    await spheres.change(ada.ctx, sph, () => [{ op: "device revoke", dv: phone.vault.dv }]);
    shutOut(phone);
    await expect(sync(phone)).rejects.toThrow(DeviceRevoked);
    phone.wire.fate = () => said(401, { code: "E_AUTH" });
    await reopen(phone);
    await expect(sync(phone)).rejects.toThrow(DeviceRevoked);
  });

  test("does not ask for a session in order to get one", async () => {
    await spheres.change(ada.ctx, sph, () => [
      { op: "mode", mode: "public" }, { op: "meta", text: { title: "Square", topic: "", icon: "" } },
    ]);
    await sync(bo);
    bo.ctx.relay.token = undefined;
    bo.wire.fate = () => said(401, { code: "E_AUTH" });
    expect((await sync(bo))[0]!.faults).toEqual(["E_AUTH"]);
  });
});

describe("the doctor (CLT-031)", () => {
  test("finds nothing wrong in a sound profile, and changes nothing", async () => {
    await say(ada, sph, "fine");
    const writes = ada.writes;
    const found = await doctor.examine(ada.ctx, ada.vault);
    expect(found.filter((one) => !one.ok)).toEqual([]);
    expect(found.map((one) => one.topic)).toEqual(expect.arrayContaining(["store", "server", "clock", "account", "Harbour"]));
    expect(ada.writes).toBe(writes);
  });

  test("names what is wrong", async () => {
    await say(ada, sph, "unread");
    await loseKeys(bo, true);
    bo.wire.fate = (sent) => (/\/inbox$/.test(sent.path) ? "lost" : "sent");
    await sync(bo);
    const codes = (await doctor.examine(bo.ctx, bo.vault, sph)).filter((one) => !one.ok).map((one) => one.code);
    expect(codes).toEqual(["C_KEY_UNKNOWN"]);
    bo.wire.fate = () => "lost";
    const vault: Vault = bo.vault;
    expect((await doctor.examine(bo.ctx, vault)).find((one) => one.topic === "server")).toMatchObject({ ok: false, code: "L_UNREACHABLE" });
  });
});
