/**
 * One message: form, signature, sealing and opening. Whether it may stand where it stands is the run's matter.
 *
 * Spec: MSG-001 to MSG-008.
 */

import { type Bytes, type Rng, aeadOpen, aeadSeal, requireEqual } from "../crypto.ts";
import { DecryptFailed, FormatError, KeyUnknown } from "../errors.ts";
import { type JsonObject, b64d, b64e, jsonEmit, kdf, lp, textBytes } from "../protocol/encoding.ts";
import { type Envelope, type Signer, decode as decodeEnvelope, sign, verifyEd25519 } from "../protocol/jws.ts";
import type { EpochKey } from "./epoch.ts";
import { pad, unpad } from "./padding.ts";
import * as payloads from "./payload.ts";

const TYP = "sph-msg+1";

/** Header members in the form of the wire. */
export interface Head {
  kid: string;
  sph: string;
  ep: number;
  mid: string;
  seq: number;
  ph: string;
  lh: string;
  ls: number;
  thr?: string;
  try?: number;
  iat: number;
  enc: "A256GCM" | "none";
  n?: string;
  cm?: string;
}

export interface Message {
  envelope: Envelope;
  head: Head;
  /** H(SI) in base64url, as a successor names it. */
  link: string;
}

/** Where a message stands in its chain and on the log. */
export interface Place {
  seq: number;
  ph: string;
  ls: number;
  lh: Uint8Array;
  ep: number;
  /** MSG-006. */
  tries?: number;
}

/** Read a message's form; nothing is verified (MSG-002). Throws FormatError. */
export function decode(compact: string): Message {
  const envelope = decodeEnvelope(compact, TYP);
  const head = envelope.header as unknown as Head;
  const sealed = head.enc === "A256GCM";
  if (head.seq < 1 || (head.ph === "") !== (head.seq === 1)) throw new FormatError("MSG-002");
  if ((head.n !== undefined) !== sealed || (head.cm !== undefined) !== sealed) throw new FormatError("MSG-002");
  return { envelope, head, link: b64e(envelope.digest) };
}

/** MSG-003. Throws SignatureInvalid. */
export function verify(message: Message, dk: Uint8Array): Promise<void> {
  return verifyEd25519(message.envelope, dk);
}

/** key ‖ cm (MSG-004). */
function material(key: EpochKey, kid: string, mid: Uint8Array): { key: Bytes; cm: Bytes } {
  const both = kdf(key.secret, mid, "msg", lp(key.sph, key.n, kid, mid), 64);
  return { key: both.slice(0, 32), cm: both.slice(32) };
}

export interface Speaker {
  sph: string;
  dv: string;
  signer: Signer;
}

/** Sign, and with a key seal, one payload at a place (MSG-001, MSG-004 to MSG-006, MSG-008). */
export async function seal(
  payload: payloads.Payload,
  place: Place,
  speaker: Speaker,
  iat: number,
  rng: Rng,
  key?: EpochKey,
  thr?: Uint8Array,
): Promise<string> {
  if (key !== undefined && (key.sph !== speaker.sph || key.n !== place.ep || payload.pt === true)) {
    throw new FormatError("MSG-004");
  }
  const content = payloads.encode(payload);
  const mid = rng(16);
  const { seq, ph, ls, lh, ep, tries = 0 } = place;
  const header: JsonObject = { kid: speaker.dv, sph: speaker.sph, ep, mid: b64e(mid), seq, ph, lh: b64e(lh), ls };
  if (thr !== undefined) header["thr"] = b64e(thr);
  if (tries > 0) header["try"] = tries;
  header["iat"] = iat;
  if (key === undefined) return sign(TYP, { ...header, enc: "none" }, content, speaker.signer);
  const { key: cipher, cm } = material(key, speaker.dv, mid);
  const nonce = rng(12);
  const full = { ...header, enc: "A256GCM", n: b64e(nonce), cm: b64e(cm) };
  const aad = textBytes(b64e(jsonEmit({ alg: "Ed25519", typ: TYP, ...full })));
  return sign(TYP, full, await aeadSeal(cipher, nonce, pad(content), aad), speaker.signer);
}

async function contentOf({ envelope, head }: Message, key: EpochKey | undefined): Promise<Uint8Array> {
  if (head.enc === "none") return envelope.payload;
  if (key === undefined || key.sph !== head.sph || key.n !== head.ep) throw new KeyUnknown("MSG-008");
  const { key: cipher, cm } = material(key, head.kid, b64d(head.mid));
  requireEqual(cm, b64d(head.cm!), () => new DecryptFailed("MSG-005"));
  return unpad(await aeadOpen(cipher, b64d(head.n!), envelope.payload, envelope.headerPart));
}

/** What a verified message says; `mode` is that of the sphere at ls (MSG-005, MSG-008). */
export async function open(message: Message, key: EpochKey | undefined, mode: string): Promise<payloads.Payload> {
  const payload = payloads.decode(await contentOf(message, key));
  const meant = message.head.enc === "none" && mode === "e2ee";
  if ((payload.pt === true) !== meant) throw new FormatError("MSG-008");
  return payload;
}
