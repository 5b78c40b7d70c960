/**
 * Why messages of a key that is not here stay closed: they are older than this account in this sphere, or the key is on
 * its way. Read from the verified log. Pure. Spec: WEB-061.
 */

import type { LogLine } from "../../client/records.ts";
import type { Closed } from "./lines.ts";

/** `lines`: the whole log, oldest first; `me`: the own id. */
export function closedBy(lines: readonly LogLine[], me: string): (epoch: number) => Closed {
  const began = new Map<number, number>();
  let joined = -1;
  let shared = true;
  let sharedThen = true;
  for (const { seq, op, body } of lines) {
    if (op === "epoch" && typeof body["n"] === "number") began.set(body["n"], seq);
    if (op === "create" || op === "policy") shared = historyOf(body) ?? shared;
    if (op === "add" && body["id"] === me) [joined, sharedThen] = [seq, shared];
  }
  return (epoch) => (!sharedThen && (began.get(epoch) ?? Infinity) < joined ? "before" : "key");
}

/** Whether newcomers are given all of the history, if this entry says so. */
function historyOf(body: Record<string, unknown>): boolean | undefined {
  const policy = body["policy"];
  const history = typeof policy === "object" && policy !== null ? (policy as Record<string, unknown>)["history"] : undefined;
  return typeof history === "string" ? history === "all" : undefined;
}
