/**
 * The keys of a sphere as a person sees them: which are here, new ones, missing ones, those of before one's own time.
 *
 * Spec: CLT-017, CLT-035, CLT-041, CLT-043, CLT-060.
 */

import { MasterKeyDue, part } from "../errors.ts";
import { epochNumber } from "../protocol/state.ts";
import type { KeyLine } from "./api.ts";
import { type Context, replica } from "./context.ts";
import * as delivery from "./delivery.ts";
import * as keyring from "./keys.ts";
import { writer } from "./locks.ts";
import { change, person } from "./membership.ts";
import * as memory from "./memory.ts";
import { nameOf } from "./people.ts";
import type { Imported, SavedInfo, SavedKeys } from "./records.ts";
import { known } from "./replica.ts";
import * as resend from "./resend.ts";
import * as speaking from "./speaking.ts";
import { meta } from "./store.ts";

/** Make a new key now; its number. `why` is told to the members as a message under it. */
export async function rotate(ctx: Context, sph: string, why: string): Promise<number> {
  await change(ctx, sph, () => [{ op: "epoch" }]);
  const { state } = known(await replica(ctx, sph));
  if (why !== "") await speaking.send(ctx, sph, why);
  delivery.wake(ctx, sph);
  return epochNumber(state);
}

/** Every key of the sphere: made by whom and why, here or not, and who could supply one that is missing (CLT-043). */
export async function keys(ctx: Context, sph: string): Promise<KeyLine[]> {
  const { rows } = await part(import("./holders.ts"));
  return rows(ctx, await replica(ctx, sph));
}

/** Ask holders for missing keys; the names of those asked. */
export async function askKeys(ctx: Context, sph: string): Promise<string[]> {
  return ownersOf(ctx, sph, await writer(ctx, sph, async () => keyring.ask(ctx, await replica(ctx, sph), undefined, true)));
}

/** How many messages are missing here, by the name of who wrote them (RUN-012, CLT-052). */
export async function missing(ctx: Context, sph: string): Promise<Record<string, number>> {
  const rep = await replica(ctx, sph);
  const { state, history } = known(rep);
  const found: Record<string, number> = {};
  for (const [dv, numbers] of await resend.wanted(ctx, rep)) {
    const name = await nameOf(ctx.store, state, history.ownerOf(dv));
    found[name] = (found[name] ?? 0) + numbers.length;
  }
  return found;
}

/** Ask members for missing messages now, whenever they were last asked; the names of those asked. */
export async function askMessages(ctx: Context, sph: string): Promise<string[]> {
  return ownersOf(ctx, sph, await writer(ctx, sph, async () => resend.ask(ctx, await replica(ctx, sph), true)));
}

/** Names of those whose devices these are. */
async function ownersOf(ctx: Context, sph: string, devices: readonly string[]): Promise<string[]> {
  const { state } = known(await replica(ctx, sph));
  const owners = new Set(devices.map((dv) => state.devices.get(dv)!.owner));
  return Promise.all([...owners].map((owner) => nameOf(ctx.store, state, owner)));
}

const asking = (): Promise<typeof import("./older.ts")> => part(import("./older.ts"));

/** Epochs of rows from before this member's time: the history policy does not give their keys. Newest first. */
export async function olderKeys(ctx: Context, sph: string): Promise<number[]> {
  return (await asking()).wanted(ctx, await replica(ctx, sph));
}

/** Ask people who may say yes for keys the policy does not give (CLT-041); the names of those asked. */
export async function askOlder(ctx: Context, sph: string): Promise<string[]> {
  const older = await asking();
  return ownersOf(ctx, sph, await writer(ctx, sph, async () => older.ask(ctx, await replica(ctx, sph))));
}

/** Say yes to a member's wish for the keys `ns`, as it was shown; how many keys went. */
export async function shareOlder(ctx: Context, sph: string, id: string, ns: readonly number[]): Promise<number> {
  await person(ctx, sph, id);
  const older = await asking();
  return writer(ctx, sph, async () => older.give(ctx, await replica(ctx, sph), id, ns));
}

/** Say no to a member's wish; nothing is sent. */
export async function declineOlder(ctx: Context, sph: string, id: string): Promise<void> {
  await person(ctx, sph, id);
  const older = await asking();
  await writer(ctx, sph, async () => older.decline(ctx, await replica(ctx, sph), id));
}

/**
 * Owner only: whether members may keep keys in their accounts' slots (synced) or on devices only. With device a new key is
 * made in the same commit, since those of before may lie in slots (CLT-035).
 */
export async function setCustody(ctx: Context, sph: string, custody: "synced" | "device"): Promise<void> {
  if (custody === "device") await memory.requireSecondCopy(ctx, await replica(ctx, sph));
  await change(ctx, sph, (rep) => {
    const { state } = known(rep);
    if (state.custody === custody) return [];
    return [{ op: "custody", custody }, ...(custody === "device" && state.mode === "e2ee" ? [{ op: "epoch" } as const] : [])];
  });
}

/**
 * Keep this sphere's keys on this account's devices only, never in slots at the relay: the own choice, for all devices. A
 * new key is made where this person may, since those of before may lie in slots, and not before the other devices can read
 * the choice (CLT-035). Throws MasterKeyDue while nothing can be told to them: the choice holds here then, and the key is
 * made by saying it again.
 */
export async function keepOnlyHere(ctx: Context, sph: string, only: boolean): Promise<void> {
  const rep = await replica(ctx, sph);
  const stored = only && (await keyring.inSlots(ctx, rep));
  if (only === (await memory.onlyHere(ctx, sph)) && !stored) return;
  if (only) await memory.requireSecondCopy(ctx, rep);
  await memory.setSetting(ctx, `only.${sph}`, only);
  if (!stored || known(rep).state.members.get(ctx.id)!.role === "guest") return;
  await writer(ctx, "account", async () => memory.exchange(ctx, await memory.refreshKlog(ctx)));
  if ((await meta(ctx.store, "stateDirty")) !== undefined) throw new MasterKeyDue("the other devices cannot be told yet");
  await change(ctx, sph, () => [{ op: "epoch" }]);
}

// saved outside --------------------------------------------------------------------------------------------------------

const saving = (): Promise<typeof import("./export.ts")> => part(import("./export.ts"));

/** All keys of this sphere that are here, as a text to keep and the code that opens it (CLT-060). Throws WeakPassword. */
export async function saveKeys(ctx: Context, sph: string, passphrase: string): Promise<SavedKeys> {
  return (await saving()).save(ctx, await replica(ctx, sph), passphrase);
}

/** Read a saved text back; the newest key in it. Throws VaultError (another code), DecryptFailed, CommitmentMismatch. */
export async function checkSaved(ctx: Context, sph: string, text: string, code: string): Promise<number> {
  return (await saving()).check(ctx, await replica(ctx, sph), text, code);
}

/** What a text of saved keys says of itself, unopened. Throws FormatError, Downgrade. */
export async function readSaved(ctx: Context, text: string): Promise<SavedInfo> {
  return (await saving()).look(ctx, text);
}

/** Take the keys of a saved text back, as far as the verified log knows them (CLT-060). */
export async function importKeys(ctx: Context, text: string, code: string): Promise<Imported> {
  return (await saving()).take(ctx, text, code);
}
