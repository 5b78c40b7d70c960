/**
 * The way in: opens the vault, holds the open profile, closes it again.
 *
 * A session lasts over a reload: VK is sealed under a key that lies, sealed under one the browser shows nobody, in a
 * file that is overwritten on lock and on sign-out, and is refused once nothing was asked for ten minutes. Knows VK
 * while the profile is open; hands it to acts that make openers, to nobody else. Spec: CLT-004, VLT-003 to VLT-005,
 * VLT-009 to VLT-011, WEB-013.
 */

import { openBox, sealBox } from "../account/box.ts";
import * as keys from "../account/keys.ts";
import * as vaults from "../account/vault.ts";
import { type Bytes, type HeldKey, type Rng, forgetKeys, newHeldKey } from "../crypto.ts";
import { AuthFailed, CloisterError, Locked, UsageError, VaultError } from "../errors.ts";
import { b64d, jsonEmit, jsonParse } from "../protocol/encoding.ts";
import type { Openers } from "./api.ts";
import type { Act, Context } from "./context.ts";
import type { Event } from "./events.ts";
import * as pins from "./pin.ts";
import type { Pipes } from "./pipe.ts";
import type { Place, Profile } from "./profile.ts";
import { Relay } from "./relay.ts";
import * as removal from "./removal.ts";
import * as signing from "./signing.ts";
import { meta, secret } from "./store.ts";
import { none as transfers } from "./transfers.ts";
import type { Transport } from "./transports/base.ts";

/** Seconds without a call after which a session is not taken over. */
export const IDLE = 600;
/** The end of a session is written again when it has moved by this many seconds. */
const GRAIN = 20;
const KEY_LENGTH = 32;
const SESSION_AAD = new TextEncoder().encode("cloister session key");

/** What a client is given from outside. */
export interface Given {
  readonly place: Place;
  readonly transport: Transport;
  /** Unix seconds. */
  readonly clock: () => number;
  readonly rng: Rng;
  readonly publish: (events: readonly Event[]) => void;
  readonly pipes?: Pipes | undefined;
}

interface Open {
  readonly ctx: Context;
  readonly vk: Bytes;
  readonly closed: AbortController;
}

export class Door {
  readonly profile: Profile;
  vault: vaults.Vault | undefined = undefined;
  readonly #given: Given;
  #open: Open | undefined = undefined;
  #until = 0;

  constructor(profile: Profile, given: Given) {
    this.profile = profile;
    this.#given = given;
  }

  /** The open profile. Throws Locked. */
  get ctx(): Context {
    return this.#held().ctx;
  }

  /** VK of the open profile. Throws Locked. */
  get vk(): Bytes {
    return this.#held().vk;
  }

  get isOpen(): boolean {
    return this.#open !== undefined;
  }

  /** Fires when the open profile is closed. Throws Locked. */
  get closed(): AbortSignal {
    return this.#held().closed.signal;
  }

  #held(): Open {
    if (this.#open !== undefined) return this.#open;
    throw new Locked(this.vault === undefined ? "nobody has signed in here yet" : "this profile is locked");
  }

  needVault(): vaults.Vault {
    if (this.vault === undefined) throw new Locked("nobody has signed in here yet");
    return this.vault;
  }

  async readVault(): Promise<void> {
    this.vault = await this.profile.vault();
  }

  /** Open the store with VK. Throws VaultError, DiskTrouble. */
  async enter(vault: vaults.Vault, vk: Bytes): Promise<Context> {
    await this.close();
    const { transport, clock, rng, publish, pipes } = this.#given;
    const replicas: Context["replicas"] = new Map();
    const store = await this.profile.openStore(vaults.storeKey(vk, vault), { publish, undone: () => replicas.clear() });
    try {
      const [packed, mk] = [await secret(store, "device"), await secret(store, "mk")];
      if (packed === undefined || mk === undefined) throw new VaultError("the store does not hold this device");
      const relay = new Relay(transport);
      const closed = new AbortController();
      const token = await secret(store, "token");
      const ctx: Context = {
        profile: this.profile, store, relay, clock, rng, pause: (seconds) => pause(seconds, closed.signal), id: vault.account,
        login: vault.login, dv: vault.dv, keys: await keys.unpackDevice(packed, vault.dv), mk, mkv: await meta(store, "mkv", 1),
        offset: 0, replicas, transfers: transfers(), pipes, line: undefined, act: undefined,
      };
      if (token !== undefined) relay.token = new TextDecoder().decode(token);
      relay.renew = () => removal.session(ctx);
      this.vault = vault;
      this.#open = { ctx, vk, closed };
      return ctx;
    } catch (error) {
      await store.close();
      throw error;
    }
  }

  /** Forget every key in memory and close the store; the session stays for the next page. */
  async close(): Promise<void> {
    const open = this.#open;
    this.#open = undefined;
    if (open === undefined) return;
    open.closed.abort();
    open.ctx.relay.end();
    open.ctx.replicas.clear();
    forgetKeys();
    await open.ctx.store.close();
  }

  // openers -------------------------------------------------------------------------------------------------------------
  async openers(): Promise<Openers> {
    const has = this.vault?.openers ?? {};
    // A PIN whose enrolment was not answered may be the one in force.
    const pin = pins.isSet(this.vault) || (await pins.next(this.profile, this.vault)) !== undefined;
    const open = { password: has.pw !== undefined, pin, session: (await this.#kept()) !== undefined };
    return { ...open, offline: open.password || open.session };
  }

  async keyByPassword(vault: vaults.Vault, password: string, act: Act | undefined): Promise<Bytes> {
    if (vault.openers.pw === undefined) throw new UsageError("this device opens with its PIN");
    const { login, realm, salt, ver } = vault;
    const account = { login, realm: b64d(realm), salt16: b64d(salt), version: ver, pinned: ver };
    const { kek } = await signing.slow(password, account, act);
    signing.turn(act, "opening");
    return vaults.openWithPassword(vault, kek);
  }

  /** VK by PIN: the relay counts the tries (CLT-040). Throws AuthFailed with `left`, VaultError, Unreachable, WeakPin. */
  async keyByPin(pin: string, act: Act | undefined): Promise<Bytes> {
    const { vault, vk } = await pins.openWith(this.profile, new Relay(this.#given.transport), this.needVault(), pin, act);
    this.vault = vault;
    return vk;
  }

  /**
   * Before what a stranger at an open device must not do: what opens it, its PIN, else the password, is typed once more.
   * Throws AuthFailed, WeakPin, Unreachable.
   */
  async requireOpener(typed: string): Promise<void> {
    const vault = this.needVault();
    try {
      await (pins.isSet(vault) ? this.keyByPin(typed, undefined) : this.keyByPassword(vault, typed, undefined));
    } catch (error) {
      throw error instanceof VaultError ? new AuthFailed("the vault does not open") : error;
    }
  }

  /** Set or change the PIN; the opener by password goes with it (VLT-005, VLT-009). Throws WeakPin, AuthFailed. */
  async setPin(password: string, pin: string, act: Act): Promise<void> {
    const { ctx, vk } = this.#held();
    await (await pins.unlocking()).checkPin(pin);
    await this.#prove(password, act);
    this.vault = await pins.put(ctx, this.needVault(), vk, pin);
  }

  /** The password opens this device again, the PIN no more. Throws AuthFailed, Unreachable, UsageError without a PIN. */
  async removePin(password: string, act: Act): Promise<void> {
    const { ctx, vk } = this.#held();
    const { stretched } = await this.#prove(password, act);
    this.vault = await pins.drop(ctx, this.needVault(), vk, stretched);
  }

  #prove(password: string, act: Act): Promise<signing.Proven> {
    const { ctx } = this.#held();
    const vault = this.needVault();
    return signing.prove(ctx.relay, ctx.rng, vault.login, password, b64d(vault.realm), { vault, act });
  }

  // the session of this browser (VLT-004, WEB-013) ----------------------------------------------------------------------
  /** Let the next page take this over. */
  async keepSession(): Promise<void> {
    const { ctx, vk } = this.#held();
    const vault = this.needVault();
    if (vault.pending) return;
    const [held, key] = [await newHeldKey(), ctx.rng(KEY_LENGTH)];
    const after = await vaults.withKey(vault, "session", key, vk, ctx.rng);
    const sealed = await sealBox(held, key, SESSION_AAD, ctx.rng);
    this.#until = this.#given.clock() + IDLE;
    await this.profile.place.documents.set({
      "session.key": sealed, vault: vaults.encode(after), session: held, "session.until": until(this.#until),
    });
    this.vault = after;
  }

  /** Somebody is there: the session goes on from now. */
  async touch(): Promise<void> {
    const end = this.#given.clock() + IDLE;
    if (this.#open === undefined || end - this.#until < GRAIN || (await this.#kept()) === undefined) return;
    this.#until = end;
    await this.profile.place.documents.set({ "session.until": until(end) });
  }

  async #kept(): Promise<{ readonly held: HeldKey; readonly sealed: Uint8Array } | undefined> {
    const names = ["session", "session.key", "session.until"];
    const [held, sealed, end] = await Promise.all(names.map((one) => this.profile.place.documents.get(one)));
    if (this.vault?.openers.session === undefined || held === undefined || held instanceof Uint8Array) return undefined;
    if (!(sealed instanceof Uint8Array && end instanceof Uint8Array)) return undefined;
    const last = jsonParse(end)["until"];
    const left = (typeof last === "number" ? last : 0) - this.#given.clock();
    // A clock that was set back does not lengthen a session.
    return left > 0 && left <= IDLE + 1 ? { held, sealed } : undefined;
  }

  /** VK of the session the last page left; undefined, and the session gone, when it does not count. */
  async keyBySession(): Promise<Bytes | undefined> {
    const kept = await this.#kept();
    try {
      if (kept !== undefined) {
        const key = await openBox(kept.held, kept.sealed, SESSION_AAD, KEY_LENGTH);
        return await vaults.openWithKey(this.needVault(), "session", key);
      }
    } catch (error) {
      if (!(error instanceof CloisterError)) throw error;
    }
    await this.dropSession();
    return undefined;
  }

  /** No page can take this over any more; the opener goes with its key. */
  async dropSession(): Promise<void> {
    const left = this.vault === undefined ? undefined : vaults.without(this.vault, "session");
    const header = left === undefined ? {} : { vault: vaults.encode(left) };
    const gone = { "session.key": undefined, session: undefined, "session.until": undefined };
    await this.profile.place.documents.set({ ...header, ...gone });
    this.vault = left;
  }
}

const until = (seconds: number): Bytes => jsonEmit({ until: Math.floor(seconds) });

/** Wait; Locked when the profile is closed meanwhile. */
function pause(seconds: number, closed: AbortSignal): Promise<void> {
  return new Promise((done, failed) => {
    const stop = (): void => {
      clearTimeout(timer);
      failed(new Locked("this profile is locked"));
    };
    if (closed.aborted) {
      failed(new Locked("this profile is locked"));
      return;
    }
    const timer = setTimeout(() => {
      closed.removeEventListener("abort", stop);
      done();
    }, seconds * 1000);
    closed.addEventListener("abort", stop, { once: true });
  });
}
