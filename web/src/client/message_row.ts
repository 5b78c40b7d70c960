/**
 * A stored message: what its columns mean, what an opened payload decides, and under which lists it is read.
 *
 * Columns that stand in indexes are ids, positions and states; the words stay in `body`. Spec: CLT-011.
 */

import type { Message as Envelope } from "../sphere/message.ts";
import { MODERATORS, type Payload } from "../sphere/payload.ts";
import type { MessageState } from "./records.ts";
import type { Tx } from "./store.ts";

/** What is read as a line of its own; the other kinds change such a line. */
export const SPOKEN: readonly string[] = ["msg", "comment"];
const CHANGES: readonly string[] = ["edit", "delete", "react"];
const ODD: readonly string[] = ["unreadable", "quarantined", "damaged"];
/** Where a message without a position is read: after all others. */
export const LAST = Number.MAX_SAFE_INTEGER;

export interface Body {
  text?: string;
  /** A deletion by an owner or admin. */
  moderator?: boolean;
  /** A reaction given or taken back. */
  on?: boolean;
  /** Sent in clear. */
  open?: boolean;
}

export interface MessageRow {
  n: number;
  sph: string;
  /** The relay's position, 0 while it is not known. */
  pos: number;
  dv: string;
  seq: number;
  /** H(SI), base64url. */
  h: string;
  mid: string;
  cid: string;
  author: string;
  at: number;
  ep: number;
  ls: number;
  kind: string;
  re: string;
  body: Body;
  jws: string;
  state: MessageState | "hidden";
  code: string;
  /** Where it is read: the relay's position, as far as its own chain allows (CLT-011). */
  place: number;
  /** Held by its chain: its `place` binds the others of its device. */
  chained: boolean;
  /** The message whose comments it belongs to, empty for a line of the sphere. */
  under: string;
  /** Indexes: the list it is shown in, the message it changes, its position as a text to be read. */
  list?: string;
  of?: string;
  fresh?: number;
}

/** Whether a row is a line. */
export function isShown(row: MessageRow): boolean {
  return row.state !== "hidden" && (SPOKEN.includes(row.kind) || ODD.includes(row.state));
}

/** The position of a readable text of somebody else, by which unread ones are counted. */
export function freshOf(row: MessageRow, me: string): number | undefined {
  const text = row.state === "sent" && SPOKEN.includes(row.kind);
  return text && row.author !== me && row.pos > 0 ? row.pos : undefined;
}

/** Store a row under the lists it now belongs to. */
export function putRow(tx: Tx, row: MessageRow, me: string): void {
  const { list: _l, of: _o, fresh: _f, ...plain } = row;
  const made: MessageRow = plain;
  const fresh = freshOf(row, me);
  if (isShown(row)) made.list = row.under;
  if (row.state === "sent" && CHANGES.includes(row.kind)) made.of = row.re;
  if (fresh !== undefined) made.fresh = fresh;
  tx.put("message", row.n, made);
}

/** The name of a row that stays while it lives; own words keep the one they had while they waited. */
export function keyOf(row: Pick<MessageRow, "n" | "cid" | "author" | "state">, me: string): string {
  return row.author === me && row.cid !== "" && row.state === "sent" ? row.cid : `m${row.n}`;
}

/** A row before its payload is known. */
export function bare(n: number, sph: string, pos: number, compact: string, message: Envelope): MessageRow {
  const { head, link } = message;
  return {
    n, sph, pos, dv: head.kid, seq: head.seq, h: link, mid: head.mid, cid: "", author: "", at: head.iat, ep: head.ep,
    ls: head.ls, kind: "", re: "", body: {}, jws: compact, state: "damaged", code: "", place: pos || LAST, chained: false,
    under: "",
  };
}

function textOf(payload: Payload): string {
  switch (payload.k) {
    case "react":
      return payload.e;
    case "sys":
      return payload.v;
    case "delete":
      return "";
    default:
      return payload.t;
  }
}

/** The members of a row that an opened payload decides; the right to change others' rows is kept with it (MSG-012). */
export function fill(row: MessageRow, payload: Payload, role: string, enc: string): void {
  row.body = { text: textOf(payload) };
  if (payload.k === "delete" && MODERATORS.includes(role)) row.body.moderator = true;
  if (payload.k === "react") row.body.on = payload.on;
  if (enc === "none") row.body.open = true;
  row.cid = payload.cid;
  row.kind = payload.k;
  row.code = "";
  row.re = "re" in payload ? payload.re : "";
}
