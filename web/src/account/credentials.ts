/**
 * Roots on the move: opened after a sign-in, wrapped under a new password, replaced after a device is gone, handed on.
 *
 * A change is one PUT /account/roots, compare-and-swap on `cred_ver`; the caller keeps the old and the new keys until the
 * relay has answered, then drops `kek`, RK and the earlier MK. Spec: SLOT-011, SLOT-022 to SLOT-025.
 */

import { type Bytes, type Rng, hpkeOpen, hpkeSeal } from "../crypto.ts";
import { Downgrade, FormatError, VaultError } from "../errors.ts";
import { type JsonObject, b64e, lp } from "../protocol/encoding.ts";
import { sealed } from "./box.ts";
import { type DeviceKeys, type Roots, unwrapMk, unwrapRk, wrap } from "./keys.ts";
import type { Stretched } from "./password.ts";
import { master } from "./slot_names.ts";
import { sealMaster } from "./slots.ts";
import { verifier as srpVerifier } from "./srp.ts";
import { type Pin, type State, seal as sealState } from "./state_slot.ts";

/** Open both roots; `seen` is the highest generation of MK this device knows (SLOT-022). Throws Downgrade, VaultError. */
export async function openRoots(
  stretched: Stretched,
  account: string,
  reply: { wMK: Uint8Array; wRK: Uint8Array; mkv: number },
  seen: number,
): Promise<Roots> {
  const { wMK, wRK, mkv } = reply;
  if (mkv < seen) throw new Downgrade("SLOT-022");
  const mk = await unwrapMk(stretched.kek, account, stretched.version, mkv, wMK);
  return { mk, rk: await unwrapRk(stretched.kek, account, stretched.version, wRK), mkv };
}

async function wraps(stretched: Stretched, account: string, roots: Roots, rng: Rng): Promise<JsonObject> {
  const { mkv } = roots;
  if (!Number.isInteger(mkv) || mkv < 1 || mkv > 0xffff_ffff) throw new FormatError("SLOT-002");
  const { wMK, wRK } = await wrap(stretched.kek, account, stretched.version, roots, rng);
  return { wMK: b64e(wMK), wRK: b64e(wRK), mkv };
}

/** The members that tell the relay of a new password (SLOT-023, SLOT-024). */
export function newVerifier(fresh: Stretched, login: string, salt16: Uint8Array): JsonObject {
  return { ver: fresh.version, v: b64e(srpVerifier(login, salt16, fresh.auth)) };
}

/** Body of a password change: new v, wMK, wRK; salt16 and the roots stay (SLOT-023). */
export async function changePassword(
  credVer: number,
  roots: Roots,
  fresh: Stretched,
  who: { account: string; login: string; salt16: Uint8Array },
  rng: Rng,
): Promise<JsonObject> {
  const { account, login, salt16 } = who;
  return {
    cred_ver: credVer, ...newVerifier(fresh, login, salt16), ...(await wraps(fresh, account, roots, rng)), slots: [],
  };
}

/** A new master key: the request body, the new roots and the pin of the re-sealed state. */
export interface Rotation {
  body: JsonObject;
  roots: Roots;
  statePin: Pin;
}

/**
 * Body of a new master key: wMK under mkv + 1, the old MK as `mk.<old>`, the state re-sealed after `state` (SLOT-024).
 *
 * RK stays. While the password stays, neither `v` nor `ver` is sent; with a new one `stretched` is of it and `verifier`
 * its `newVerifier`.
 */
export async function rotateMaster(
  credVer: number,
  roots: Roots,
  stretched: Stretched,
  state: { author: DeviceKeys; last: State; content: JsonObject },
  account: string,
  rng: Rng,
  verifier: JsonObject = {},
): Promise<Rotation> {
  const fresh = { mk: rng(32), rk: roots.rk, mkv: roots.mkv + 1 };
  const { slot, pin } = await sealState(fresh.mk, account, state.author, state.last, state.content, rng);
  const old = await sealMaster(fresh.mk, account, roots.mkv, roots.mk, rng);
  const body = {
    cred_ver: credVer,
    ...verifier,
    ...(await wraps(stretched, account, fresh, rng)),
    slots: [
      { name: master(roots.mkv), mkv: fresh.mkv, bytes: b64e(old) },
      { name: "state", mkv: fresh.mkv, bytes: b64e(slot), ctr: pin.ctr },
    ],
  };
  return { body, roots: fresh, statePin: pin };
}

function info(account: string, sender: string, recipient: string, kem: string, mkv: number): Bytes {
  return lp("sph/1 mk", account, sender, recipient, kem, mkv);
}

/** MK for another own device (SLOT-025). */
export function sealMkShare(
  account: string,
  sender: string,
  recipient: { dv: string; kem: string; de: Uint8Array },
  roots: Pick<Roots, "mk" | "mkv">,
): Promise<Bytes> {
  const { dv, kem, de } = recipient;
  return hpkeSeal(kem, de, info(account, sender, dv, kem, roots.mkv), roots.mk);
}

/** A newer MK from another own device; `tainted` when the present one counts as unknown (SLOT-025). */
export async function openMkShare(
  account: string,
  sender: string,
  own: DeviceKeys,
  share: { mkv: number; ct: Uint8Array },
  present: number,
  tainted = false,
): Promise<Pick<Roots, "mk" | "mkv">> {
  if (share.mkv <= present && !tainted) throw new Downgrade("SLOT-025");
  const bound = info(account, sender, own.dv, own.kem, share.mkv);
  const mk = await sealed(() => hpkeOpen(own.kem, own.deSeed, bound, share.ct));
  if (mk.length !== 32) throw new VaultError();
  return { mk, mkv: share.mkv };
}
