/**
 * What happened in a sphere, in a sentence: who came, left, changed what, and why there is a new key.
 *
 * One act of the log may hold several entries (somebody removed, and the new key that follows); it is told once.
 * Spec: WEB-061.
 */

import type { Notice } from "../../client/records.ts";
import { known, say } from "../words.ts";

export interface Told {
  readonly text: string;
  /** The server can read what follows. */
  readonly open: boolean;
}

/** Operations whose act ends with a new key that needs no line of its own. */
const WITH_KEY: readonly string[] = ["create", "add", "remove", "mode"];
/** Entries of one act carry the same time, as its device wrote it. */
const ONE_ACT = 2;

/** Whether `notice` only completes the act that `before` tells of. */
export function completes(before: Notice, notice: Notice): boolean {
  if (before.by !== notice.by || Math.abs(notice.at - before.at) > ONE_ACT) return false;
  if (notice.op === "epoch") return WITH_KEY.includes(before.op);
  if (notice.op === "meta") return before.op === "create" || (before.op === "epoch" && before.why.includes("first"));
  return notice.op === "role" && before.op === "create";
}

const ROLES = "notice.role";

/**
 * A notice in words. `left`: who went before a new key, by name, for the line of that key. `org`: the keys come from an
 * organisation's, so nothing is said about what somebody removed here can no longer read (CLT-062).
 */
export function told(notice: Notice, left: readonly string[] = [], org = false): Told {
  const by = notice.mine ? say("notice.you") : notice.byName;
  const self = notice.who === notice.by;
  const who = self && notice.mine ? say("word.you") : notice.whoName;
  const open = notice.op === "mode" && notice.mode !== "e2ee";
  return { text: say(wordsFor(notice, self, left, org), values(notice, by, who, left)), open };
}

function values(notice: Notice, by: string, who: string, left: readonly string[]): Record<string, string | number> {
  const role = known(`role.${notice.role}`) ? say(`role.${notice.role}`) : notice.role;
  return { by, who, n: notice.epoch, role, names: left.join(", ") };
}

function wordsFor(notice: Notice, self: boolean, left: readonly string[], org: boolean): string {
  const { op, mode, why, mine } = notice;
  switch (op) {
    case "add":
      return self ? "notice.came" : "notice.add";
    case "remove":
      return org ? "notice.remove-org" : "notice.remove";
    case "role":
      return ROLES;
    case "mode":
      return mode === "e2ee" ? "notice.mode-e2ee" : mode === "public" ? "notice.mode-public" : "notice.mode-open";
    case "identity":
      return mine ? "notice.identity-mine" : "notice.identity";
    case "device add":
    case "device revoke":
      return `notice.${op.replace(" ", "-")}${mine ? "-mine" : ""}`;
    case "epoch":
      if (org && reason(why) !== "first" && reason(why) !== "asked") return "notice.epoch-org";
      if (left.length > 0) return "notice.epoch-left";
      return reason(why) === "asked" && mine ? "notice.epoch-asked-mine" : `notice.epoch-${reason(why)}`;
    default:
      return known(`notice.${op}`) ? `notice.${op}` : "notice.other";
  }
}

const REASONS = ["removed", "left", "device", "first", "count", "period", "asked"];

/** The weightiest reason of a new key. */
export function reason(why: readonly string[]): string {
  return REASONS.find((one) => why.includes(one)) ?? "asked";
}
