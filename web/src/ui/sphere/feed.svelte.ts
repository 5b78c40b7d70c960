/**
 * The rows of one sphere, or of one message and its comments, as they are here and as they change.
 *
 * Pages are asked for when they are needed; what the worker tells only says what to read again, and one reading follows
 * another. Spec: WEB-061.
 */

import { on, api } from "../state/app.svelte.ts";
import { aside } from "../state/aside.ts";
import type { PageEvent } from "../../client/api.ts";
import type { Message, Row, Rows } from "../../client/records.ts";
import {
  firstPos, isWaiting, keyOf, lastPos, posOf, tailPos, withNewer, withOlder, withRow, withTail, withWritten,
} from "./merge.ts";

const PAGE = 80;
/** Rows at the end that are read again with what is new. */
const LATE = 24;
/** Beyond every position: the newest rows, in one reading, so that none come between. */
const END = Number.MAX_SAFE_INTEGER;

export interface Feed {
  readonly rows: readonly Row[];
  readonly before: boolean;
  readonly after: boolean;
  readonly firstUnread: string | undefined;
  readonly loaded: boolean;
  /** Why the first page could not be read. */
  readonly failure: unknown;
  again(): void;
  older(): void;
  newer(): void;
  /** Reads the newest rows, if they are not here. */
  toEnd(): Promise<void>;
  /** Reads the rows around a message or a key; answers the key to go to. */
  toRow(key: string): Promise<string | undefined>;
  wrote(message: Message): void;
  /** Reads a message again, by its mid. */
  refresh(mid: string): void;
}

export interface Reader {
  /** Rows that arrived live. */
  readonly came: (rows: readonly Row[]) => void;
  /** Whether the newest row is in view: then it stays so, however many come at once. */
  readonly atEnd: () => boolean;
}

/** Call while a component is being made. */
export function feed(sph: string, thread: string, around: string, { came, atEnd }: Reader): Feed {
  const view = $state<{ firstUnread: string | undefined; loaded: boolean; failure: unknown }>({
    firstUnread: undefined, loaded: false, failure: undefined,
  });
  let shown = $state.raw<{ rows: readonly Row[]; before: boolean; after: boolean }>({ rows: [], before: false, after: false });
  const options = thread === "" ? {} : { thread };
  const ask = (more: { before?: number; after?: number; around?: string }): Promise<Rows> =>
    api().rows(sph, { ...options, ...more, limit: PAGE });

  function show(rows: readonly Row[], more: Partial<{ before: boolean; after: boolean }> = {}): void {
    shown = { ...shown, ...more, rows };
  }
  function whole(page: Rows): void {
    show(page.rows, page.more);
  }

  async function first(): Promise<void> {
    try {
      const page = await ask(around === "" ? {} : { around });
      whole(page);
      Object.assign(view, { firstUnread: page.firstUnread, loaded: true, failure: undefined });
    } catch (thrown) {
      view.failure = thrown;
    }
  }

  // One reading after another: what changes during one is read in the next.
  let tail = false;
  let all = false;
  const dirty = new Set<string>();
  let busy = false;

  function look(): void {
    if (!busy && view.loaded) aside(run(), () => undefined);
  }
  async function run(): Promise<void> {
    busy = true;
    try {
      while (tail || all || dirty.size > 0) {
        if (all) await readAll();
        else if (tail) await readTail();
        else await readRow();
      }
    } finally {
      busy = false;
    }
  }
  async function readAll(): Promise<void> {
    [all, tail] = [false, false];
    dirty.clear();
    const middle = shown.rows[Math.floor(shown.rows.length / 2)];
    if (middle === undefined || !shown.after) await toEndNow(Math.max(PAGE, Math.min(shown.rows.length, 4 * PAGE)));
    else whole(await api().rows(sph, { ...options, around: middle.key, limit: 4 * PAGE }));
  }
  async function readTail(): Promise<void> {
    tail = false;
    if (shown.after) return;
    const had = new Set(shown.rows.map((row) => row.key));
    // An own text may stand here before somebody else's of a lower position has come.
    const first = shown.rows[0];
    // What is commented on stands above its comments and is in no page after it.
    const root = thread !== "" && first?.row === "message" && first.message.mid === thread ? posOf(first) : 0;
    const after = Math.max(root, tailPos(shown.rows, LATE));
    const follows = atEnd();
    const page = await ask({ after });
    if (page.more.after && follows) return toEndNow();
    show(withTail(shown.rows, after, page.rows), { after: page.more.after });
    const fresh = page.rows.filter((row) => !had.has(row.key) && !isWaiting(row));
    if (fresh.length > 0) came(fresh);
  }
  async function readRow(): Promise<void> {
    const [mid] = dirty;
    dirty.delete(mid!);
    const key = keyOf(shown.rows, mid!);
    if (key === undefined) return;
    const row = await api().row(sph, key);
    show(withRow(shown.rows, key, row));
  }
  async function toEndNow(limit = PAGE): Promise<void> {
    whole(await api().rows(sph, { ...options, before: END, limit }));
  }

  function heard(event: PageEvent): void {
    switch (event.event) {
      case "MessageReceived":
      case "MessageChanged":
        if (event.message.re !== "") dirty.add(event.message.re);
        if (event.event === "MessageChanged") dirty.add(event.message.mid);
        else tail = true;
        break;
      case "MessageSent":
        tail = true;
        if (event.message !== undefined && event.message.re !== "") dirty.add(event.message.re);
        break;
      case "Backlog":
      case "KeysArrived":
      case "GapFound":
        all = true;
        break;
      case "Progress":
      case "Place":
      case "LockedNow":
      case "Disconnected":
      case "Revoked":
      case "JoinRequested":
        return;
      default:
        tail = true;
    }
    look();
  }

  let paging = false;
  function page(more: () => Promise<void>): void {
    if (paging || !view.loaded) return;
    paging = true;
    aside(more().finally(() => (paging = false)), () => undefined);
  }

  $effect(() => {
    aside(first().then(look));
    return on(sph, heard);
  });

  return {
    get rows() {
      return shown.rows;
    },
    get before() {
      return shown.before;
    },
    get after() {
      return shown.after;
    },
    get firstUnread() {
      return view.firstUnread;
    },
    get loaded() {
      return view.loaded;
    },
    get failure() {
      return view.failure;
    },
    again: () => aside(first().then(look)),
    older: () =>
      page(async () => {
        const pos = firstPos(shown.rows);
        if (pos === undefined || !shown.before) return;
        const more = await ask({ before: pos });
        show(withOlder(shown.rows, more.rows), { before: more.more.before && more.rows.length > 0 });
      }),
    newer: () =>
      page(async () => {
        if (!shown.after) return;
        const more = await ask({ after: lastPos(shown.rows) ?? 0 });
        show(withNewer(shown.rows, more.rows), { after: more.more.after });
      }),
    toEnd: async () => {
      if (shown.after) await toEndNow();
    },
    toRow: async (key) => {
      const here = keyOf(shown.rows, key) ?? shown.rows.find((row) => row.key === key)?.key;
      if (here !== undefined) return here;
      const found = await ask({ around: key });
      whole(found);
      return keyOf(found.rows, key) ?? found.rows.find((row) => row.key === key)?.key;
    },
    refresh: (mid) => {
      dirty.add(mid);
      look();
    },
    wrote: (message) => {
      if (!shown.after) show(withWritten(shown.rows, message));
    },
  };
}
