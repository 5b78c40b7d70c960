/**
 * The profile of this place: small documents in clear, the sealed store, and who may write now.
 *
 *     profile      relay address, login, device name: nothing secret, readable while locked
 *     vault        the openers that wrap the vault key (bytes made by `account/vault.ts`)
 *     vault.next   the same with a new password, until the relay has answered (CLT-006)
 *     vault.pin    the same with a new PIN, until the relay has answered (CLT-040)
 *     session      the openers of VLT-004: sealed bytes beside a key that nobody can read
 *
 * A document is replaced in one durable transaction: a crash leaves the old or the new one (CLT-002). As
 * `src/cloister/client/profile.py`, with the browser's database for a folder. Spec: CLT-002, CLT-012, WEB-010.
 */

import { type Vault, decode, encode, storeKey } from "../account/vault.ts";
import type { HeldKey, Rng } from "../crypto.ts";
import { NotFound } from "../errors.ts";
import type { Backend } from "./backend.ts";
import { type Options, type Store, openStore } from "./store.ts";

export type Name = "profile" | "vault" | "vault.next" | "vault.pin" | "session";

/** Small documents by name. A value is bytes, or a key of the platform. */
export interface Documents {
  get(name: string): Promise<Uint8Array | HeldKey | undefined>;
  /** Several in one durable transaction; undefined deletes. Throws DiskTrouble; the old ones then stand. */
  set(values: Readonly<Record<string, Uint8Array | HeldKey | undefined>>): Promise<void>;
  close(): Promise<void>;
}

/** Where everything of a profile lies: the browser's databases, or memory. */
export interface Place {
  readonly documents: Documents;
  /** The tables; only one is open at a time. */
  tables(): Promise<Backend>;
  /** Delete everything: databases, keys, caches. */
  wipe(): Promise<void>;
}

export class Profile {
  readonly place: Place;
  readonly rng: Rng;
  readonly #writers = new Map<string, Promise<unknown>>();

  constructor(place: Place, rng: Rng) {
    this.place = place;
    this.rng = rng;
  }

  /** A document, or undefined when there is none. */
  async read(name: Name): Promise<Uint8Array | undefined> {
    const found = await this.place.documents.get(name);
    return found instanceof Uint8Array ? found : undefined;
  }

  /** Replace a document durably (CLT-002). Throws DiskTrouble; the old one then stands. */
  write(name: Name, value: Uint8Array): Promise<void> {
    return this.place.documents.set({ [name]: value });
  }

  remove(...names: Name[]): Promise<void> {
    return this.place.documents.set(Object.fromEntries(names.map((name) => [name, undefined])));
  }

  // the vault header ----------------------------------------------------------------------------------------------------
  /** The vault header, or undefined in a new profile. Throws FormatError. */
  async vault(): Promise<Vault | undefined> {
    const found = await this.read("vault");
    return found === undefined ? undefined : decode(found);
  }

  /** Replace the vault header durably. */
  saveVault(vault: Vault): Promise<void> {
    return this.write("vault", encode(vault));
  }

  /** The header with a new password whose answer is not known yet (CLT-006). */
  async next(): Promise<Vault | undefined> {
    const found = await this.read("vault.next");
    return found === undefined ? undefined : decode(found);
  }

  saveNext(vault: Vault): Promise<void> {
    return this.write("vault.next", encode(vault));
  }

  dropNext(): Promise<void> {
    return this.remove("vault.next");
  }

  /** The next header takes the place of the present one, in one transaction. Throws NotFound. */
  async promote(): Promise<Vault> {
    const next = await this.read("vault.next");
    if (next === undefined) throw new NotFound("no header waits");
    await this.place.documents.set({ vault: next, "vault.next": undefined });
    return decode(next);
  }

  // the store -----------------------------------------------------------------------------------------------------------
  /** An empty store for a new device; leftovers of an attempt that never got a vault are removed. */
  freshStore(vault: Vault, vk: Uint8Array): Promise<Store> {
    return this.openStore(storeKey(vk, vault), { fresh: true });
  }

  /** Open the store; `fresh`: empty, without leftovers of a device that never got a vault. */
  async openStore(key: Uint8Array, options: Omit<Options, "rng"> & { fresh?: boolean } = {}): Promise<Store> {
    const { fresh, ...rest } = options;
    const backend = await this.place.tables();
    try {
      if (fresh === true) await backend.clear();
      return await openStore(backend, key, { ...rest, rng: this.rng });
    } catch (error) {
      await backend.close();
      throw error;
    }
  }

  /** Remove vault and store; the settings stay. */
  async forget(): Promise<void> {
    await this.remove("vault", "vault.next", "vault.pin", "session");
    const backend = await this.place.tables();
    await backend.clear();
    await backend.close();
  }

  /**
   * Do `work` as the only writer of `what` (a sphere id or "account"), CLT-012. Writers of one thing take turns; never
   * ask for the same one inside `work`. Other tabs have no writer at all: only one runs the client.
   */
  async writer<T>(what: string, work: () => Promise<T>): Promise<T> {
    const before = this.#writers.get(what) ?? Promise.resolve();
    const run = before.then(work);
    const over = run.catch(() => undefined);
    this.#writers.set(what, over);
    try {
      return await run;
    } finally {
      if (this.#writers.get(what) === over) this.#writers.delete(what);
    }
  }
}
