/**
 * A place in memory: for Node, and for a browser that keeps nothing. Rows lie in the order of the browser's database.
 *
 * What is written at once is there or not there, also when the writer is interrupted; nothing outlives the process.
 */

import type { HeldKey } from "../crypto.ts";
import { type Backend, type Bound, type Part, type Span, type Stored, compare, within } from "./backend.ts";
import type { Documents, Place } from "./profile.ts";
import type { Key } from "./store.ts";
import { TABLES, type Table } from "./tables.ts";

interface Entry {
  readonly at: Key;
  readonly row: Stored;
}

/** Rows in the order of their keys or of an index. */
class Order {
  readonly entries: Entry[] = [];

  #place(at: Bound, key: Bound): number {
    let [low, high] = [0, this.entries.length];
    while (low < high) {
      const middle = (low + high) >> 1;
      const entry = this.entries[middle]!;
      if ((compare(entry.at, at) || compare(entry.row.key, key)) < 0) low = middle + 1;
      else high = middle;
    }
    return low;
  }

  set(at: Key, row: Stored): void {
    const place = this.#place(at, row.key);
    const there = this.entries[place];
    const same = there !== undefined && compare(there.at, at) === 0 && compare(there.row.key, row.key) === 0;
    this.entries.splice(place, same ? 1 : 0, { at, row });
  }

  drop(at: Key, key: Key): void {
    const place = this.#place(at, key);
    this.entries.splice(place, 1);
  }

  within(bounds: Span): Stored[] {
    const start = bounds.low === undefined ? 0 : this.#place(bounds.low, -Infinity);
    let end = start;
    if (bounds.high === undefined) end = this.entries.length;
    else if (!bounds.reverse && bounds.limit !== undefined) {
      while (end - start < bounds.limit && within(this.entries[end]?.at, bounds)) end += 1;
    } else end = Math.max(start, this.#place(bounds.high, []));
    const rows = this.entries.slice(start, end).map((one) => one.row);
    if (bounds.reverse) rows.reverse();
    return bounds.limit === undefined ? rows : rows.slice(0, bounds.limit);
  }
}

interface TableRows {
  readonly rows: Map<string, Stored>;
  readonly keys: Order;
  readonly indexes: ReadonlyMap<string, Order>;
}

function emptyTables(): Map<Table, TableRows> {
  const names = Object.keys(TABLES) as Table[];
  return new Map(names.map((name) => [
    name,
    { rows: new Map(), keys: new Order(), indexes: new Map(Object.keys(TABLES[name]).map((index) => [index, new Order()])) },
  ]));
}

class MemoryTables implements Backend {
  #tables = emptyTables();

  #table(name: Table): TableRows {
    return this.#tables.get(name)!;
  }

  async get(table: Table, key: Key): Promise<Stored | undefined> {
    return this.#table(table).rows.get(JSON.stringify(key));
  }

  async range(table: Table, index: string | undefined, bounds: Span): Promise<readonly Stored[]> {
    const found = index === undefined ? this.#table(table).keys : this.#table(table).indexes.get(index);
    if (found === undefined) throw new Error(`no index ${index} of ${table}`);
    return found.within(bounds);
  }

  async count(table: Table, index: string | undefined, bounds: Span): Promise<number> {
    return (await this.range(table, index, bounds)).length;
  }

  async write(puts: readonly (readonly [Table, Stored])[], drops: readonly (readonly [Table, Key])[]): Promise<void> {
    for (const [table, key] of drops) this.#drop(table, key);
    for (const [table, row] of puts) {
      this.#drop(table, row.key);
      const { rows, keys, indexes } = this.#table(table);
      rows.set(JSON.stringify(row.key), row);
      keys.set(row.key, row);
      for (const [name, at] of Object.entries(row.indexes)) indexes.get(name)!.set(at as readonly Part[], row);
    }
  }

  #drop(table: Table, key: Key): void {
    const { rows, keys, indexes } = this.#table(table);
    const row = rows.get(JSON.stringify(key));
    if (row === undefined) return;
    rows.delete(JSON.stringify(key));
    keys.drop(key, key);
    for (const [name, at] of Object.entries(row.indexes)) indexes.get(name)!.drop(at as readonly Part[], key);
  }

  async clear(): Promise<void> {
    this.#tables = emptyTables();
  }

  async close(): Promise<void> {}
}

/** A place that lasts as long as the object: opened again, it holds what was written. */
export function memoryPlace(): Place {
  const documents = new Map<string, Uint8Array | HeldKey>();
  const tables = new MemoryTables();
  const kept: Documents = {
    get: async (name) => documents.get(name),
    set: async (values) => {
      for (const [name, value] of Object.entries(values)) {
        if (value === undefined) documents.delete(name);
        else documents.set(name, value);
      }
    },
    close: async () => {},
  };
  return {
    documents: kept,
    tables: async () => tables,
    wipe: async () => {
      documents.clear();
      await tables.clear();
    },
  };
}
