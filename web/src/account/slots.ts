/**
 * Slots at the relay that hold one key each: the identity scalar under RK, epoch secrets and older MKs under MK.
 *
 * A slot is a way to get a secret and no authority to use it. Spec: SLOT-008 to SLOT-011.
 */

import { type Bytes, type Rng, p384Public } from "../crypto.ts";
import { VaultError } from "../errors.ts";
import { b64e, kdf, lp } from "../protocol/encoding.ts";
import { type Jwk, jwkPublic, thumbprint } from "../protocol/ids.ts";
import { openBox, sealBox, sealed } from "./box.ts";
import { epoch, master } from "./slot_names.ts";

const NONE = new Uint8Array(0);

export function slotKey(root: Uint8Array, account: string, name: string): Bytes {
  return kdf(root, NONE, "slot", lp(account, name), 32);
}

export function slotAad(account: string, name: string, thumb: Uint8Array = NONE, ctr = 0): Bytes {
  return lp(account, name, thumb, ctr);
}

export function sealIk(rk: Uint8Array, account: string, ik: Uint8Array, rng: Rng): Promise<Bytes> {
  return sealBox(slotKey(rk, account, "ik"), ik, slotAad(account, "ik", thumbprint(jwkPublic(ik))), rng);
}

/** The identity scalar; it must be that of the present identity key (SLOT-009). Throws VaultError. */
export async function openIk(rk: Uint8Array, account: string, present: Jwk, slot: Uint8Array): Promise<Bytes> {
  const scalar = await openBox(slotKey(rk, account, "ik"), slot, slotAad(account, "ik", thumbprint(present)), 48);
  const { x, y } = await sealed(() => p384Public(scalar));
  if (b64e(x) !== present.x || b64e(y) !== present.y) throw new VaultError();
  return scalar;
}

const seal = (mk: Uint8Array, account: string, name: string, secret: Uint8Array, rng: Rng): Promise<Bytes> =>
  sealBox(slotKey(mk, account, name), secret, slotAad(account, name), rng);
const open = (mk: Uint8Array, account: string, name: string, slot: Uint8Array): Promise<Bytes> =>
  openBox(slotKey(mk, account, name), slot, slotAad(account, name), 32);

/** E_n of a sphere under MK (SLOT-010). */
export async function sealEpoch(
  mk: Uint8Array,
  account: string,
  sph: string,
  n: number,
  secret: Uint8Array,
  rng: Rng,
): Promise<Bytes> {
  return seal(mk, account, epoch(sph, n), secret, rng);
}

export async function openEpoch(mk: Uint8Array, account: string, sph: string, n: number, slot: Uint8Array): Promise<Bytes> {
  return open(mk, account, epoch(sph, n), slot);
}

/** The MK of generation `oldMkv` under the next one (SLOT-011). */
export async function sealMaster(
  newMk: Uint8Array,
  account: string,
  oldMkv: number,
  oldMk: Uint8Array,
  rng: Rng,
): Promise<Bytes> {
  return seal(newMk, account, master(oldMkv), oldMk, rng);
}

/** All MKs from the present one down as far as slots exist (SLOT-011). Throws VaultError. */
export async function openMasters(
  account: string,
  mk: Bytes,
  mkv: number,
  slots: ReadonlyMap<number, Uint8Array>,
): Promise<Map<number, Bytes>> {
  const found = new Map([[mkv, mk]]);
  for (let n = mkv - 1; n >= 1; n -= 1) {
    const slot = slots.get(n);
    if (slot === undefined) break;
    found.set(n, await open(found.get(n + 1)!, account, master(n), slot));
  }
  return found;
}
