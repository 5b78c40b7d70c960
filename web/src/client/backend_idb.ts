/**
 * A place in the browser: two databases of its origin, one for small documents and one for the tables.
 *
 * A write is one transaction with durability "strict". A full disk, a database taken away and every other trouble of the
 * storage is DiskTrouble, after which nothing has changed. Spec: CLT-002, CLT-008, WEB-010.
 */

import type { HeldKey } from "../crypto.ts";
import { DiskTrouble } from "../errors.ts";
import type { Backend, Span, Stored } from "./backend.ts";
import type { Documents, Place } from "./profile.ts";
import * as scrap from "./scrap.ts";
import type { Key } from "./store.ts";
import { TABLES, TABLE_NAMES, type Table } from "./tables.ts";

const VERSION = 1;
const DOCUMENTS = "documents";
/** The document that is overwritten where it lies, whenever the session it belongs to changes (WEB-013). */
const SHREDDED = "session.key";

function trouble(error: unknown): DiskTrouble {
  return new DiskTrouble(error instanceof DOMException ? error.name : "storage");
}

function answered<T>(request: IDBRequest<T>): Promise<T> {
  return new Promise((done, failed) => {
    request.onsuccess = () => done(request.result);
    request.onerror = () => failed(trouble(request.error));
  });
}

function finished(work: IDBTransaction): Promise<void> {
  return new Promise((done, failed) => {
    work.oncomplete = () => done();
    work.onabort = () => failed(trouble(work.error));
  });
}

/** Open a database; another tab that wants to delete it may. */
async function opened(name: string, make: (db: IDBDatabase) => void): Promise<IDBDatabase> {
  try {
    const request = indexedDB.open(name, VERSION);
    request.onupgradeneeded = () => make(request.result);
    const db = await answered(request);
    db.onversionchange = () => db.close();
    return db;
  } catch (error) {
    throw error instanceof DiskTrouble ? error : trouble(error);
  }
}

function guarded<T>(work: () => Promise<T>): Promise<T> {
  return work().catch((error: unknown) => {
    throw error instanceof DOMException ? trouble(error) : error;
  });
}

function keyRange({ low, high }: Span): IDBKeyRange | null {
  if (low !== undefined && high !== undefined) return IDBKeyRange.bound(low, high);
  if (low !== undefined) return IDBKeyRange.lowerBound(low);
  return high === undefined ? null : IDBKeyRange.upperBound(high);
}

/** `low` after `high` is an error there and an empty range here. */
function isEmpty({ low, high }: Span): boolean {
  return low !== undefined && high !== undefined && indexedDB.cmp(low, high) > 0;
}

class BrowserTables implements Backend {
  readonly #db: IDBDatabase;

  constructor(db: IDBDatabase) {
    this.#db = db;
  }

  #read(table: Table, index: string | undefined): IDBObjectStore | IDBIndex {
    const rows = this.#db.transaction(table, "readonly").objectStore(table);
    return index === undefined ? rows : rows.index(index);
  }

  get(table: Table, key: Key): Promise<Stored | undefined> {
    return guarded(async () => answered(this.#read(table, undefined).get(key as IDBValidKey) as IDBRequest<Stored | undefined>));
  }

  range(table: Table, index: string | undefined, bounds: Span): Promise<readonly Stored[]> {
    return guarded(async () => {
      if (isEmpty(bounds)) return [];
      const from = this.#read(table, index);
      if (!bounds.reverse) return answered(from.getAll(keyRange(bounds), bounds.limit) as IDBRequest<Stored[]>);
      return backwards(from.openCursor(keyRange(bounds), "prev"), bounds.limit ?? Infinity);
    });
  }

  count(table: Table, index: string | undefined, bounds: Span): Promise<number> {
    return guarded(async () => (isEmpty(bounds) ? 0 : answered(this.#read(table, index).count(keyRange(bounds) ?? undefined))));
  }

  write(puts: readonly (readonly [Table, Stored])[], drops: readonly (readonly [Table, Key])[]): Promise<void> {
    return guarded(async () => {
      const names = [...new Set([...puts, ...drops].map(([table]) => table))];
      const work = this.#db.transaction(names, "readwrite", { durability: "strict" });
      const end = finished(work);
      for (const [table, key] of drops) work.objectStore(table).delete(key as IDBValidKey);
      for (const [table, row] of puts) work.objectStore(table).put(row, row.key as IDBValidKey);
      await end;
    });
  }

  clear(): Promise<void> {
    return guarded(async () => {
      const work = this.#db.transaction(TABLE_NAMES, "readwrite", { durability: "strict" });
      const end = finished(work);
      for (const table of TABLE_NAMES) work.objectStore(table).clear();
      await end;
    });
  }

  async close(): Promise<void> {
    this.#db.close();
  }
}

function backwards(request: IDBRequest<IDBCursorWithValue | null>, limit: number): Promise<Stored[]> {
  const found: Stored[] = [];
  return new Promise((done, failed) => {
    request.onerror = () => failed(trouble(request.error));
    request.onsuccess = () => {
      const cursor = request.result;
      if (cursor === null || found.length >= limit) return done(found);
      found.push(cursor.value as Stored);
      if (found.length >= limit) return done(found);
      return cursor.continue();
    };
  });
}

function makeTables(db: IDBDatabase): void {
  for (const table of TABLE_NAMES) {
    const rows = db.createObjectStore(table);
    for (const name of Object.keys(TABLES[table])) rows.createIndex(name, `indexes.${name}`);
  }
}

/** Documents in a database that is opened when it is needed, again after it was deleted. */
function documents(open: () => Promise<IDBDatabase>): Omit<Documents, "close"> {
  return {
    get: (name) => guarded(async () => {
      if (name === SHREDDED) return scrap.recall(SHREDDED);
      const held = (await open()).transaction(DOCUMENTS, "readonly").objectStore(DOCUMENTS);
      return answered(held.get(name) as IDBRequest<Uint8Array | HeldKey | undefined>);
    }),
    set: ({ [SHREDDED]: secret, ...values }) => guarded(async () => {
      if ("session" in values) await scrap.replace(SHREDDED, secret as Uint8Array | undefined);
      const work = (await open()).transaction(DOCUMENTS, "readwrite", { durability: "strict" });
      const end = finished(work);
      for (const [name, value] of Object.entries(values)) {
        if (value === undefined) work.objectStore(DOCUMENTS).delete(name);
        else work.objectStore(DOCUMENTS).put(value, name);
      }
      await end;
    }),
  };
}

/** The place of this origin. `name` begins the names of its databases. */
export function browserPlace(name = "cloister"): Place {
  const [small, large] = [name, `${name}-tables`];
  let db: Promise<IDBDatabase> | undefined;
  const open = (): Promise<IDBDatabase> => (db ??= opened(small, (fresh) => void fresh.createObjectStore(DOCUMENTS)));
  const close = async (): Promise<void> => {
    const held = db;
    db = undefined;
    (await held)?.close();
  };
  return {
    documents: { ...documents(open), close },
    tables: async () => new BrowserTables(await opened(large, makeTables)),
    wipe: async () => {
      await close();
      await scrap.replace(SHREDDED, undefined);
      for (const one of [small, large]) await guarded(() => answered(indexedDB.deleteDatabase(one)));
      if (typeof caches !== "undefined") for (const one of await caches.keys()) await caches.delete(one);
    },
  };
}
