/** What this side makes, it also takes: makers the vectors do not reach because their randomness is fresh. */

import { describe, expect, test } from "vitest";

import * as keys from "../src/account/keys.ts";
import * as credentials from "../src/account/credentials.ts";
import * as slots from "../src/account/slots.ts";
import * as stateSlot from "../src/account/state_slot.ts";
import * as srp from "../src/account/srp.ts";
import * as unlock from "../src/account/unlock.ts";
import * as vault from "../src/account/vault.ts";
import { aeadSeal, ed25519Public, hpkeSeal, randomBytes } from "../src/crypto.ts";
import { CloisterError, FormatError, VaultError } from "../src/errors.ts";
import * as certificate from "../src/protocol/certificate.ts";
import * as commit from "../src/protocol/commit.ts";
import * as dauth from "../src/protocol/dauth.ts";
import { type JsonObject, b64d, b64e } from "../src/protocol/encoding.ts";
import * as entry from "../src/protocol/entry.ts";
import { History } from "../src/protocol/history.ts";
import { type Jwk, jwkPublic } from "../src/protocol/ids.ts";
import * as join from "../src/protocol/join.ts";
import { type Signer, deviceSigner } from "../src/protocol/jws.ts";
import * as keylog from "../src/protocol/keylog.ts";
import * as machine from "../src/protocol/machine.ts";
import { type Epoch, type SphereState, activeDevices, epochNumber, recipientsHash } from "../src/protocol/state.ts";
import * as epochs from "../src/sphere/epoch.ts";
import * as invitation from "../src/sphere/invitation.ts";
import * as message from "../src/sphere/message.ts";
import * as meta from "../src/sphere/meta.ts";
import * as run from "../src/sphere/run.ts";
import * as share from "../src/sphere/share.ts";

const NOW = 1_800_000_000;
const YEAR = 31_536_000;
const POLICY = { join: "approve", history: "all", retention: 0, plaintext: false, guests: "talk", T: 0, kem_min: "p384" };

interface Person {
  name: string;
  id: string;
  ik: Uint8Array;
  jwk: Jwk;
  dev: keys.DeviceKeys;
  cert: string;
  signer: Signer;
}

async function person(name: string, kem = "p384"): Promise<Person> {
  const ik = keys.identityScalar(randomBytes(56));
  const id = keys.accountId(ik);
  const dev = await keys.device(randomBytes(32), kem, kem === "p384" ? keys.identityScalar(randomBytes(56)) : randomBytes(32));
  const signer = deviceSigner(dev.dkSeed);
  const cert = await certificate.issue(ik, id, { signer, ...dev }, NOW - 100, NOW + YEAR);
  return { name, id, ik, jwk: jwkPublic(ik), dev, cert, signer };
}

/** A sphere grown in memory. */
class Sphere {
  #history: History | undefined;
  readonly keys = new Map<number, epochs.EpochKey>();

  get history(): History {
    return this.#history!;
  }

  get state(): SphereState {
    return this.history.state;
  }

  static async create(owner: Person): Promise<Sphere> {
    const made = new Sphere();
    const body = {
      v: 1, nonce: b64e(randomBytes(32)), name: owner.name, ik: { ...owner.jwk }, cert: owner.cert, kind: "sphere",
      mode: "e2ee", delivery: "pairwise", custody: "synced", policy: POLICY,
    };
    const compact = await entry.make(owner.signer, owner.dev.dv, "create", body, NOW);
    made.#history = new History(await machine.genesis(entry.decode(compact)));
    await made.rotate(owner);
    return made;
  }

  make(who: Person, op: string, body: JsonObject, ep = epochNumber(this.state)): Promise<string> {
    const { sph, seq, digest } = this.state;
    return entry.make(who.signer, who.dev.dv, op, body, NOW, { sph, seq: seq + 1, prev: digest, ep });
  }

  async take(compact: string, attachments = new Map<string, string>()): Promise<void> {
    this.history.append(await machine.apply(this.state, entry.decode(compact), attachments));
  }

  async rotate(who: Person): Promise<void> {
    const n = epochNumber(this.state) + 1;
    const key = epochs.derive(randomBytes(32), this.state.digest, this.state.sph, n);
    const kc = b64e(epochs.commitment(key.secret, key.prev, key.sph, n));
    const rh = b64e(recipientsHash(activeDevices(this.state)));
    await this.take(await this.make(who, "epoch", { n, kc, rh, kem_min: "p384" }, n));
    this.keys.set(n, key);
  }

  place(seq = 1, ph = ""): message.Place {
    return { seq, ph, ls: this.state.seq, lh: this.state.digest, ep: epochNumber(this.state) };
  }
}

async function two(): Promise<{ ada: Person; bo: Person; sphere: Sphere }> {
  const [ada, bo] = [await person("ada"), await person("bo", "xwing")];
  const sphere = await Sphere.create(ada);
  const { sph } = sphere.state;
  const seed = randomBytes(32);
  const jti = randomBytes(16);
  const { ivk, ipk } = invitation.keyPair(seed, sph, jti);
  const invite = { jti: b64e(jti), ipk: b64e(ipk), role: "member", uses: 1, exp: NOW + 9, admit: "auto" };
  await sphere.take(await sphere.make(ada, "invite", invite));
  const ask = { sph, name: bo.name, ik: bo.jwk, certs: [bo.cert], nonce: randomBytes(16), iat: NOW, exp: NOW + 9 };
  const request = await join.make(bo.signer, bo.dev.dv, { ...ask, link: { jti, signer: deviceSigner(ivk) } });
  const { digest } = await join.verify(request, sph, undefined, NOW);
  const add = { id: bo.id, role: "member", join: digest, jti: b64e(jti) };
  await sphere.take(await sphere.make(ada, "add", add), new Map([[digest, request]]));
  return { ada, bo, sphere };
}

describe("a sphere", () => {
  test("is made, joined by link, rotated, titled and spoken in", async () => {
    const { ada, bo, sphere } = await two();
    await sphere.rotate(ada);
    const { history } = sphere;
    const { sph } = sphere.state;
    expect([sphere.state.memberCount, epochNumber(sphere.state)]).toEqual([2, 2]);

    const [older, newer] = [sphere.keys.get(1)!, sphere.keys.get(2)!];
    const sent = await share.seal(
      newer, history.epoch(2), { id: ada.id, dv: ada.dev.dv }, ada.signer, sphere.state.devices.get(bo.dev.dv)!, NOW, randomBytes,
    );
    const got = await share.open(sent, history, { id: bo.id, dv: bo.dev.dv }, "xwing", [bo.dev.deSeed], sph);
    expect(got.secret).toEqual(newer.secret);
    const blob = await epochs.linkSeal(newer, older, randomBytes);
    expect((await epochs.linkOpen(blob, got, history.epoch(1))).secret).toEqual(older.secret);

    const slot = { kid: ada.dev.dv, sph, seq: sphere.state.seq + 1, prev: sphere.state.digest, ep: 2 };
    const title = meta.prepare({ title: "Kitchen", topic: "", icon: "" }, randomBytes);
    await sphere.take(await sphere.make(ada, "meta", await meta.seal(title, slot, newer, randomBytes)));
    expect((await meta.open(sphere.state.meta!.body, slot, got)).text.title).toBe("Kitchen");

    const speaker = { sph, dv: bo.dev.dv, signer: bo.signer };
    const frames: string[] = [];
    for (let seq = 1, ph = ""; seq <= 3; seq += 1) {
      const words = { k: "msg", cid: b64e(randomBytes(16)), t: `m${seq}` } as const;
      frames.push(await message.seal(words, sphere.place(seq, ph), speaker, NOW, randomBytes, newer));
      ph = message.decode(frames.at(-1)!).link;
    }
    const page = await run.verifyPage(frames, history, new Map(), sph);
    const opened = await run.openPage(page.verdicts, sphere.keys, history);
    expect(opened.map((one) => (one.payload as { t: string }).t)).toEqual(["m1", "m2", "m3"]);
    expect(page.chains.get(bo.dev.dv)!.runs).toHaveLength(1);
  });

  test("takes a commit as a whole", async () => {
    const { ada, bo, sphere } = await two();
    const { state } = sphere;
    const tails: JsonObject["tails"] = [[bo.dev.dv, 0, ""]];
    const remove = await sphere.make(ada, "remove", { id: bo.id, tails });
    const between = await machine.apply(state, entry.decode(remove));
    const n = 2;
    const key = epochs.derive(randomBytes(32), between.digest, state.sph, n);
    const body = { n, kc: b64e(epochs.commitment(key.secret, key.prev, key.sph, n)), kem_min: "p384" };
    const rh = b64e(recipientsHash(activeDevices(between)));
    const place = { sph: state.sph, seq: between.seq + 1, prev: between.digest, ep: n };
    const rotate = await entry.make(ada.signer, ada.dev.dv, "epoch", { ...body, rh }, NOW, place);
    const base = { seq: state.seq, h: b64e(state.digest) };
    const form = { idem: b64e(randomBytes(16)), sph: state.sph, base, entries: [remove, rotate], attach: {}, wraps: [] };
    const after = await commit.applyCommit(state, commit.fromJson(form));
    const epoch = after.epoch as Epoch;
    expect([after.memberCount, after.hard, epoch.n, epochs.check(key.secret, epoch, state.sph).n]).toEqual([1, false, 2, 2]);
    const lone = commit.fromJson({ ...form, entries: [remove] });
    await expect(commit.applyCommit(state, lone)).rejects.toThrow("COM-006");
  });
});

describe("an account", () => {
  test("keeps a key log", async () => {
    const ada = await person("ada");
    const next = keys.identityScalar(randomBytes(56));
    let log = await keylog.apply(undefined, await keylog.start(ada.ik, NOW));
    const chain = [await keylog.start(ada.ik, NOW)];
    expect((await keylog.verifyChain(chain)).id).toBe(ada.id);
    log = await keylog.apply(log, await keylog.addDevice(ada.ik, log, ada.cert, NOW));
    expect([...log.devices.keys()]).toEqual([ada.dev.dv]);
    log = await keylog.apply(log, await keylog.revokeDevice(ada.ik, log, ada.dev.dv, NOW));
    const rotation = await keylog.rotate(ada.ik, log, next, NOW);
    log = await keylog.apply(log, rotation);
    expect([log.id, log.ik, [...log.revoked]]).toEqual([ada.id, jwkPublic(next), [ada.dev.dv]]);
  });

  test("signs in with a device", async () => {
    const ada = await person("ada");
    const nonce = randomBytes(32);
    const answer = await dauth.make(ada.signer, ada.dev.dv, "https://relay.example", nonce, NOW);
    expect(dauth.read(answer)).toEqual({ dv: ada.dev.dv, nonce });
    await dauth.verify(answer, ada.dev.dk, { dv: ada.dev.dv, origins: ["https://relay.example"], nonce, now: NOW });
  });

  test("seals roots, slots and state", async () => {
    const { dev, ik, id } = await person("ada");
    const kek = randomBytes(32);
    const roots = { mk: randomBytes(32), rk: randomBytes(32), mkv: 2 };
    const wrapped = await keys.wrap(kek, id, 1, roots, randomBytes);
    const stretched = { auth: randomBytes(32), kek, version: 1 };
    expect(await credentials.openRoots(stretched, id, { ...wrapped, mkv: 2 }, 1)).toEqual(roots);
    await expect(credentials.openRoots(stretched, id, { ...wrapped, mkv: 2 }, 3)).rejects.toThrow("SLOT-022");
    expect(await slots.openIk(roots.rk, id, jwkPublic(ik), await slots.sealIk(roots.rk, id, ik, randomBytes))).toEqual(ik);
    const [old, sph] = [randomBytes(32), `sp-${b64e(randomBytes(32))}`];
    const held = new Map([[1, await slots.sealMaster(roots.mk, id, 1, old, randomBytes)]]);
    expect((await slots.openMasters(id, roots.mk, 2, held)).get(1)).toEqual(old);
    const epoch = await slots.sealEpoch(roots.mk, id, sph, 3, old, randomBytes);
    expect(await slots.openEpoch(roots.mk, id, sph, 3, epoch)).toEqual(old);
    const first = await stateSlot.seal(roots.mk, id, dev, undefined, { read: 1 }, randomBytes);
    const second = await stateSlot.seal(roots.mk, id, dev, first.pin, { read: 2 }, randomBytes);
    const devices = new Map([[dev.dv, dev.dk]]);
    const opened = await stateSlot.openState(roots.mk, id, 2, second.slot, devices, first.pin);
    expect([opened.content, b64e(opened.prev)]).toEqual([{ read: 2 }, b64e(first.pin.digest)]);
    expect(await keys.unpackDevice(keys.packDevice(dev), dev.dv)).toEqual(dev);
    await expect(keys.unpackDevice(keys.packDevice(dev).slice(1), dev.dv)).rejects.toThrow(VaultError);
  });

  test("hands a master key to another device", async () => {
    const [one, other] = [await person("ada"), await person("ada", "xwing")];
    const roots = { mk: randomBytes(32), mkv: 2 };
    const ct = await credentials.sealMkShare(one.id, one.dev.dv, other.dev, roots);
    expect(await credentials.openMkShare(one.id, one.dev.dv, other.dev, { mkv: 2, ct }, 1)).toEqual(roots);
    const again = credentials.openMkShare(one.id, one.dev.dv, other.dev, { mkv: 2, ct }, 2);
    await expect(again).rejects.toThrow("SLOT-025");
    expect(await credentials.openMkShare(one.id, one.dev.dv, other.dev, { mkv: 2, ct }, 2, true)).toEqual(roots);
  });

  test("proves a password and keeps a vault", async () => {
    const mine = srp.start(randomBytes(32));
    expect([mine.public.length, mine.a >> 255n]).toEqual([512, 1n]);
    const { dev, id } = await person("ada");
    const [vk, kek, session] = [randomBytes(32), randomBytes(32), randomBytes(32)];
    const empty: vault.Vault = {
      v: 1, origin: "https://relay.example", realm: b64e(randomBytes(16)), account: id, login: "ada", dv: dev.dv,
      salt: b64e(randomBytes(16)), ver: 1, mkv: 1, pending: false, openers: {},
    };
    let held = await vault.withPassword(empty, vk, kek, randomBytes);
    held = await vault.withKey(held, "session", session, vk, randomBytes);
    held = vault.decode(vault.encode(held));
    expect(await vault.openWithPassword(held, kek)).toEqual(vk);
    expect(await vault.openWithKey(held, "session", session)).toEqual(vk);
    const box = await vault.sealRecord(vk, held, "device", keys.packDevice(dev), randomBytes);
    expect(await vault.openRecord(vk, held, "device", box)).toEqual(keys.packDevice(dev));
    await expect(vault.openRecord(vk, held, "other", box)).rejects.toThrow(VaultError);

    const { vault: pinned, enrolment } = await unlock.enrol(held, vk, "804713", randomBytes);
    expect(pinned.openers.pw).toBeUndefined();
    const nonce = randomBytes(32);
    const tried = await unlock.attempt(pinned, "804713", nonce);
    expect(tried.tag).toEqual(enrolment.tag);
    expect(await unlock.finish(pinned, tried.a, enrolment.pep)).toEqual(vk);
    await expect(unlock.finish(pinned, tried.a, randomBytes(32))).rejects.toThrow("pepper");
    await expect(vault.withPassword(pinned, vk, kek, randomBytes)).rejects.toThrow(FormatError);
    expect(vault.without(pinned, "pin").openers.pin).toBeUndefined();
  });

  test("says the same of everything that does not open", async () => {
    const { id, dev } = await person("ada");
    const key = slots.slotKey(randomBytes(32), id, "ik");
    const short = await aeadSeal(key, new Uint8Array(12), randomBytes(31), slots.slotAad(id, "ik"));
    const wrong = await hpkeSeal(dev.kem, dev.de, new Uint8Array(0), randomBytes(31));
    const tries = [
      () => slots.openEpoch(key, id, `sp-${b64e(randomBytes(32))}`, 1, short),
      () => credentials.openMkShare(id, dev.dv, dev, { mkv: 2, ct: wrong }, 1),
      () => keys.unpackDevice(b64d("AAAA"), dev.dv),
    ];
    for (const one of tries) {
      const error = await one().catch((thrown: unknown) => thrown);
      expect([(error as CloisterError).code, (error as CloisterError).detail]).toEqual(["C_VAULT", ""]);
    }
    expect(ed25519Public(dev.dkSeed)).toEqual(dev.dk);
  });
});
