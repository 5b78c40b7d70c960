/**
 * The local store: tables of records, each sealed under the store key before it is written.
 *
 * A step of work reads as it goes, collects what it writes, and is written at its end in one transaction of the backend,
 * durably, together with its cursors: a crash repeats a step or has done it, never half of it. Events collected in a
 * step are handed out after that. Steps run one after another. Never call `step` inside a step: pass `tx` on; and make
 * requests outside of steps. Keys of rows and values of indexes stand in clear: ids, positions and states only.
 *
 * Knows tables; decides no rule of the protocol. Spec: CLT-008, CLT-009, VLT-007, WEB-010, WEB-011.
 */

import type { Bytes, Rng } from "../crypto.ts";
import { Locked, VaultError } from "../errors.ts";
import { type Backend, type Found, type Part, type Span, type Stored, compare, same, span, within } from "./backend.ts";
import type { Event } from "./events.ts";
import { type Seal, freeze, sealer, thaw } from "./sealing.ts";
import { TABLES, type Table, isTable } from "./tables.ts";

export type { Table } from "./tables.ts";
export type Key = Part | readonly Part[];

/** Bounds are inclusive; `prefix` of a tuple means all below it, of a text all that begins so. */
export interface Range {
  readonly prefix?: Key;
  readonly from?: Key;
  readonly to?: Key;
  readonly reverse?: boolean;
  readonly limit?: number;
}

export interface Reader {
  get<T>(table: Table, key: Key): Promise<T | undefined>;
  /** [key, value] in the order of keys, from the end with `reverse`. */
  list<T>(table: Table, range?: Range): Promise<[Key, T][]>;
  /** The same in the order of an index; bounds are index values, the keys given back are those of the rows. */
  by<T>(table: Table, index: string, range?: Range): Promise<[Key, T][]>;
  count(table: Table, range?: Range, index?: string): Promise<number>;
}

/** A running step. What it wrote is seen by its own reads at once, and by others when it has ended. */
export interface Tx extends Reader {
  readonly events: Event[];
  put(table: Table, key: Key, value: unknown): void;
  drop(table: Table, key: Key): void;
  /** The next number for rows of a table: ascending, and never given twice. */
  number(table: Table): Promise<number>;
  /** Done when the step has ended, however it ended: for what must be kept although the step is undone (a stop). */
  later(action: () => void | Promise<void>): void;
}

export interface Store extends Reader {
  step<T>(work: (tx: Tx) => Promise<T>): Promise<T>;
  /** Tell events that are about nothing stored: connection, this device's end. */
  tell(events: Iterable<Event>): void;
  /** Whether anybody listens, so that a long catch-up need not make records for nobody. */
  heard(): boolean;
  close(): Promise<void>;
}

export interface Options {
  readonly rng: Rng;
  readonly publish?: (events: readonly Event[]) => void;
  readonly heard?: () => boolean;
  /** Called when a step was undone: views built from it in memory are stale. */
  readonly undone?: () => void;
}

// small values, as in store.py ------------------------------------------------------------------------------------------

/** A value of `meta`. */
export async function meta<T>(from: Reader, key: string, otherwise: T): Promise<T>;
export async function meta<T>(from: Reader, key: string): Promise<T | undefined>;
export async function meta<T>(from: Reader, key: string, otherwise?: T): Promise<T | undefined> {
  return (await from.get<T>("meta", key)) ?? otherwise;
}

/** Set a value of `meta`; undefined deletes it. */
export function setMeta(tx: Tx, key: string, value: unknown): void {
  if (value === undefined) tx.drop("meta", key);
  else tx.put("meta", key, value);
}

export function secret(from: Reader, key: string): Promise<Bytes | undefined> {
  return from.get<Bytes>("secret", key);
}

/** Set or (undefined) delete a secret. */
export function putSecret(tx: Tx, key: string, value: Uint8Array | undefined): void {
  if (value === undefined) tx.drop("secret", key);
  else tx.put("secret", key, value);
}

/** Last position of a stream stored durably; 0 at the beginning. */
export async function cursor(from: Reader, stream: string): Promise<number> {
  return (await from.get<number>("cursor", stream)) ?? 0;
}

/** Move a cursor; inside the step that stored the items. */
export function move(tx: Tx, stream: string, pos: number): void {
  tx.put("cursor", stream, pos);
}

// opening ---------------------------------------------------------------------------------------------------------------

/** Open the tables of a backend under the store key (VLT-007). Throws VaultError for a wrong key, DiskTrouble. */
export async function openStore(backend: Backend, key: Uint8Array, options: Options): Promise<Store> {
  const seal = await sealer(key, options.rng);
  const store = new Sealed(backend, seal, options);
  await store.begin();
  return store;
}

const VERSION = "store/version";
const SCHEMA = 1;
const NUMBER = "store/number/";

/** What a step wants to write: the newest word for each row, as it was when it was said. */
interface Write {
  readonly key: Key;
  /** undefined: the row goes. */
  readonly frozen: string | undefined;
  readonly indexes: Stored["indexes"];
}

/** Index values of a row: the named members in order; a row that lacks one is not in that index. */
function indexed(table: Table, value: unknown): Record<string, readonly Part[]> {
  const out: Record<string, readonly Part[]> = {};
  for (const [name, members] of Object.entries(TABLES[table])) {
    const parts = (members as readonly string[]).map((one) => (value as Record<string, unknown>)[one]);
    if (parts.every((one) => typeof one === "string" || typeof one === "number")) out[name] = parts as Part[];
  }
  return out;
}

/** The value of a row, if it is what was stored there and under these indexes. Throws VaultError (WEB-010). */
async function opened(seal: Seal, table: Table, row: Stored): Promise<unknown> {
  const value = await seal.open(table, row.key, row.box);
  const meant = indexed(table, value);
  const names = Object.keys(meant);
  if (names.length !== Object.keys(row.indexes).length || !names.every((one) => same(meant[one]!, row.indexes[one]))) {
    throw new VaultError("a record of the store is damaged", { data: { table } });
  }
  return value;
}

class Sealed implements Store {
  readonly #backend: Backend;
  readonly #seal: Seal;
  readonly #options: Options;
  readonly #numbers = new Map<Table, number>();
  #last: Promise<unknown> = Promise.resolve();
  #closed = false;

  constructor(backend: Backend, seal: Seal, options: Options) {
    this.#backend = backend;
    this.#seal = seal;
    this.#options = options;
  }

  /** The first record proves the key, and names the version of the form. */
  async begin(): Promise<void> {
    const version = await this.get<number>("meta", VERSION);
    if (version !== undefined && version > SCHEMA) throw new VaultError("the store was written by a newer version");
    if (version === undefined) await this.step(async (tx) => tx.put("meta", VERSION, SCHEMA));
  }

  heard(): boolean {
    return this.#options.heard?.() ?? true;
  }

  tell(events: Iterable<Event>): void {
    if (!this.#closed) this.#options.publish?.([...events]);
  }

  /** After the running steps; whoever still holds the store then gets Locked. */
  async close(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    await this.#last;
    await this.#backend.close();
  }

  /** The backend, while the store is open. Throws Locked. */
  get #rows(): Backend {
    if (this.#closed) throw new Locked("this profile is locked");
    return this.#backend;
  }

  async get<T>(table: Table, key: Key): Promise<T | undefined> {
    const row = await this.#rows.get(table, key);
    return row === undefined ? undefined : ((await opened(this.#seal, table, row)) as T);
  }

  list<T>(table: Table, range: Range = {}): Promise<[Key, T][]> {
    return this.#opened<T>(table, undefined, range);
  }

  by<T>(table: Table, index: string, range: Range = {}): Promise<[Key, T][]> {
    return this.#opened<T>(table, index, range);
  }

  async count(table: Table, range: Range = {}, index?: string): Promise<number> {
    return this.#rows.count(table, index, span(range));
  }

  async #opened<T>(table: Table, index: string | undefined, range: Range): Promise<[Key, T][]> {
    const rows = await this.#rows.range(table, index, span(range));
    return Promise.all(rows.map(async (row): Promise<[Key, T]> => [row.key, (await opened(this.#seal, table, row)) as T]));
  }

  rows(table: Table, index: string | undefined, bounds: Span): Promise<readonly Found[]> {
    return this.#backend.range(table, index, bounds);
  }

  async value(table: Table, row: Stored): Promise<unknown> {
    return opened(this.#seal, table, row);
  }

  async number(table: Table): Promise<number> {
    if (!this.#numbers.has(table)) {
      const last = (await this.get<number>("meta", NUMBER + table)) ?? 0;
      if (!this.#numbers.has(table)) this.#numbers.set(table, last);
    }
    const next = this.#numbers.get(table)! + 1;
    this.#numbers.set(table, next);
    return next;
  }

  async step<T>(work: (tx: Tx) => Promise<T>): Promise<T> {
    if (this.#closed) throw new Locked("this profile is locked");
    const tx = new Step(this);
    const run = this.#last.then(() => this.#step(tx, work));
    this.#last = run.catch(() => undefined);
    try {
      return await run;
    } finally {
      for (const action of tx.actions) await action();
    }
  }

  async #step<T>(tx: Step, work: (tx: Tx) => Promise<T>): Promise<T> {
    let result: T;
    try {
      result = await work(tx);
      await this.#write(tx);
    } catch (error) {
      this.#options.undone?.();
      throw error;
    } finally {
      tx.over = true;
    }
    if (tx.events.length > 0) this.tell(tx.events);
    return result;
  }

  async #write(tx: Step): Promise<void> {
    const puts: Promise<[Table, Stored]>[] = [];
    const drops: [Table, Key][] = [];
    for (const [table, writes] of tx.writes) {
      for (const { key, frozen, indexes } of writes.values()) {
        if (frozen === undefined) drops.push([table, key]);
        else puts.push(this.#seal.seal(table, key, frozen).then((box) => [table, { key, box, indexes }]));
      }
    }
    if (puts.length + drops.length > 0) await this.#backend.write(await Promise.all(puts), drops);
  }
}

/** One row as a step sees it: stored before, or written by the step itself. */
interface Place {
  readonly at: Key;
  readonly key: Key;
  readonly value: () => Promise<unknown>;
}

/** A step under way: its writes lie over the rows of the store. */
class Step implements Tx {
  readonly events: Event[] = [];
  readonly actions: (() => void | Promise<void>)[] = [];
  readonly writes = new Map<Table, Map<string, Write>>();
  over = false;
  readonly #store: Sealed;

  constructor(store: Sealed) {
    this.#store = store;
  }

  #written(table: Table): Map<string, Write> {
    if (this.over) throw new Error("this step has ended");
    if (!isTable(table)) throw new Error(`no table ${String(table)}`);
    const found = this.writes.get(table) ?? new Map<string, Write>();
    this.writes.set(table, found);
    return found;
  }

  put(table: Table, key: Key, value: unknown): void {
    if (value === undefined) throw new Error("a row needs a value");
    this.#written(table).set(JSON.stringify(key), { key, frozen: freeze(value), indexes: indexed(table, value) });
  }

  drop(table: Table, key: Key): void {
    this.#written(table).set(JSON.stringify(key), { key, frozen: undefined, indexes: {} });
  }

  later(action: () => void | Promise<void>): void {
    this.actions.push(action);
  }

  async number(table: Table): Promise<number> {
    const next = await this.#store.number(table);
    this.put("meta", NUMBER + table, next);
    return next;
  }

  async get<T>(table: Table, key: Key): Promise<T | undefined> {
    const written = this.#written(table).get(JSON.stringify(key));
    if (written === undefined) return this.#store.get<T>(table, key);
    return written.frozen === undefined ? undefined : (thaw(written.frozen) as T);
  }

  async list<T>(table: Table, range: Range = {}): Promise<[Key, T][]> {
    return values<T>(await this.#places(table, undefined, range));
  }

  async by<T>(table: Table, index: string, range: Range = {}): Promise<[Key, T][]> {
    return values<T>(await this.#places(table, index, range));
  }

  async count(table: Table, range: Range = {}, index?: string): Promise<number> {
    if (this.#written(table).size === 0) return this.#store.count(table, range, index);
    return (await this.#places(table, index, range)).length;
  }

  async #places(table: Table, index: string | undefined, range: Range): Promise<Place[]> {
    const written = this.#written(table);
    const bounds = span(range);
    // Rows that this step has written anew may fall out of the answer: that many more are asked for.
    const wide = range.limit === undefined ? bounds : { ...bounds, limit: range.limit + written.size };
    const rows = await this.#store.rows(table, index, wide);
    const all: Place[] = [];
    for (const row of rows) {
      if (written.has(JSON.stringify(row.key))) continue;
      const at = index === undefined ? row.key : row.indexes[index]!;
      all.push({ at, key: row.key, value: () => this.#store.value(table, row) });
    }
    for (const { key, frozen, indexes } of written.values()) {
      const at = index === undefined ? key : indexes[index];
      if (frozen === undefined || at === undefined || !within(at, bounds)) continue;
      all.push({ at, key, value: async () => thaw(frozen) });
    }
    all.sort((one, other) => compare(one.at, other.at) || compare(one.key, other.key));
    if (bounds.reverse) all.reverse();
    return range.limit === undefined ? all : all.slice(0, range.limit);
  }
}

function values<T>(places: readonly Place[]): Promise<[Key, T][]> {
  return Promise.all(places.map(async ({ key, value }): Promise<[Key, T]> => [key, (await value()) as T]));
}
