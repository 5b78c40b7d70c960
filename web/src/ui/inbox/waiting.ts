/**
 * The inbox put in order: what is unread by sphere and by thread, what waits to be sent. Pure. Spec: WEB-064.
 */

import type { Message, OutboxItem, Row, SphereInfo } from "../../client/records.ts";

export interface Unread {
  /** The sphere, or the sphere and the message that is commented on. */
  readonly key: string;
  readonly sph: string;
  /** The message whose comments are new; empty for texts of the sphere itself. */
  readonly thread: string;
  readonly count: number;
  /** The first ones not read; for comments the message they belong to. */
  readonly messages: readonly Message[];
}
export interface Group {
  readonly sphere: SphereInfo;
  readonly entries: readonly Unread[];
}

const SHOWN = 3;

export function groupsOf(inbox: readonly { readonly sphere: SphereInfo; readonly rows: readonly Row[] }[]): readonly Group[] {
  return inbox.map(({ sphere, rows }) => ({ sphere, entries: entriesOf(sphere, rows) })).filter((one) => one.entries.length > 0);
}

function entriesOf(sphere: SphereInfo, rows: readonly Row[]): readonly Unread[] {
  const { sph } = sphere;
  const texts = rows.flatMap((row) => (row.row === "message" ? [row] : []));
  const threads = texts.filter((row) => row.unreadComments > 0).map((row): Unread => ({
    key: `${sph}/${row.message.mid}`, sph, thread: row.message.mid, count: row.unreadComments, messages: [row.message],
  }));
  const own = texts.filter((row) => row.message.unread).map((row) => row.message);
  const rest = Math.max(own.length, sphere.unread - threads.reduce((sum, one) => sum + one.count, 0));
  const plain: Unread[] = rest > 0 ? [{ key: sph, sph, thread: "", count: rest, messages: own.slice(0, SHOWN) }] : [];
  return [...plain, ...threads];
}

/** What waits to be sent, that which needs an answer first. */
export function waitingOf(outbox: readonly OutboxItem[]): readonly OutboxItem[] {
  const rank = { held: 0, failed: 1, waiting: 2, sealed: 3 };
  return [...outbox].sort((a, b) => rank[a.state] - rank[b.state]);
}

const MANY = 200;
const WEEK = 7 * 86400;

/** Spheres with so many unread texts, the first of them older than a week, that reading on is not what anybody wants. */
export function stale(groups: readonly Group[], now: number): readonly SphereInfo[] {
  const old = (one: Group): boolean => one.entries.some((entry) => entry.messages.some((message) => now - message.at > WEEK));
  const total = groups.reduce((sum, one) => sum + one.sphere.unread, 0);
  return total > MANY ? groups.filter(old).map((one) => one.sphere) : [];
}
