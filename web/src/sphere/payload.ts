/**
 * What a message says: kinds of content with closed lists of members, and who may change whose words.
 *
 * Spec: MSG-009 to MSG-012.
 */

import table from "../../../src/cloister/sphere/payload.json" with { type: "json" };
import type { Bytes } from "../crypto.ts";
import { FormatError, NotMember, VersionTooOld } from "../errors.ts";
import { type JsonObject, jsonEmit, jsonParse } from "../protocol/encoding.ts";
import { type Check, kind, shape } from "../protocol/shape.ts";

const KIND = kind(table.common.k);
const KINDS: ReadonlyMap<string, Check> = new Map(
  Object.entries(table.kinds).map(([name, members]) => [name, shape({ ...table.common, ...members })]),
);
const TARGETS = ["msg", "comment"];
/** Who may delete the words of others and keeps a title through epochs. */
export const MODERATORS: readonly string[] = ["owner", "admin"];

/** In the form of the wire. */
export type Payload = { cid: string; pt?: true } & (
  | { k: "msg"; t: string }
  | { k: "comment" | "edit"; t: string; re: string }
  | { k: "delete"; re: string }
  | { k: "react"; re: string; e: string; on: boolean }
  | { k: "sys"; s: "nick"; v: string }
);

function checked(value: JsonObject): Payload {
  KIND(value["k"]);
  const check = KINDS.get(value["k"] as string);
  if (check === undefined) throw new VersionTooOld("MSG-010");
  check(value);
  if (value["pt"] === false) throw new FormatError("MSG-009");
  return value as unknown as Payload;
}

/** Throws FormatError. */
export function encode(payload: Payload): Bytes {
  return jsonEmit(checked(payload as unknown as JsonObject) as unknown as JsonObject);
}

/** Throws FormatError; VersionTooOld for a kind that is not known here (MSG-010). */
export function decode(data: Uint8Array): Payload {
  return checked(jsonParse(data));
}

/** Only words are answered or changed (MSG-011). Throws FormatError. */
export function checkTarget(change: Payload, target: Payload): void {
  if ("re" in change && !TARGETS.includes(target.k)) throw new FormatError("MSG-011");
}

/** Whether a member may change another's words (MSG-012). Throws NotMember. */
export function checkChange(change: Payload, author: string, role: string, targetAuthor: string): void {
  const foreign = author !== targetAuthor;
  const moderates = MODERATORS.includes(role);
  if (foreign && (change.k === "edit" || (change.k === "delete" && !moderates))) throw new NotMember("MSG-012");
}
