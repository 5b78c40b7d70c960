/**
 * Roots on the move: opened after a sign-in, handed to another own device. Spec: SLOT-022, SLOT-025.
 */

import { type Bytes, hpkeOpen, hpkeSeal } from "../crypto.ts";
import { Downgrade, VaultError } from "../errors.ts";
import { lp } from "../protocol/encoding.ts";
import { sealed } from "./box.ts";
import { type DeviceKeys, type Roots, unwrapMk, unwrapRk } from "./keys.ts";
import type { Stretched } from "./password.ts";

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
