/**
 * From rows to what is drawn: days, the line "new", one name above several texts of one author, several closed messages as
 * one line, entries of one act told once. Pure. Spec: WEB-061.
 */

import type { GapLine, Message, Notice, Row } from "../../client/records.ts";
import { date } from "../time.ts";
import { completes, told } from "./told.ts";
import type { Told } from "./told.ts";

/** Why a message stays closed: sent before this account came in, or its key has not arrived. */
export type Closed = "before" | "key";

interface Common {
  readonly key: string;
  /** A new day begins here: when. */
  readonly day: number | undefined;
  /** The first one not read when the sphere was opened. */
  readonly fresh: boolean;
}
export type Line = Common & (
  | {
    readonly is: "message"; readonly message: Message; readonly comments: number; readonly news: number;
    /** The author's name stands above. */
    readonly head: boolean;
  }
  | { readonly is: "notice"; readonly notice: Notice; readonly told: Told }
  | { readonly is: "gap"; readonly gap: GapLine }
  | { readonly is: "closed"; readonly why: Closed; readonly count: number; readonly message: Message }
);

/** Texts of one author within this time stand under one name. */
const TOGETHER = 300;

interface Wanted {
  readonly firstUnread?: string | undefined;
  /** Why messages of an epoch are closed. */
  readonly closed?: (epoch: number) => Closed;
  /** The sphere's keys come from an organisation's. */
  readonly org?: boolean;
}

export function linesOf(rows: readonly Row[], wanted: Wanted = {}): readonly Line[] {
  const lines: Line[] = [];
  const left: string[] = [];
  let day = "";
  let act: Notice | undefined;
  for (const row of rows) {
    if (row.row === "notice") {
      if (act !== undefined && completes(act, row.notice)) {
        act = row.notice.op === "epoch" && row.notice.why.includes("first") ? row.notice : act;
        continue;
      }
      act = row.notice;
    } else act = undefined;
    const at = timeOf(row);
    const today = at === undefined ? day : date(at);
    const common: Common = { key: row.key, day: today === day ? undefined : at, fresh: row.key === wanted.firstUnread };
    day = today;
    const line = lineOf(row, common, lines.at(-1), left, wanted);
    if (line === undefined) lines[lines.length - 1] = folded(lines.at(-1)!, row);
    else lines.push(line);
  }
  return lines;
}

function timeOf(row: Row): number | undefined {
  return row.row === "message" ? row.message.at : row.row === "notice" ? row.notice.at : undefined;
}

/** The line of a row; undefined when the one before takes it in. */
function lineOf(row: Row, common: Common, before: Line | undefined, left: string[], wanted: Wanted): Line | undefined {
  if (row.row === "gap") return { ...common, is: "gap", gap: row.gap };
  if (row.row === "notice") {
    const { notice } = row;
    return { ...common, is: "notice", notice, told: told(notice, wentBefore(notice, left), wanted.org) };
  }
  const { message } = row;
  if (message.state === "unreadable") {
    const why = wanted.closed?.(message.epoch) ?? "key";
    const joins = before?.is === "closed" && before.why === why && common.day === undefined && !common.fresh;
    return joins ? undefined : { ...common, is: "closed", why, count: 1, message };
  }
  const head = heads(message, common, before);
  return { ...common, is: "message", message, head, comments: row.comments, news: row.unreadComments };
}

/** Who left since the last key, when this is the key made for it. */
function wentBefore(notice: Notice, left: string[]): readonly string[] {
  if (notice.op === "leave") left.push(notice.whoName);
  if (notice.op !== "epoch") return [];
  const went = left.splice(0);
  return notice.why.includes("left") && !notice.why.includes("removed") ? went : [];
}

function heads(message: Message, common: Common, before: Line | undefined): boolean {
  if (before?.is !== "message" || common.day !== undefined || common.fresh) return true;
  const { message: last } = before;
  const normal = (one: Message): boolean => one.state === "sent" || one.state === "waiting";
  if (last.author !== message.author || !normal(last) || !normal(message)) return true;
  return message.at - last.at > TOGETHER || message.at < last.at || last.open !== message.open;
}

/** One more closed message in the same line. Its key is that of the last, so that older ones may come before. */
function folded(line: Line, row: Row): Line {
  return line.is === "closed" ? { ...line, key: row.key, count: line.count + 1 } : line;
}
