/**
 * What an open profile holds in memory: identity of the device, its keys, the store, the relay and the clock.
 *
 * Made by unlocking, dropped by locking. The functions of this folder take it as their first argument; it decides
 * nothing. The relay's clock corrects this machine's (`now`), because entries far from the relay's time are refused;
 * nothing is proven by a time (CLT-024). As `src/cloister/client/context.py`. Spec: CLT-024, CLT-027.
 */

import type { DeviceKeys } from "../account/keys.ts";
import type { Bytes, Rng } from "../crypto.ts";
import { NotFound } from "../errors.ts";
import { make as makeDauth } from "../protocol/dauth.ts";
import { b64d, textBytes } from "../protocol/encoding.ts";
import { type Signer, deviceSigner } from "../protocol/jws.ts";
import type { Pipes } from "./pipe.ts";
import type { Profile } from "./profile.ts";
import type { Relay } from "./relay.ts";
import { type Replica, load } from "./replica.ts";
import { type Reader, type Store, putSecret } from "./store.ts";
import type { Transfers } from "./transfers.ts";

/** A relay whose clock is further away than this is not followed. */
const MAX_SKEW = 3600;

/** How long work tells where it is and hears that it is to stop. */
export interface Act {
  readonly say: (step: Step, done?: number, of?: number) => void;
  /** Looked at between steps of which nothing is lost by stopping. */
  readonly signal: AbortSignal;
}

export type Step = "keys" | "proof" | "account" | "opening" | "spheres" | "messages" | "done";

/** See the module. `id` is the account's handle, `mk` the master key of generation `mkv`. */
export interface Context {
  readonly profile: Profile;
  readonly store: Store;
  readonly relay: Relay;
  /** Unix seconds by this machine. */
  readonly clock: () => number;
  readonly rng: Rng;
  /** Waits; ends early when the context is closed (then it throws Locked). */
  readonly pause: (seconds: number) => Promise<void>;
  readonly id: string;
  readonly login: string;
  readonly dv: string;
  keys: DeviceKeys;
  mk: Bytes;
  mkv: number;
  offset: number;
  readonly replicas: Map<string, Replica>;
  readonly transfers: Transfers;
  /** Where a page can connect to another browser (LIVE-016). */
  readonly pipes?: Pipes | undefined;
  /** Set while the live connection stands: sends a message over it (STR-014). */
  line: Line | undefined;
  /** Set while somebody watches a long catch-up. */
  act: Act | undefined;
}

export interface Line {
  /** Send a `sph-msg+1` envelope; the position the relay gave. Throws the RelayError it names, Unreachable. */
  readonly send: (jws: string) => Promise<number>;
}

/** Unix seconds by the relay's clock as far as it is known. */
export function now(ctx: Context): number {
  return Math.floor(ctx.clock() + ctx.offset);
}

/** This device's signature. */
export function signer(ctx: Context): Signer {
  return deviceSigner(ctx.keys.dkSeed);
}

/** Follow the relay's clock within an hour. */
export function setClock(ctx: Context, relayNow: number): void {
  const offset = relayNow - ctx.clock();
  ctx.offset = Math.abs(offset) <= MAX_SKEW ? offset : 0;
}

/** A fresh device session: sign the relay's nonce for its origin (CLT-027). Throws AuthFailed when revoked. */
export async function session(ctx: Context): Promise<string> {
  const nonce = await ctx.relay.authNonce();
  setClock(ctx, nonce.now);
  const answer = await makeDauth(signer(ctx), ctx.dv, ctx.relay.origin, b64d(nonce.nonce), now(ctx));
  const { token } = await ctx.relay.authDevice(answer);
  await ctx.store.step(async (tx) => putSecret(tx, "token", textBytes(token)));
  return token;
}

/** The verified view of a sphere, loaded when needed; inside a step pass `tx`. Throws NotFound. */
export async function replica(ctx: Context, sph: string, from: Reader = ctx.store): Promise<Replica> {
  const held = ctx.replicas.get(sph);
  if (held !== undefined) return held;
  const found = await load(from, sph);
  if (found === undefined) throw new NotFound("no such sphere on this device");
  // Two that asked at once get the same one.
  const first = ctx.replicas.get(sph) ?? found;
  ctx.replicas.set(sph, first);
  return first;
}
