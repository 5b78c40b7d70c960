/**
 * The table of operations (roles.json): who may, what the body holds, what follows. Spec: ROLE-001 to ROLE-004.
 */

import table from "../../../src/cloister/protocol/roles.json" with { type: "json" };
import { FormatError, VersionTooOld } from "../errors.ts";
import type { JsonObject } from "./encoding.ts";
import { type Check, shape } from "./shape.ts";

export const LIMITS = table.limits;
/** From weak to strong (ROLE-007). */
export const KEMS: readonly string[] = table.kems;
/** Lowest first (ROLE-004). */
export const ROLES: readonly string[] = table.roles;
export const SEALED: readonly string[] = table.meta.sealed;
export const CLEAR: readonly string[] = table.meta.clear;
export const checkPolicy: Check = shape(table.policy);

export interface Row {
  op: string;
  may: Record<string, string>;
  body: Check;
  newcomer: boolean;
  place: "before" | "epoch" | "after" | "alone";
  hard: "no" | "always" | "epoch";
  epoch: "no" | "e2ee" | "history" | "to-e2ee";
  tails: "no" | "yes" | "lowered";
}

type RawRow = Omit<Row, "op" | "body"> & { body: Record<string, string> };

const ROWS: ReadonlyMap<string, Row> = new Map(
  Object.entries(table.ops as unknown as Record<string, RawRow>).map(([op, row]) => [op, { ...row, op, body: shape(row.body) }]),
);

export function rank(role: string): number {
  return ROLES.indexOf(role);
}

/** The row of an operation, its body checked (LOG-010, ROLE-002). Throws VersionTooOld, FormatError. */
export function rowOf(op: string, body: JsonObject): Row {
  let name = op;
  if (op === "device") {
    if (typeof body["act"] !== "string") throw new FormatError("ROLE-002");
    name = `device ${body["act"]}`;
  }
  const row = op.includes(" ") ? undefined : ROWS.get(name);
  const version = body["v"];
  if (row === undefined || (op === "create" && typeof version === "number" && version !== 1)) {
    throw new VersionTooOld("LOG-010");
  }
  row.body(body);
  if ("policy" in body) checkPolicy(body["policy"]);
  return row;
}
