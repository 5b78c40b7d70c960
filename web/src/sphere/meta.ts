/**
 * Title, topic and icon of a sphere: one entry, sealed in encrypted spheres, sealed again under each epoch.
 *
 * Spec: META-001 to META-005.
 */

import { type Bytes, type Rng, aeadOpen, aeadSeal, concat, requireEqual, sha256 } from "../crypto.ts";
import { DecryptFailed, FormatError, KeyUnknown } from "../errors.ts";
import { type JsonObject, b64d, b64e, jsonEmit, jsonParse, kdf, lp } from "../protocol/encoding.ts";
import { shape } from "../protocol/shape.ts";
import type { EpochKey } from "./epoch.ts";
import { pad, unpad } from "./padding.ts";

const BLIND = 16;
const TEXT = shape({ title: "text:256", topic: "text:2048", icon: "text:16384" });

export interface Text {
  title: string;
  topic: string;
  icon: string;
}

export interface Opened {
  text: Text;
  content: Uint8Array;
  blind: Uint8Array;
}

/** Header of the entry that carries a title. */
export interface Slot {
  kid: string;
  sph: string;
  seq: number;
  prev: Uint8Array;
  ep: number;
}

/** A title as it will be sealed, with a fresh blind (META-002). Throws FormatError. */
export function prepare(text: Text, rng: Rng): Opened {
  return { text, content: jsonEmit(clear(text)), blind: rng(BLIND) };
}

/** mh (META-002). */
export function commitment(blind: Uint8Array, content: Uint8Array): Bytes {
  return sha256(lp("meta", blind, content));
}

/** The commitment of an opened text as a body writes it; empty for a clear one. */
export function mhOf({ blind, content }: Opened): string {
  return blind.length === 0 ? "" : b64e(commitment(blind, content));
}

/** The body in a sphere that is not encrypted (META-005). Throws FormatError. */
export function clear({ title, topic, icon }: Text): JsonObject {
  const value = { title, topic, icon };
  TEXT(value);
  return value;
}

/** A clear text in the form of an opened one: no blind, no commitment (META-005). */
export function unsealed(text: Text): Opened {
  return { text, content: jsonEmit(clear(text)), blind: new Uint8Array(0) };
}

/** An opened text from its kept bytes. Throws FormatError. */
export function reopen(content: Uint8Array, blind: Uint8Array): Opened {
  return { text: textOf(content), content, blind };
}

function material(key: EpochKey, slot: Slot, n16: Uint8Array): { key: Bytes; cm: Bytes } {
  const both = kdf(key.secret, n16, "meta", lp(slot.sph, slot.seq), 64);
  return { key: both.slice(0, 32), cm: both.slice(32) };
}

const aadOf = ({ kid, sph, seq, prev, ep }: Slot): Bytes => lp("sph/1 meta", kid, sph, seq, prev, ep);

/** The sealed body (META-001). Throws FormatError for the key of another epoch. */
export async function seal(opened: Opened, slot: Slot, key: EpochKey, rng: Rng): Promise<JsonObject> {
  if (key.n !== slot.ep || key.sph !== slot.sph) throw new FormatError("META-001");
  const n16 = rng(16);
  const nonce = rng(12);
  const { key: cipher, cm } = material(key, slot, n16);
  const ct = await aeadSeal(cipher, nonce, pad(concat(opened.blind, opened.content)), aadOf(slot));
  const mh = b64e(commitment(opened.blind, opened.content));
  return { n16: b64e(n16), n: b64e(nonce), cm: b64e(cm), mh, ct: b64e(ct) };
}

function textOf(content: Uint8Array): Text {
  const value = jsonParse(content);
  TEXT(value);
  return value as unknown as Text;
}

/** Read a body, sealed or clear (META-003, META-005). Throws KeyUnknown, DecryptFailed, FormatError. */
export async function open(body: JsonObject, slot: Slot, key: EpochKey | undefined): Promise<Opened> {
  if (!("ct" in body)) {
    const content = jsonEmit(body);
    return { text: textOf(content), content, blind: new Uint8Array(0) };
  }
  const { n16, n, cm, mh, ct } = body as Record<string, string>;
  if (key === undefined || key.n !== slot.ep || key.sph !== slot.sph) throw new KeyUnknown("META-003");
  const made = material(key, slot, b64d(n16!));
  requireEqual(made.cm, b64d(cm!), new DecryptFailed("META-003"));
  const inside = unpad(await aeadOpen(made.key, b64d(n!), b64d(ct!), aadOf(slot)));
  if (inside.length < BLIND) throw new FormatError("META-003");
  const [blind, content] = [inside.slice(0, BLIND), inside.slice(BLIND)];
  requireEqual(commitment(blind, content), b64d(mh!), new DecryptFailed("META-003"));
  return { text: textOf(content), content, blind };
}
