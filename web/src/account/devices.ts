/**
 * Enrolling and revoking devices: the two things the identity key signs for a device.
 *
 * Knows the IK scalar for the length of a call; the caller got it by `slots.openIk` after the password and drops it when
 * the request is sent. Spec: SLOT-018, SLOT-026.
 */

import * as certificate from "../protocol/certificate.ts";
import { deviceSigner } from "../protocol/jws.ts";
import * as keylog from "../protocol/keylog.ts";
import type { DeviceKeys } from "./keys.ts";

/** Seconds; a certificate is judged when its entry is admitted, not later. */
export const CERT_LIFETIME = 366 * 86_400;

/** The key-log entry to post, and the log after it. */
export interface Change {
  entry: string;
  log: keylog.KeyLog;
}

/** `sph-dev+1` of a device, in force for a year from `now`. */
export function certify(ik: Uint8Array, account: string, device: DeviceKeys, now: number): Promise<string> {
  const signer = deviceSigner(device.dkSeed); // the device agrees to be this account's (CERT-010)
  return certificate.issue(ik, account, { ...device, signer }, now, now + CERT_LIFETIME);
}

/** What POST /devices takes (SLOT-026); `log` is the verified key log. Throws LogInvalid. */
export async function enrol(
  ik: Uint8Array,
  log: keylog.KeyLog,
  device: DeviceKeys,
  now: number,
): Promise<Change & { cert: string }> {
  const at = Math.max(now, log.iat);
  const cert = await certify(ik, log.id, device, at);
  const entry = await keylog.addDevice(ik, log, cert, at);
  return { cert, entry, log: await keylog.apply(log, entry) };
}

/** What POST /devices/{dv}/revoke takes (SLOT-026). Throws LogInvalid for a device that is not active. */
export async function revoke(ik: Uint8Array, log: keylog.KeyLog, dv: string, now: number): Promise<Change> {
  const entry = await keylog.revokeDevice(ik, log, dv, Math.max(now, log.iat));
  return { entry, log: await keylog.apply(log, entry) };
}
