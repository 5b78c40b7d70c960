/**
 * Renewing the receiving key, so that a stolen device opens no wraps older than a month.
 *
 * Every 30 days a device makes a new DE, keeps the old secret until every sphere lists the new one and the inbox has been
 * read once more, then destroys it: what a relay kept of earlier wraps no key on this device opens any more. As
 * `src/cloister/client/renewing.py`. Spec: CLT-034.
 */

import { type DeviceKeys, device, newReceiving, packDevice, unpackDevice } from "../account/keys.ts";
import { b64e } from "../protocol/encoding.ts";
import { type Context, now, replica } from "./context.ts";
import { type Note } from "./replica.ts";
import { meta, putSecret, secret, setMeta } from "./store.ts";

const LIFE = 30 * 86_400;

/** This device with each receiving key that may still be needed, the newest first. */
export async function receiving(ctx: Context): Promise<DeviceKeys[]> {
  const old = await kept(ctx);
  return old === undefined ? [ctx.keys] : [ctx.keys, old];
}

async function kept(ctx: Context): Promise<DeviceKeys | undefined> {
  const packed = await secret(ctx.store, "oldDe");
  return packed === undefined ? undefined : unpackDevice(packed, ctx.dv);
}

/** Make a new receiving key when the present one is old and no earlier one is still needed. */
export async function begin(ctx: Context): Promise<void> {
  const since = await meta<number>(ctx.store, "deSince");
  if (since === undefined) {
    await ctx.store.step(async (tx) => setMeta(tx, "deSince", now(ctx)));
    return;
  }
  if (now(ctx) - since < LIFE || (await kept(ctx)) !== undefined) return;
  const { kem } = ctx.keys;
  const fresh = await device(ctx.keys.dkSeed, kem, await newReceiving(ctx.rng, kem));
  await ctx.store.step(async (tx) => {
    putSecret(tx, "oldDe", packDevice(ctx.keys));
    putSecret(tx, "device", packDevice(fresh));
    setMeta(tx, "deSince", now(ctx));
    setMeta(tx, "oldDe", true);
  });
  ctx.keys = fresh;
}

/** Destroy the old secret once no sphere wraps to it any more; called after the inbox was read to its end. */
export async function forgetOld(ctx: Context): Promise<void> {
  if ((await meta(ctx.store, "oldDe")) === undefined) return;
  const present = b64e(ctx.keys.de);
  for (const [sph, note] of await ctx.store.list<Note>("sphere")) {
    if (note.status !== "active" && note.status !== "entering") continue;
    const { state } = await replica(ctx, sph as string);
    const listed = state?.devices.get(ctx.dv);
    // A sphere that keeps this device out lists no key of it, and will list the new one (CLT-061).
    if (note.status === "entering" && state !== undefined && listed === undefined) continue;
    if (listed === undefined || b64e(listed.de) !== present) return;
  }
  await ctx.store.step(async (tx) => {
    putSecret(tx, "oldDe", undefined);
    setMeta(tx, "oldDe", undefined);
  });
}
