/**
 * Spheres with much in them, and with everything that happens rarely: rows, pages of rows, and the outbox that goes with them.
 */

import { NOW, message, notice, row, sphere } from "./records.ts";
import type { Message, OutboxItem, Row, Rows, SphereInfo } from "../../src/client/records.ts";

const HOUR = 3600;
const DAY = 86400;
const WORDS = `tide port rope north south crane harbour boat friday morning charts old new pier wind rain which when both bring
 anchor lantern Noor early late before after between under water low high weather looks good enough for two of us`.split(/\s+/);

/** The same text for the same number, of very different lengths. */
function words(n: number): string {
  const length = [3, 9, 1, 24, 6, 60, 12, 2, 130, 5][n % 10]!;
  return Array.from({ length }, (_, i) => WORDS[(n * 7 + i * (3 + (n % 5))) % WORDS.length]).join(" ");
}

const NAMES = ["Ada", "Bo", "Di", "Eve"];

/** `count` rows, one every seven minutes, some of the same author, with notices between. */
export function deep(count: number, unread = 0): readonly Row[] {
  return Array.from({ length: count }, (_, n): Row => {
    const at = NOW - (count - n) * 420;
    if (n % 97 === 50) return notice("deep", "epoch", { why: ["period"], epoch: 2 + Math.floor(n / 97), at });
    const author = NAMES[Math.floor(n / 3) % 4]!;
    const one = message("deep", author, words(n), {
      at: at - (n % 3) * 300, unread: n >= count - unread && author !== "Di",
      reactions: n % 41 === 7 ? [["👍", ["Ada", "Di"]], ["⚓", ["Bo"]]] : [],
    });
    return row(one, n % 23 === 4 ? 3 : 0, n % 46 === 4 ? 1 : 0);
  });
}

const positionOf = (one: Row): number => (one.row === "message" ? one.message.pos : one.row === "notice" ? one.notice.pos : one.gap.pos);

/** A page as the worker lays it: before or after a position, around a row, else around the first one not read. */
export function page(all: readonly Row[], options: { before?: number; after?: number; around?: string; limit: number }): Rows {
  const { limit } = options;
  const ready = all.filter((one) => positionOf(one) > 0);
  const waiting = all.filter((one) => positionOf(one) === 0);
  const first = ready.find((one) => one.row === "message" && one.message.unread)?.key;
  let from = Math.max(0, ready.length - limit);
  let to = ready.length;
  if (options.after !== undefined) {
    const at = ready.findIndex((one) => positionOf(one) > options.after!);
    from = at < 0 ? ready.length : at;
    to = Math.min(ready.length, from + limit);
  } else if (options.before !== undefined) {
    const at = ready.findIndex((one) => positionOf(one) >= options.before!);
    to = at < 0 ? ready.length : at;
    from = Math.max(0, to - limit);
  } else {
    const wanted = options.around ?? first;
    const at = ready.findIndex((one) => one.key === wanted || (one.row === "message" && one.message.mid === wanted));
    if (at >= 0) [from, to] = [Math.max(0, at - Math.floor(limit / 2)), Math.min(ready.length, at + Math.ceil(limit / 2))];
  }
  const after = to < ready.length || (options.before ?? Number.MAX_SAFE_INTEGER) < Number.MAX_SAFE_INTEGER;
  return { rows: [...ready.slice(from, to), ...(after ? [] : waiting)], more: { before: from > 0 || options.after !== undefined, after }, firstUnread: first };
}

const said = (author: string, text: string, ago: number, more: Partial<Message> = {}): Message => message("rare", author, text, { at: NOW - ago, ...more });
const who = { who: "id-cy", whoName: "Cy" };

/** Everything that can stand between messages. */
export const RARE: readonly Row[] = [
  notice("rare", "create", { at: NOW - 5 * DAY }),
  notice("rare", "epoch", { at: NOW - 5 * DAY, why: ["first"], epoch: 1 }),
  notice("rare", "meta", { at: NOW - 5 * DAY }),
  ...[1, 2, 3, 4].map((n) => row(said("Ada", "", 4 * DAY - n * 60, { state: "unreadable", code: "C_KEY_UNKNOWN", epoch: 1 }))),
  notice("rare", "add", { at: NOW - 3 * DAY, who: "id-di", whoName: "Di" }),
  notice("rare", "add", { at: NOW - 3 * DAY + 600, ...who, by: "id-bo", byName: "Bo" }),
  row(said("Bo", "Which port do we use? The charts I have are from 1987 and show neither crane.", 3 * DAY - 900)),
  row(said("Bo", "Also: who has the key of the shed?", 3 * DAY - 950)),
  row(said("Di", "The north one.", 3 * DAY - 1500, { reactions: [["👍", ["Ada", "Bo"]], ["⚓", ["Di"]]] }), 3, 1),
  notice("rare", "leave", { at: NOW - 2 * DAY, by: "id-cy", byName: "Cy", ...who }),
  notice("rare", "epoch", { at: NOW - 2 * DAY + 60, why: ["left"], epoch: 3 }),
  row(said("Ada", "", 2 * DAY - 300, { state: "unreadable", code: "C_KEY_UNKNOWN", epoch: 3 })),
  notice("rare", "mode", { at: NOW - DAY, mode: "open" }),
  row(said("Eve", "Soup or stew?", DAY - 300, { open: true })),
  row(said("Eve", "Or both.", DAY - 330, { open: true })),
  notice("rare", "mode", { at: NOW - DAY + 3600, mode: "e2ee" }),
  notice("rare", "epoch", { at: NOW - DAY + 3600, why: ["asked"], epoch: 4 }),
  notice("rare", "role", { at: NOW - 5 * HOUR, who: "id-bo", whoName: "Bo", role: "admin" }),
  notice("rare", "identity", { at: NOW - 5 * HOUR, by: "id-eve", byName: "Eve", who: "id-eve", whoName: "Eve" }),
  notice("rare", "remove", { at: NOW - 4 * HOUR, who: "id-gus", whoName: "Gus" }),
  notice("rare", "epoch", { at: NOW - 4 * HOUR, why: ["removed"], epoch: 5 }),
  { row: "gap", key: "g1", gap: { sph: "rare", pos: 7, dv: "dv-x", name: "Bo", missing: 2 } },
  row(said("Bo", "", 3 * HOUR, { state: "damaged", code: "C_DECRYPT" })),
  row(said("Eve", "", 3 * HOUR - 60, { state: "quarantined", code: "C_LOG_FORK" })),
  row(said("Bo", "", 3 * HOUR - 90, { state: "quarantined", code: "C_SIG" })),
  row(said("Ada", "", 2 * HOUR, { deleted: true })),
  row(said("נועה", "שלום, מה שלומך? See you at 10.", HOUR, { unread: true })),
  row(said("Bo", "@Di low water is at 04:12, so **before four**. See https://tides.example/harbour", 1200, { edited: true, unread: true }), 1, 1),
  row(said("Di", "On my way.", 100, { state: "waiting", pos: 0, cid: "w1" })),
  row(said("Di", "A text that was far too long for one message.", 60, { state: "waiting", pos: 0, cid: "w2" })),
];
const item = (id: string, state: OutboxItem["state"], more: Partial<OutboxItem> = {}): OutboxItem =>
  ({ id, sph: "rare", kind: "msg", text: "On my way.", at: NOW - 60, state, question: "", code: "", ...more });
export const RARE_OUTBOX: readonly OutboxItem[] = [item("w1", "waiting"), item("w2", "failed", { text: "A text that was far too long for one message.", code: "E_TOO_LARGE" })];
export const HELD = (question: string): readonly OutboxItem[] => [item("w1", "held", { question }), item("w2", "waiting")];
export const RARE_SPHERE: SphereInfo = sphere("rare", "Harbour plan", { unread: 3, role: "owner", topic: "Which port, which boat, when", members: 4 });
