/**
 * Setting, using and taking away a device's PIN: the vault beside the relay's pepper.
 *
 * A PIN takes the place of the password opener, so that a stolen device can only be tried online, ten times. Both ends
 * change at once or not at all: the vault with the new PIN is durable beside the old one before the relay is told, and
 * whichever the relay answers for is the one in force. A try with the wrong record costs none.
 *
 * As `src/cloister/client/pin.py`. Spec: VLT-005, VLT-009 to VLT-011, CLT-040.
 */

import type { Stretched } from "../account/password.ts";
import * as vaults from "../account/vault.ts";
import { type Bytes, ed25519Public } from "../crypto.ts";
import { AuthFailed, Busy, FormatError, Internal, RateLimited, RelayError, Unreachable, UsageError, part } from "../errors.ts";
import { b64d, b64e } from "../protocol/encoding.ts";
import type { Act, Context } from "./context.ts";
import type { Profile } from "./profile.ts";
import type { Relay } from "./relay.ts";
import * as signing from "./signing.ts";

type Vault = vaults.Vault;

/** Loaded with the first PIN. */
export const unlocking = (): Promise<typeof import("../account/unlock.ts")> => part(import("../account/unlock.ts"));

/** Whether this vault is opened with a PIN. */
export const isSet = (vault: Vault | undefined): boolean => vault?.openers.pin !== undefined;

/** The vault of a PIN whose enrolment was not answered. */
export async function next(profile: Profile, vault: Vault | undefined): Promise<Vault | undefined> {
  const found = await profile.read("vault.pin");
  if (found === undefined || vault === undefined) return undefined;
  try {
    const beside = vaults.decode(found);
    return beside.dv === vault.dv ? beside : undefined;
  } catch (error) {
    if (error instanceof FormatError) return undefined;
    throw error;
  }
}

/**
 * Set or change the PIN; the vault now in force. Throws WeakPin, Unreachable, RelayError: then the old way in still works,
 * or with the next unlocking the new one.
 */
export async function put(ctx: Context, vault: Vault, vk: Uint8Array, pin: string): Promise<Vault> {
  const { vault: after, enrolment: { dev, uk, tag, pep } } = await (await unlocking()).enrol(vault, vk, pin, ctx.rng);
  await ctx.profile.write("vault.pin", vaults.encode(after));
  try {
    await ctx.relay.vaultEnrol({ dev, uk: b64e(uk), tag: b64e(tag), pep: b64e(pep) });
  } catch (error) {
    const unknown = [Busy, RateLimited, Internal].some((kind) => error instanceof kind);
    if (error instanceof RelayError && !unknown) await ctx.profile.remove("vault.pin");
    throw error;
  }
  return settle(ctx.profile, after);
}

/**
 * Back to the password, which was proved to the relay just now. Of what the relay keeps for the PIN nobody has the other
 * half afterwards, copies of this vault included; a relay that cannot be told keeps a row that only a copy can use.
 */
export async function drop(ctx: Context, vault: Vault, vk: Uint8Array, { kek }: Stretched): Promise<Vault> {
  if (!isSet(vault)) throw new UsageError("this device has no PIN");
  const after = await settle(ctx.profile, await vaults.withPassword(vaults.without(vault, "pin"), vk, kek, ctx.rng));
  const nobody = { uk: b64e(ed25519Public(ctx.rng(32))), tag: b64e(ctx.rng(32)), pep: b64e(ctx.rng(32)) };
  try {
    await ctx.relay.vaultEnrol({ dev: vault.dv, ...nobody });
  } catch (error) {
    if (!(error instanceof RelayError || error instanceof Unreachable)) throw error;
  }
  return after;
}

/**
 * The vault in force and its key. Throws AuthFailed (`left` tries when it was the PIN, 0 when there is none any more),
 * WeakPin for text that is no PIN, VaultError, Unreachable: a PIN needs the relay.
 */
export async function openWith(
  profile: Profile, relay: Relay, vault: Vault, pin: string, act: Act | undefined,
): Promise<{ vault: Vault; vk: Bytes }> {
  const following = await next(profile, vault);
  if (following !== undefined) {
    const vk = await tried(relay, following, pin, act).catch((error: unknown) => {
      // With `left` the relay knows this record: the PIN was wrong.
      if (!(error instanceof AuthFailed) || "left" in error.data) throw error;
    });
    if (vk !== undefined) return { vault: await settle(profile, following), vk };
    // Never arrived; the password opens as before.
    if (!isSet(vault)) await profile.remove("vault.pin");
  }
  if (!isSet(vault)) throw new UsageError("this device has no PIN");
  return { vault, vk: await tried(relay, vault, pin, act) };
}

async function tried(relay: Relay, vault: Vault, pin: string, act: Act | undefined): Promise<Bytes> {
  signing.turn(act, "keys");
  const { nonce } = await relay.vaultNonce(vault.dv);
  const { tag, sig, a } = await (await unlocking()).attempt(vault, pin, b64d(nonce));
  signing.turn(act, "proof");
  const { pep } = await relay.vaultOpen({ dev: vault.dv, nonce, tag: b64e(tag), sig: b64e(sig) });
  return (await unlocking()).finish(vault, a, b64d(pep));
}

/** In force from now, in one durable step. A header with a new password may hold an opener by password: it goes as well. */
async function settle(profile: Profile, vault: Vault): Promise<Vault> {
  const gone = isSet(vault) ? { "vault.next": undefined } : {};
  await profile.place.documents.set({ vault: vaults.encode(vault), "vault.pin": undefined, ...gone });
  return vault;
}
