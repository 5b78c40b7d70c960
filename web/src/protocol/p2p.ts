/**
 * Letters from one device to another: form, sender, and whether a relay passes them on. Spec: LOG-025 to LOG-027.
 */

import { KeyUnknown, NotMember } from "../errors.ts";
import type { JsonObject } from "./encoding.ts";
import { type Envelope, P2P, decode as decodeEnvelope, verifyEd25519 } from "./jws.ts";
import type { Device, SphereState } from "./state.ts";

export interface Letter {
  envelope: Envelope;
  k: string;
  /** Whether this version knows the kind (LOG-025). */
  known: boolean;
  kid: string;
  sph: string;
  jti: string;
  iat: number;
  /** The recipient's device where the letter names one. */
  to: string | undefined;
  body: JsonObject;
}

/** Read a letter; nothing is verified. Throws FormatError. */
export function decode(compact: string): Letter {
  const envelope = decodeEnvelope(compact, "sph-p2p+1");
  const body = envelope.body;
  const { k, sph, jti, iat } = body as { k: string; sph: string; jti: string; iat: number };
  const known = P2P.has(k);
  const to = known ? (body["dvR"] as string | undefined) : undefined;
  return { envelope, k, known, kid: envelope.header["kid"] as string, sph, jti, iat, to, body };
}

/** The letter is of this device (LOG-026). Throws KeyUnknown, SignatureInvalid. */
export async function verify(letter: Letter, sender: Device | undefined): Promise<void> {
  if (sender?.dv !== letter.kid) throw new KeyUnknown("LOG-026");
  await verifyEd25519(letter.envelope, sender.dk);
}

/** Both are active in the sphere at its head (LOG-027). Throws NotMember. */
export function checkPair(state: SphereState, sender: string, recipient: string): void {
  for (const dv of [sender, recipient]) {
    if (state.devices.get(dv)?.status !== "active") throw new NotMember("LOG-027");
  }
}
