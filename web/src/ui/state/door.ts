/**
 * Which door stood here when the page was last open, to draw it before the worker has answered. It holds no name, and
 * nothing is decided by it: what the worker says takes its place.
 */

import type { Openers } from "../../client/api.ts";
import type { AccountInfo } from "../../client/records.ts";
import { marked } from "./kept.ts";

const DOOR = "cloister.door";

export interface Expected {
  readonly status: "new" | "locked";
  readonly openers: Openers;
}

/** The door to draw; undefined when only the worker knows. `stale`: a profile left open has locked by now. */
export function expected(stale: boolean): Expected | undefined {
  const openers = { password: false, pin: false, session: false, offline: false };
  try {
    const text = localStorage.getItem(DOOR);
    if (text === null) return marked() ? undefined : { status: "new", openers };
    const [word, ...ways] = text.split(" ");
    if (word !== "locked" && !(word === "open" && stale)) return undefined;
    return { status: "locked", openers: { ...openers, password: ways.includes("password"), pin: ways.includes("pin") } };
  } catch {
    return undefined;
  }
}

/** Remember what the worker said. */
export function note(status: AccountInfo["status"], openers: Openers): void {
  const ways = [openers.password ? "password" : "", openers.pin ? "pin" : ""].filter(Boolean);
  try {
    if (status === "new") localStorage.removeItem(DOOR);
    else localStorage.setItem(DOOR, [status, ...ways].join(" "));
  } catch {
    // A browser that keeps nothing waits for the worker.
  }
}
