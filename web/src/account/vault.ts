/**
 * The vault of a device: a header in clear, openers for the vault key VK, records under keys from VK.
 *
 * Stores nothing itself. Spec: VLT-001 to VLT-005, VLT-007, VLT-008.
 */

import type { Bytes, HeldKey, Rng } from "../crypto.ts";
import { FormatError, NotFound } from "../errors.ts";
import { type JsonObject, b64d, b64e, jsonEmit, jsonParse, kdf, lp } from "../protocol/encoding.ts";
import { shape } from "../protocol/shape.ts";
import { openBox, sealBox } from "./box.ts";

const NONE = new Uint8Array(0);
const OPENER = shape({ salt: "bytes:0|32", box: "bytes:60" });
const OPENERS = shape({ "pw?": "object", "pin?": "object", "session?": "object", "file?": "object" });
const PIN = shape({ uk: "bytes:32", ds: "bytes:32", salt: "bytes:32", hp: "bytes:32" });
const HEADER = shape({
  v: "int", origin: "text:320", realm: "bytes:16", account: "id", login: "login", dv: "dv", salt: "bytes:16", ver: "int",
  mkv: "int", pending: "bool", openers: "object", "pin?": "object",
});

export type OpenerKind = "pw" | "pin" | "session" | "file";

export interface Opener {
  salt: string;
  box: string;
}

/** The header as it is stored; bytes are base64url (VLT-002). */
export interface Vault {
  v: 1;
  origin: string;
  realm: string;
  account: string;
  login: string;
  dv: string;
  salt: string;
  ver: number;
  mkv: number;
  pending: boolean;
  openers: Partial<Record<OpenerKind, Opener>>;
  pin?: { uk: string; ds: string; salt: string; hp: string };
}

export function encode(vault: Vault): Bytes {
  return jsonEmit(vault as unknown as JsonObject);
}

/** Throws FormatError. */
export function decode(data: Uint8Array): Vault {
  const header = jsonParse(data);
  HEADER(header);
  OPENERS(header["openers"]);
  for (const [kind, opener] of Object.entries(header["openers"] as JsonObject)) {
    OPENER(opener);
    if (((opener as JsonObject)["salt"] === "") === (kind === "pw")) throw new FormatError("VLT-002");
  }
  if (header["pin"] !== undefined) PIN(header["pin"]);
  if (header["v"] !== 1) throw new FormatError("VLT-002");
  return header as unknown as Vault;
}

// --- openers -----------------------------------------------------------------------------------------------------------

const aad = (vault: Vault, kind: OpenerKind): Bytes => lp("vault-opener", kind, vault.account, vault.dv);

function passwordKey(vault: Vault, kek: Uint8Array, salt: Uint8Array): Bytes {
  return kdf(kek, salt, "vault-pw", lp(vault.account, vault.dv), 32);
}

function openerOf(vault: Vault, kind: OpenerKind): Opener {
  const found = vault.openers[kind];
  if (found === undefined) throw new NotFound(`no opener ${kind}`);
  return found;
}

/** The vault with an opener by password; not while a PIN is set (VLT-003, VLT-005). */
export async function withPassword(vault: Vault, vk: Uint8Array, kek: Uint8Array, rng: Rng): Promise<Vault> {
  if (vault.openers.pin !== undefined) throw new FormatError("VLT-005");
  const salt = rng(32);
  const box = await sealBox(passwordKey(vault, kek, salt), vk, aad(vault, "pw"), rng);
  return { ...vault, openers: { ...vault.openers, pw: { salt: b64e(salt), box: b64e(box) } } };
}

/** The vault with an opener by key; one for `pin` removes that for `pw` (VLT-004, VLT-005). */
export async function withKey(
  vault: Vault,
  kind: Exclude<OpenerKind, "pw">,
  key: Uint8Array | HeldKey,
  vk: Uint8Array,
  rng: Rng,
): Promise<Vault> {
  const box = b64e(await sealBox(key, vk, aad(vault, kind), rng));
  const openers = { ...vault.openers, [kind]: { salt: "", box } };
  if (kind === "pin") delete openers.pw;
  return { ...vault, openers };
}

/** The vault without one way in; `pin` goes with its unlock record. */
export function without(vault: Vault, kind: OpenerKind): Vault {
  const { [kind]: _, ...openers } = vault.openers;
  if (kind !== "pin") return { ...vault, openers };
  const { pin: _record, ...rest } = vault;
  return { ...rest, openers };
}

/** VK by password (VLT-003). Throws VaultError, NotFound. */
export async function openWithPassword(vault: Vault, kek: Uint8Array): Promise<Bytes> {
  const { salt, box } = openerOf(vault, "pw");
  return openBox(passwordKey(vault, kek, b64d(salt)), b64d(box), aad(vault, "pw"), 32);
}

/** VK by the key of a session, a key file or a PIN (VLT-004). Throws VaultError, NotFound. */
export async function openWithKey(vault: Vault, kind: OpenerKind, key: Uint8Array | HeldKey): Promise<Bytes> {
  return openBox(key, b64d(openerOf(vault, kind).box), aad(vault, kind), 32);
}

// --- what VK protects ----------------------------------------------------------------------------------------------------

const recordKey = (vk: Uint8Array, vault: Vault, name: string): Bytes =>
  kdf(vk, NONE, "vault-record", lp(vault.account, vault.dv, name), 32);
const recordAad = (vault: Vault, name: string): Bytes => lp(vault.account, vault.dv, name);

/** A record of the vault (VLT-007). */
export function sealRecord(vk: Uint8Array, vault: Vault, name: string, data: Uint8Array, rng: Rng): Promise<Bytes> {
  return sealBox(recordKey(vk, vault, name), data, recordAad(vault, name), rng);
}

export function openRecord(vk: Uint8Array, vault: Vault, name: string, box: Uint8Array): Promise<Bytes> {
  return openBox(recordKey(vk, vault, name), box, recordAad(vault, name));
}

/** Key of the local database (VLT-007). */
export function storeKey(vk: Uint8Array, vault: Vault): Bytes {
  return kdf(vk, NONE, "vault-store", lp(vault.account, vault.dv), 32);
}

/** The key in a key file's line (VLT-008). Throws FormatError. */
export function readKeyFile(text: string): Bytes {
  const found = /^cloister-key-1 ([A-Za-z0-9_-]{43})(?:\r?\n)?$/.exec(text);
  if (found === null) throw new FormatError("VLT-008");
  return b64d(found[1]!);
}
