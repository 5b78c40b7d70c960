/**
 * Invitations: a seed in a link, from which both ends derive the key that proves it; and the form of links.
 *
 * Spec: INV-001, INV-003 to INV-005, INV-007.
 */

import { type Bytes, type Rng, ed25519Public } from "../crypto.ts";
import { DecryptFailed, FormatError, Gap, LogFork } from "../errors.ts";
import type { Digests } from "../protocol/chain.ts";
import { b64d, b64e, kdf, lp, textBytes } from "../protocol/encoding.ts";
import { raw } from "../protocol/ids.ts";
import type { Device } from "../protocol/state.ts";
import { pad, unpad } from "./padding.ts";
import * as share from "./share.ts";
import type { Party } from "./share.ts";

const NONE = new Uint8Array(0);
const LONGEST = 1024;
const LABEL = 64;
const FORM = /^(https?:\/\/(?:[A-Za-z0-9.-]{1,253}|\[[0-9A-Fa-f:]{2,45}\])(?::[1-9][0-9]{0,4})?)\/(j|p)#(.*)$/;
const UNPRINTABLE = /[\p{Cc}\p{Cf}\p{Co}\p{Cs}\p{Zl}\p{Zp}]|(?! )\p{Zs}/u;

export interface Link {
  kind: "invite" | "ask" | "public";
  origin: string;
  sph: string;
  jti: Bytes;
  seed: Bytes;
  seq: number;
  /** First 16 bytes of H(SI) of the entry at `seq`. */
  pin: Bytes;
  label: string;
}

/** The signing key of an invitation (INV-001). Throws FormatError. */
export function keyPair(seed: Uint8Array, sph: string, jti: Uint8Array): { ivk: Bytes; ipk: Bytes } {
  if (seed.length !== 32 || jti.length !== 16) throw new FormatError("INV-001");
  const ivk = kdf(seed, NONE, "invite", lp(sph, jti), 32);
  return { ivk, ipk: ed25519Public(ivk) };
}

function exactly(text: string, length: number): Bytes {
  const value = b64d(text);
  if (value.length !== length) throw new FormatError("INV-003");
  return value;
}

function position(text: string): number {
  if (!/^(?:0|[1-9][0-9]{0,15})$/.test(text) || Number(text) > Number.MAX_SAFE_INTEGER) throw new FormatError("INV-003");
  return Number(text);
}

function labelOf(text: string): string {
  const bytes = b64d(text);
  let label: string;
  try {
    label = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch {
    throw new FormatError("INV-003");
  }
  checkLabel(label);
  return label;
}

function checkLabel(label: string): void {
  const length = textBytes(label).length;
  if (length < 1 || length > LABEL || UNPRINTABLE.test(label)) throw new FormatError("INV-003");
}

/** Read a link (INV-003, INV-004). Throws FormatError. */
export function parse(text: string): Link {
  const found = text.length <= LONGEST ? FORM.exec(text) : null;
  if (found === null) throw new FormatError("INV-003");
  const [, origin, page, fragment] = found as unknown as [string, string, string, string];
  const [sph, ...rest] = fragment.split("~") as [string, ...string[]];
  if (!sph.startsWith("sp-")) throw new FormatError("INV-003");
  raw(sph);
  const bare = { origin, sph, jti: NONE, seed: NONE, seq: 0, pin: NONE, label: "" };
  if (page === "p") {
    if (rest.length !== 2) throw new FormatError("INV-004");
    return { ...bare, kind: "public", seq: position(rest[0]!), pin: exactly(rest[1]!, 16) };
  }
  if (rest.length === 0) return { ...bare, kind: "ask" };
  const [jti, seed, seq, pin, label] = rest;
  if (rest.length < 4 || rest.length > 5) throw new FormatError("INV-003");
  const made = { jti: exactly(jti!, 16), seed: exactly(seed!, 32), seq: position(seq!), pin: exactly(pin!, 16) };
  return { ...bare, ...made, kind: "invite", label: label === undefined ? "" : labelOf(label) };
}

/** Write a link; what it writes, `parse` reads. Throws FormatError. */
export function emit(link: Link): string {
  const { kind, origin, sph, jti, seed, seq, pin, label } = link;
  const parts = [sph];
  if (kind === "invite") parts.push(b64e(jti), b64e(seed));
  if (kind !== "ask") parts.push(String(seq), b64e(pin));
  if (kind === "invite" && label !== "") parts.push(b64e(textBytes(label)));
  const text = `${origin}/${kind === "public" ? "p" : "j"}#${parts.join("~")}`;
  parse(text);
  return text;
}

/** The log one is shown is the one the link means (INV-005). Throws LogFork. */
export function checkPin(link: Link, log: Digests): void {
  if (link.kind === "ask") return;
  let held: Uint8Array;
  try {
    held = log.digest(link.seq);
  } catch (error) {
    if (error instanceof Gap) throw new LogFork("INV-005");
    throw error;
  }
  if (b64e(held.slice(0, 16)) !== b64e(link.pin)) throw new LogFork("INV-005");
}

/** `ct` of a letter with a link for a device of the sphere `via`; `jti` is the letter's (INV-007). */
export function seal(link: Link, via: string, sender: Party, to: Device, jti: Uint8Array, rng: Rng): Promise<Bytes> {
  const bound = boundTo(via, sender, { id: to.owner, dv: to.dv }, to.kem, jti);
  return share.sealTo(to.kem, to.de, bound, pad(textBytes(emit(link))), rng);
}

/** What a letter of kind invite holds. */
export interface LetterBody {
  readonly idR: string;
  readonly dvR: string;
  readonly kem: string;
  readonly ct: string;
}

/**
 * The link in a letter `jti` of the sphere `via`, whose signature was checked (INV-007). Throws DecryptFailed when it was not
 * sealed for this device, sphere, letter and sender, FormatError for what is no link with a secret.
 */
export async function open(
  body: LetterBody,
  via: string,
  jti: Uint8Array,
  sender: Party,
  me: Party,
  kem: string,
  secrets: readonly Uint8Array[],
): Promise<Link> {
  if (body.idR !== me.id || body.dvR !== me.dv || body.kem !== kem) throw new DecryptFailed("INV-007");
  const data = unpad(await share.openAny(kem, secrets, boundTo(via, sender, me, kem, jti), b64d(body.ct)));
  if (data.some((byte) => byte > 127)) throw new FormatError("INV-007");
  const link = parse(new TextDecoder().decode(data));
  if (link.kind !== "invite") throw new FormatError("INV-007");
  return link;
}

function boundTo(via: string, sender: Party, to: Party, kem: string, jti: Uint8Array): Bytes {
  return lp("sph/1 invite", via, sender.id, sender.dv, to.id, to.dv, kem, jti);
}
