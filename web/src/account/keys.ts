/**
 * The keys of an account: the two roots, the identity scalar, the keys of a device.
 *
 * Knows nothing of passwords or relays. Spec: SLOT-002 to SLOT-005.
 */

import {
  type Bytes, P384_ORDER, type Rng, ed25519Public, hpkePublic, own, rsaNewSecret, rsaPublic,
} from "../crypto.ts";
import { FormatError } from "../errors.ts";
import { lp } from "../protocol/encoding.ts";
import { deviceId, identityId, jwkPublic } from "../protocol/ids.ts";
import { openBox, sealBox, sealed } from "./box.ts";

/** The kind of receiving key that only a policy's word lets in (CLT-061). */
export const RSA = "rsa4096";

export interface Roots {
  mk: Bytes;
  rk: Bytes;
  mkv: number;
}

export interface DeviceKeys {
  dv: string;
  dkSeed: Bytes;
  dk: Bytes;
  kem: string;
  deSeed: Bytes;
  de: Bytes;
}

/** The scalar of 56 random bytes (SLOT-004). */
export function identityScalar(random: Uint8Array): Bytes {
  if (random.length !== 56) throw new FormatError("SLOT-004");
  let value = 0n;
  for (const byte of random) value = (value << 8n) | BigInt(byte);
  const text = ((value % (P384_ORDER - 1n)) + 1n).toString(16).padStart(96, "0");
  return Uint8Array.from({ length: 48 }, (_, at) => parseInt(text.slice(2 * at, 2 * at + 2), 16));
}

/** A fresh identity scalar (SLOT-004). */
export const newIdentity = (rng: Rng): Bytes => identityScalar(rng(56));

/** Fresh MK and RK of generation 1. */
export function newRoots(rng: Rng): Roots {
  return { mk: rng(32), rk: rng(32), mkv: 1 };
}

/** Fresh DK and DE; `kem` is xwing, p384 or rsa4096. Throws FormatError for another. */
export async function newDevice(rng: Rng, kem = "xwing"): Promise<DeviceKeys> {
  return device(rng(32), kem, await newReceiving(rng, kem));
}

/** The secret of a fresh DE (SLOT-005); the platform draws an RSA key. */
export async function newReceiving(rng: Rng, kem: string): Promise<Bytes> {
  if (kem === RSA) return rsaNewSecret();
  return kem === "p384" ? identityScalar(rng(56)) : rng(32);
}

export function accountId(ik: Uint8Array): string {
  return identityId(jwkPublic(ik));
}

/** A device's keys from its secrets (SLOT-005). Throws FormatError. */
export async function device(dkSeed: Uint8Array, kem: string, deSeed: Uint8Array): Promise<DeviceKeys> {
  if (dkSeed.length !== 32) throw new FormatError("SLOT-005");
  const dk = ed25519Public(dkSeed);
  const de = kem === RSA ? await rsaPublic(deSeed) : await hpkePublic(kem, deSeed);
  return { dv: deviceId(dk), dkSeed: own(dkSeed), dk, kem, deSeed: own(deSeed), de };
}

/** LP(DK seed, kem, DE secret), the form in the vault (SLOT-005). */
export function packDevice(keys: DeviceKeys): Bytes {
  return lp(keys.dkSeed, keys.kem, keys.deSeed);
}

/** Read packDevice's form; the keys must be those of `dv`. Throws VaultError (SLOT-005). */
export function unpackDevice(data: Uint8Array, dv: string): Promise<DeviceKeys> {
  return sealed(async () => {
    const parts: Uint8Array[] = [];
    const view = new DataView(data.buffer, data.byteOffset, data.length);
    for (let at = 0; at < data.length; ) {
      const end = at + 4 + view.getUint32(at);
      if (end > data.length) throw new FormatError("SLOT-005");
      parts.push(data.subarray(at + 4, end));
      at = end;
    }
    const [dkSeed, kem, deSeed] = parts;
    if (parts.length !== 3) throw new FormatError("SLOT-005");
    const keys = await device(dkSeed!, new TextDecoder("utf-8", { fatal: true }).decode(kem), deSeed!);
    if (keys.dv !== dv) throw new FormatError("SLOT-005");
    return keys;
  });
}

const mkAad = (account: string, ver: number, mkv: number): Bytes => lp("mk", account, ver, mkv);
const rkAad = (account: string, ver: number): Bytes => lp("root", account, ver);

/** wMK and wRK under a kek (SLOT-002, SLOT-003). */
export async function wrap(
  kek: Uint8Array,
  account: string,
  ver: number,
  roots: Roots,
  rng: Rng,
): Promise<{ wMK: Bytes; wRK: Bytes }> {
  return {
    wMK: await sealBox(kek, roots.mk, mkAad(account, ver, roots.mkv), rng),
    wRK: await sealBox(kek, roots.rk, rkAad(account, ver), rng),
  };
}

export function unwrapMk(kek: Uint8Array, account: string, ver: number, mkv: number, wrapped: Uint8Array): Promise<Bytes> {
  return openBox(kek, wrapped, mkAad(account, ver, mkv), 32);
}

export function unwrapRk(kek: Uint8Array, account: string, ver: number, wrapped: Uint8Array): Promise<Bytes> {
  return openBox(kek, wrapped, rkAad(account, ver), 32);
}
