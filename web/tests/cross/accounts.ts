/** Key logs, slots, vaults, letters, sign-ins and digits, drawn at random. */

import wire from "../../../src/cloister/protocol/wire.json" with { type: "json" };
import * as credentials from "../../src/account/credentials.ts";
import * as keys from "../../src/account/keys.ts";
import * as slots from "../../src/account/slots.ts";
import * as srp from "../../src/account/srp.ts";
import { GROUP, exponent, pad, toInteger } from "../../src/account/srp_group.ts";
import * as stateSlot from "../../src/account/state_slot.ts";
import * as unlock from "../../src/account/unlock.ts";
import * as vaults from "../../src/account/vault.ts";
import { ed25519Public } from "../../src/crypto.ts";
import * as certificate from "../../src/protocol/certificate.ts";
import * as dauth from "../../src/protocol/dauth.ts";
import { type Json, type JsonObject, b64e } from "../../src/protocol/encoding.ts";
import { jwkPublic } from "../../src/protocol/ids.ts";
import { deviceSigner, identitySigner, sign } from "../../src/protocol/jws.ts";
import * as keylog from "../../src/protocol/keylog.ts";
import { sealTo } from "../../src/sphere/share.ts";
import { hex } from "../ops/index.ts";
import { serverPublic } from "../ops/srp.ts";
import type { Source } from "./draw.ts";
import { NOW } from "./spheres.ts";

const YEAR = 365 * 86_400;
const ORIGIN = "https://relay.example";

export async function keyLogs(m: Source): Promise<void> {
  for (let n = 0; n < 12; n += 1) {
    let ik = keys.newIdentity(m.bytes);
    let at = NOW;
    const chain = [await keylog.start(ik, at)];
    let log = await keylog.verifyChain(chain);
    for (let more = m.below(5); more > 0; more -= 1) {
      at += m.below(9);
      const wish = m.pick(["add", "add", "revoke", "rotate"]);
      let compact: string;
      if (wish === "add") {
        const dev = await keys.newDevice(m.bytes, m.pick(["xwing", "p384"]));
        const cert = await certificate.issue(ik, log.id, { ...dev, signer: deviceSigner(dev.dkSeed) }, at, at + YEAR);
        m.keep("cert-verify", { cert, ik: jwkPublic(ik) }, ["cert"]);
        compact = await keylog.addDevice(ik, log, cert, at);
      } else if (wish === "revoke" && log.devices.size > 0) {
        compact = await keylog.revokeDevice(ik, log, m.pick([...log.devices.keys()]), at);
      } else {
        const fresh = keys.newIdentity(m.bytes);
        compact = await keylog.rotate(ik, log, fresh, at);
        ik = fresh;
      }
      chain.push(compact);
      log = await keylog.apply(log, compact);
    }
    m.keep("klog-verify", { chain }, [`chain.${m.below(chain.length)}`]);
    const nonce = m.bytes(32);
    const dev = await keys.newDevice(m.bytes, "p384");
    const answer = await dauth.make(deviceSigner(dev.dkSeed), dev.dv, ORIGIN, nonce, NOW);
    const given = { dk: hex(dev.dk), dv: dev.dv, nonce: hex(nonce), origins: [ORIGIN], now: NOW + 5 };
    m.keep("dauth-verify", { answer, ...given }, ["answer"]);
  }
}

export async function slotCases(m: Source): Promise<void> {
  for (let n = 0; n < 18; n += 1) {
    const ik = keys.newIdentity(m.bytes);
    const roots = { mk: m.bytes(32), rk: m.bytes(32), mkv: 1 + m.below(8) };
    const [kek, account, ver] = [m.bytes(32), keys.accountId(ik), n % 2];
    const { wMK, wRK } = await keys.wrap(kek, account, ver, roots, m.bytes);
    const given = { kek: hex(kek), account, ver };
    m.keep("unwrap-mk", { ...given, mkv: roots.mkv, wrapped: hex(wMK) }, ["wrapped", "kek"]);
    m.keep("unwrap-rk", { ...given, wrapped: hex(wRK) }, ["wrapped"]);
    const held = hex(await slots.sealIk(roots.rk, account, ik, m.bytes));
    m.keep("open-ik", { rk: hex(roots.rk), account, jwk: jwkPublic(ik), slot: held }, ["slot"]);
    const [sph, epoch] = [m.id("sp"), 1 + m.below(2 ** 31)];
    const slot = hex(await slots.sealEpoch(roots.mk, account, sph, epoch, m.bytes(32), m.bytes));
    m.keep("open-epoch", { mk: hex(roots.mk), account, sph, n: epoch, slot }, ["slot"]);
    const mks = Array.from({ length: 1 + m.below(4) }, () => m.bytes(32));
    const older: JsonObject = {};
    for (let k = 1; k < mks.length; k += 1) older[k] = hex(await slots.sealMaster(mks[k]!, account, k, mks[k - 1]!, m.bytes));
    m.keep("masters", { account, mk: hex(mks.at(-1)!), mkv: mks.length, slots: older });
    await states(m, account, roots.mk);
    const [mine, other] = [await keys.newDevice(m.bytes, m.pick(["xwing", "p384"])), await keys.newDevice(m.bytes, "p384")];
    const row = { dk_seed: hex(mine.dkSeed), kem: mine.kem, de_seed: hex(mine.deSeed) };
    m.keep("device", row);
    const ct = hex(await credentials.sealMkShare(account, other.dv, mine, roots));
    m.keep("open-mk-share", { ...row, account, sender: other.dv, mkv: roots.mkv, present: 0, ct }, ["ct"]);
  }
  await rsaShare(m);
}

/** A device with an RSA key, and a secret for it (SHR-007). */
async function rsaShare(m: Source): Promise<void> {
  const own = await keys.newDevice(m.bytes, "rsa4096");
  m.keep("device", { dk_seed: hex(own.dkSeed), kem: own.kem, de_seed: hex(own.deSeed) });
  const bound = m.bytes(40);
  for (let n = 0; n < 3; n += 1) {
    const ct = hex(await sealTo(own.kem, own.de, bound, m.bytes(32), m.bytes));
    m.keep("rsa-share", { private: hex(own.deSeed), info: hex(bound), ct }, ["ct"]);
  }
}

/** A state such as the client writes: spheres, people, devices, settings. */
function content(m: Source): JsonObject {
  const h = b64e(m.bytes(32));
  const row = { status: "active", label: m.text(20), read: m.below(2 ** 31) * 512, seq: m.below(99), h };
  const pin = { rev: 1, login: "bo", petname: m.text(9), confirmed: m.chance(0.5) };
  const settings = { theme: { rev: 2, v: JSON.stringify(m.text(5)) } };
  return { v: 1, spheres: { [m.id("sp")]: row }, pins: { [m.id("id")]: pin }, devices: {}, invites: {}, settings };
}

async function states(m: Source, account: string, mk: Uint8Array): Promise<void> {
  const dev = await keys.newDevice(m.bytes, "p384");
  const first = await stateSlot.seal(mk, account, dev, undefined, content(m), m.bytes);
  const second = await stateSlot.seal(mk, account, dev, first.pin, content(m), m.bytes);
  for (const [sealed, pin] of [[first, undefined], [second, first.pin], [second, second.pin]] as const) {
    const seen = pin === undefined ? {} : { pin: [pin.ctr, hex(pin.digest)] };
    const given = { mk: hex(mk), account, ctr: sealed.pin.ctr, slot: hex(sealed.slot), devices: { [dev.dv]: hex(dev.dk) }, ...seen };
    m.keep("open-state", given, ["slot", "mk"]);
  }
}

export async function vaultCases(m: Source): Promise<void> {
  for (let n = 0; n < 18; n += 1) {
    const [kek, vk, key] = [m.bytes(32), m.bytes(32), m.bytes(32)];
    const dev = await keys.newDevice(m.bytes, "p384");
    const bare: vaults.Vault = {
      v: 1, origin: ORIGIN, realm: b64e(m.bytes(16)), account: m.id("id"), login: "ada", dv: dev.dv, salt: b64e(m.bytes(16)),
      ver: n % 2, mkv: 1 + n, pending: n % 3 === 0, openers: {},
    };
    let vault = await vaults.withPassword(bare, vk, kek, m.bytes);
    for (const kind of ["session", "file"] as const) vault = await vaults.withKey(vault, kind, key, vk, m.bytes);
    m.keep("vault-header", { text: new TextDecoder().decode(vaults.encode(vault)) });
    m.keep("vault-password", { vault, kek: hex(kek) }, ["vault.openers.pw.box", "vault.openers.pw.salt", "kek"]);
    const kind = m.pick(["session", "file"]);
    m.keep("vault-key", { vault, kind, key: hex(key) }, [`vault.openers.${kind}.box`, "key"]);
    const name = m.text(9);
    const box = hex(await vaults.sealRecord(vk, vault, name, m.bytes(m.below(99)), m.bytes));
    m.keep("vault-record", { vault, vk: hex(vk), name, box }, ["box", "vk"]);
    m.keep("vault-store-key", { vault, vk: hex(vk) });
    if (n === 0) await pins(m, vault, vk);
  }
}

async function pins(m: Source, before: vaults.Vault, vk: Uint8Array): Promise<void> {
  const pin = `${Array.from({ length: 8 }, () => m.below(10)).join("")}39`;
  const { vault, enrolment } = await unlock.enrol(before, vk, pin, m.bytes);
  const nonce = m.bytes(32);
  m.keep("unlock-attempt", { vault, pin, nonce: hex(nonce) });
  const { a } = await unlock.attempt(vault, pin, nonce);
  m.keep("unlock-finish", { vault, a: hex(a), pep: hex(enrolment.pep) }, ["a", "pep"], 1);
}

/** Letters of every kind and the other envelopes, with bodies drawn by the tables of the wire. */
export async function letters(m: Source): Promise<void> {
  for (const [kind, members] of Object.entries(wire.p2p as unknown as Record<string, Record<string, string>>)) {
    for (let n = 0; n < 12; n += 1) {
      const wanted = Object.entries(members).filter(([name]) => !name.endsWith("?") || m.chance(0.5));
      const body = Object.fromEntries(wanted.map(([name, of]) => [name.replace("?", ""), drawn(m, of)]));
      const fixed = { k: kind, sph: m.id("sp"), iat: NOW, jti: b64e(m.bytes(16)) };
      await enveloped(m, "sph-p2p+1", { kid: m.id("dv") }, { ...fixed, ...body });
    }
  }
  for (let n = 0; n < 20; n += 1) {
    await enveloped(m, "sph-state+1", { kid: m.id("dv") }, { id: m.id("id"), ctr: m.below(2 ** 31), content: content(m) });
    const ik = keys.newIdentity(m.bytes);
    const body = { id: m.id("id"), seq: 3, op: "rev-dev", iat: NOW, body: { dv: m.id("dv") } };
    const compact = await sign("sph-klog+1", { kid: m.id("id") }, body, identitySigner(ik));
    m.keep("envelope-open", { typ: "sph-klog+1", compact, key: { jwk: jwkPublic(ik) } }, ["compact"]);
  }
}

async function enveloped(m: Source, typ: string, header: JsonObject, body: JsonObject): Promise<void> {
  const seed = m.bytes(32);
  const compact = await sign(typ, header, body, deviceSigner(seed));
  m.keep("envelope-open", { typ, compact, key: { dk: hex(ed25519Public(seed)) } }, ["compact"]);
}

/** A value of a kind of ENC-009. */
function drawn(m: Source, kind: string): Json {
  const [word, ...more] = kind.split(":");
  const rest = more.join(":");
  switch (word) {
    case "id": return m.id("id");
    case "dv": return m.id("dv");
    case "int": return m.below(2 ** 31) * 2 ** 20;
    case "u32": return m.below(2 ** 32);
    case "enum": return m.pick(rest.split("|"));
    case "list": return Array.from({ length: 1 + m.below(3) }, () => drawn(m, more.slice(1).join(":")));
    case "jws": return [9, 20, 30].map((length) => b64e(m.bytes(length + m.below(60)))).join(".");
    case "bytes": {
      const [low, high] = rest.split("-").map(Number) as [number, number?];
      return b64e(m.bytes(high === undefined ? low : low + m.below(high - low + 1)));
    }
    default: throw new Error(`no maker for ${kind}`);
  }
}

export function passwords(m: Source): void {
  for (const ver of [1, 1, 0]) {
    const given = { password: `${m.text(20)}ringed plover`, login: "ada", realm: hex(m.bytes(16)), salt: hex(m.bytes(16)), ver };
    m.keep("ppf", m.chance(0.5) ? given : { ...given, account_key: hex(m.bytes(16)) });
  }
}

/** Both halves of a sign-in, and one changed character of what the other side says. */
export function signIns(m: Source): void {
  for (let n = 0; n < 4; n += 1) {
    const [realm, salt16, auth] = [m.bytes(16), m.bytes(16), m.bytes(32)];
    const v = srp.verifier("ada", salt16, auth);
    m.keep("srp-verifier", { login: "ada", salt: hex(salt16), auth: hex(auth) });
    const b = exponent(m.bytes(32));
    const publicB = pad(GROUP, serverPublic(GROUP, toInteger(v), b));
    const mine = srp.start(m.bytes(32));
    const number = (value: bigint): string => value.toString(16).padStart(64, "0");
    const names = { login: "ada", salt: hex(salt16), realm: hex(realm), ver: 1 };
    m.keep("srp-client", { a: number(mine.a), B: hex(publicB), auth: hex(auth), origin: ORIGIN, ...names });
    const stretched = { auth, kek: new Uint8Array(32), version: 1 };
    const { m1, expectedM2 } = srp.prove(mine, { salt16, sid: "", public: publicB }, stretched, { login: "ada", realm, origin: ORIGIN });
    const server = { v: hex(v), b: number(b), A: hex(mine.public), M1: hex(m1), ...names };
    m.keep("srp-server", { ...server, origins: [ORIGIN], age: 3, known: true }, ["M1"], 1);
    m.keep("srp-reply", { M1: hex(m1), expected: hex(expectedM2), M2: hex(expectedM2) }, ["M2"], 1);
    m.keep("srp-challenge", { reply: { sid: b64e(m.bytes(16)), salt: b64e(salt16), B: b64e(publicB) } });
  }
}

export function digitCases(m: Source): void {
  for (let n = 0; n < 20; n += 1) {
    m.keep("digits", { bytes: hex(m.bytes((1 + m.below(16)) * 5)) });
    m.keep("safety-number", { one: m.id("id"), other: m.id("id") });
    m.keep("head-code", { digest: hex(m.bytes(32)) });
  }
}
