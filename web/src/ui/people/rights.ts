/**
 * Who may do what to whom, as the table of the log has it: what the page offers. The log decides again.
 *
 * Spec: ROLE-003.
 */

import type { Known, Person, SphereInfo } from "../../client/records.ts";
import { say } from "../words.ts";

/** From the least to the most, as the log's table has them (its module brings the cryptography along). */
export const RANKS: readonly string[] = ["guest", "member", "admin", "owner"];

function rank(role: string): number {
  return RANKS.indexOf(role);
}

/** How this person is known, in words. */
export function knownAs(known: Known): string {
  return say(`known.${known.replaceAll(" ", "-")}`);
}

export function mayInvite(sphere: SphereInfo): boolean {
  return sphere.status === "active" && rank(sphere.role) >= rank("admin");
}

/** Roles that the holder of `role` may give to `person`; empty when none. */
export function rolesFor(role: string, person: Person): string[] {
  if (person.me) return [];
  const given = role === "owner" ? ["owner", "admin", "member", "guest"] : role === "admin" ? ["member", "guest"] : [];
  return given.includes(person.role) ? given.filter((one) => one !== person.role) : [];
}

export function mayRemove(role: string, person: Person): boolean {
  if (person.me) return false;
  return role === "owner" || (role === "admin" && rank(person.role) < rank("admin"));
}

/** Names that look the same: their ids are shown beside them. */
export function alike(people: readonly Pick<Person, "id" | "name">[]): ReadonlySet<string> {
  const seen = new Map<string, Set<string>>();
  for (const one of people) {
    const shape = skeleton(one.name);
    seen.set(shape, new Set(seen.get(shape)).add(one.id));
  }
  return new Set([...seen.values()].filter((ids) => ids.size > 1).flatMap((ids) => [...ids]));
}

const TWINS: Readonly<Record<string, string>> = {
  "0": "o", "1": "l", "3": "e", "5": "s", "|": "l", "i": "l",
  "а": "a", "е": "e", "о": "o", "р": "p", "с": "c",
  "х": "x", "у": "y", "і": "l", "ѕ": "s", "ԁ": "d", "в": "b", "н": "h", "м": "m", "т": "t",
  "ɡ": "g", "ο": "o", "α": "a", "ν": "v", "ρ": "p", "τ": "t", "κ": "k", "ι": "l",
};

/** A name reduced to what an eye tells apart: case, accents, spaces and common twins of letters fall together. */
export function skeleton(name: string): string {
  const plain = name.normalize("NFKD").replace(/[\p{M}\s\p{Cf}]/gu, "").toLowerCase().replaceAll("rn", "m").replaceAll("vv", "w");
  return [...plain].map((one) => TWINS[one] ?? one).join("");
}
