/**
 * The tables of the store and what is indexed: members of a row that are ids, positions or states, never words.
 *
 * Keys as in `store.py`: `entry` [sph, seq], `attach` [sph, h], `epochKey` [sph, n], `chain` [sph, dv], `digests` [sph, part],
 * `notice` [sph, pos, seq], `words` [sph, k], `draft` [sph, thread]; `message` and `outbox` a number (`Tx.number`); the
 * others one text. A row that lacks a member of an index, or holds undefined there, is not in that index. Spec: WEB-010.
 */

export const TABLES = {
  meta: {},
  secret: {},
  cursor: {},
  sphere: {},
  entry: {},
  digests: {},
  view: {},
  attach: {},
  epochKey: {},
  chain: {},
  message: {
    pos: ["sph", "pos", "n"],
    mid: ["sph", "mid", "n"],
    cid: ["sph", "cid", "n"],
    re: ["sph", "re", "n"],
    state: ["sph", "state", "ep", "n"],
    name: ["sph", "dv", "seq", "n"],
    list: ["sph", "list", "place", "seq", "n"],
    of: ["sph", "of", "place", "seq", "n"],
    fresh: ["sph", "fresh", "n"],
  },
  notice: {},
  words: {},
  outbox: { id: ["id"], sph: ["sph", "n"] },
  pledge: { sph: ["sph"] },
  pin: {},
  request: { sph: ["sph", "mine"], mine: ["mine"] },
  seenJti: { at: ["at"] },
  todo: {},
  draft: {},
} as const satisfies Record<string, Record<string, readonly string[]>>;

export type Table = keyof typeof TABLES;

export const TABLE_NAMES = Object.keys(TABLES) as Table[];

export function isTable(name: string): name is Table {
  return Object.hasOwn(TABLES, name);
}
