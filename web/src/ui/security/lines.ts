/**
 * The panel's plain lines: what is so, in the words of people. Pure; the detail behind each is shown by the cards.
 */

import type { Person, SeenRow, SphereInfo } from "../../client/records.ts";
import { reason } from "../sphere/told.ts";
import { clock } from "../time.ts";
import { say, size } from "../words.ts";

export interface Key {
  readonly n: number;
  readonly here: boolean;
  readonly at: number;
  readonly byName: string;
  readonly why: readonly string[];
}

/** Why a key was made, in words. */
export function reasonOf(why: readonly string[]): string {
  return say(`key.why-${reason(why)}`);
}

/** Keys before the running one: how many, and which are missing here. */
export function earlier(keys: readonly Key[]): { readonly line: string; readonly missing: readonly number[] } {
  const past = keys.slice(0, -1);
  const missing = past.filter((one) => !one.here).map((one) => one.n);
  const last = past.at(-1)?.n ?? 0;
  if (past.length === 0) return { line: say("security.no-earlier"), missing };
  if (missing.length === 0) return { line: say("security.earlier-all", { n: last }), missing };
  return { line: say("security.earlier-missing", { n: missing.length, last, which: missing.slice(0, 8).join(", ") }), missing };
}

export function confirmed(people: readonly Person[]): string {
  const others = people.filter((one) => !one.me);
  const sure = others.filter((one) => one.known === "confirmed in person").length;
  return others.length === 0 ? say("security.people-alone") : say("security.people-line", { sure, not: others.length - sure });
}

/** The 30 digits of a history, in groups of five. */
export function groups(code: string): string {
  return (code.replace(/\D/g, "").match(/.{1,5}/g) ?? []).join(" ");
}

/** What the relay's row says: one pair for each thing it names, beside what you see of it. */
export function beside(row: SeenRow): readonly (readonly [string, string])[] {
  const you = row.youSee;
  const { kid = "", thr, ep = 0 } = row.header as { readonly kid?: string; readonly thr?: string; readonly ep?: number };
  const time = you === undefined ? "" : clock(you.at);
  const text = you === undefined ? "" : `“${you.text.slice(0, 120)}”`;
  const comment = you === undefined || you.re === "" ? "" : say("seen.comment");
  return [
    [you === undefined ? say("seen.nothing") : `${you.name} ${time}`, say("seen.device", { dv: kid.slice(0, 12), time })],
    [text, say("seen.bytes", { size: size(row.size), digest: row.digest.slice(0, 16) })],
    [comment, thr === undefined ? say("seen.no-thread") : say("seen.thread", { thr: thr.slice(0, 8) })],
    [say("seen.key", { n: ep }), say("seen.key-number", { n: ep })],
  ];
}

/** Whether the relay cannot read it. */
export function closed(sphere: SphereInfo): boolean {
  return sphere.mode === "e2ee";
}
