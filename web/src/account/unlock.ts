/**
 * Unlocking with a PIN: the relay counts the tries and gives a pepper, the device holds the rest.
 *
 * Neither a stolen relay nor a stolen device can test a PIN alone. Spec: VLT-006, VLT-009 to VLT-011.
 */

import { type Bytes, type Rng, argon2id, ed25519Public, ed25519Sign, requireEqual, sha256 } from "../crypto.ts";
import { VaultError, WeakPin, part } from "../errors.ts";
import { b64d, b64e, kdf, lp, textBytes } from "../protocol/encoding.ts";
import { ARGON2 } from "./password.ts";
import { type Vault, openWithKey, withKey } from "./vault.ts";

/** What the relay gets when a PIN is set (VLT-009). */
export interface Enrolment {
  dev: string;
  uk: Bytes;
  tag: Bytes;
  pep: Bytes;
}

export interface Attempt {
  tag: Bytes;
  sig: Bytes;
  a: Bytes;
}

function ascii(pin: string): Bytes {
  if (!/^[0-9]{6,12}$/.test(pin)) throw new WeakPin("form", { data: { reason: "form" } });
  return textBytes(pin);
}

/** Refuse a new PIN among the first guesses (VLT-006). Throws WeakPin; Unreachable without the list of them. */
export async function checkPin(pin: string): Promise<Bytes> {
  const bytes = ascii(pin);
  const steps = new Set(Array.from(bytes.subarray(1), (digit, at) => (digit - bytes[at]! + 10) % 10));
  const counts = steps.size === 1 && (steps.has(1) || steps.has(9));
  const repeats = [1, 2, 3].some((unit) => pin.slice(unit) === pin.slice(0, -unit));
  const { PINS } = await part(import("./listed.ts"));
  if (PINS.has(pin) || counts || repeats) throw new WeakPin("common", { data: { reason: "common" } });
  return bytes;
}

function stretch(pin: Uint8Array, salt: Uint8Array): Promise<Bytes> {
  return argon2id(pin, salt.subarray(0, 16), ARGON2);
}

const tagOf = (dv: string, a: Uint8Array, ds: Uint8Array): Bytes => kdf(a, ds, "vault-tag", lp(dv), 32);
const keyOf = (vault: Vault, a: Uint8Array, pep: Uint8Array, salt: Uint8Array): Bytes =>
  kdf(lp(a, pep), salt, "vault", lp(vault.account, vault.dv, "*"), 32);

/** Set or change the PIN (VLT-009). The vault is stored only after the relay has taken the enrolment. Throws WeakPin. */
export async function enrol(
  vault: Vault,
  vk: Uint8Array,
  pin: string,
  rng: Rng,
): Promise<{ vault: Vault; enrolment: Enrolment }> {
  const secret = await checkPin(pin);
  const [uk, ds, salt, pep] = [rng(32), rng(32), rng(32), rng(32)];
  const a = await stretch(secret, salt);
  const local = { uk: b64e(uk), ds: b64e(ds), salt: b64e(salt), hp: b64e(sha256(lp("pep", pep))) };
  const opened = await withKey(vault, "pin", keyOf(vault, a, pep, salt), vk, rng);
  const enrolment = { dev: vault.dv, uk: ed25519Public(uk), tag: tagOf(vault.dv, a, ds), pep };
  return { vault: { ...opened, pin: local }, enrolment };
}

function local(vault: Vault): NonNullable<Vault["pin"]> {
  if (vault.pin === undefined) throw new VaultError("no PIN is set");
  return vault.pin;
}

/** The answer to the relay's nonce (VLT-010). Throws WeakPin for text that is no PIN. */
export async function attempt(vault: Vault, pin: string, nonce: Uint8Array): Promise<Attempt> {
  const { uk, ds, salt } = local(vault);
  const a = await stretch(ascii(pin), b64d(salt));
  const tag = tagOf(vault.dv, a, b64d(ds));
  return { tag, sig: await ed25519Sign(b64d(uk), lp("sph/1 unlock", b64d(vault.realm), vault.dv, nonce, tag)), a };
}

/** VK with the pepper the relay released (VLT-011). Throws VaultError, with reason `pepper` when it is not ours. */
export async function finish(vault: Vault, a: Uint8Array, pep: Uint8Array): Promise<Bytes> {
  const { hp, salt } = local(vault);
  requireEqual(b64d(hp), sha256(lp("pep", pep)), new VaultError("pepper", { data: { reason: "pepper" } }));
  return openWithKey(vault, "pin", keyOf(vault, a, pep, b64d(salt)));
}
