/** Digits to compare, who may do what, names that look alike, and the panel's plain lines. */

import { describe, expect, test } from "vitest";

import type { Person, SeenRow } from "../../src/client/records.ts";
import { rows, same } from "../../src/ui/people/digits.ts";
import { ROLES, rank } from "../../src/protocol/roles.ts";
import { RANKS, alike, knownAs, mayRemove, rolesFor, skeleton } from "../../src/ui/people/rights.ts";
import { beside, confirmed, earlier, groups, reasonOf } from "../../src/ui/security/lines.ts";

const DIGITS = "41982 77310 05526 90314 66201 18847 22095 31178 64520 73361 50944 08812";

function person(name: string, more: Partial<Person> = {}): Person {
  return {
    id: `id-${name}-${more.role ?? ""}`, name, login: name, petname: "", nickname: "", role: "member", devices: ["dv-1"],
    known: "not confirmed", me: false, changed: false, ...more,
  };
}

describe("digits", () => {
  test("sixty of them stand in four rows of three groups", () => {
    expect(rows(DIGITS).map((row) => row.join(" "))).toEqual([
      "41982 77310 05526", "90314 66201 18847", "22095 31178 64520", "73361 50944 08812",
    ]);
    expect(rows(DIGITS.replaceAll(" ", ""))).toEqual(rows(DIGITS));
  });

  test("a scanned code is the same or it is not", () => {
    expect(same(DIGITS.replaceAll(" ", ""), DIGITS)).toBe(true);
    expect(same(DIGITS.replace("4", "5"), DIGITS)).toBe(false);
    expect(same("", "")).toBe(false);
  });
});

describe("what is offered follows the log's table (ROLE-003)", () => {
  test.each([
    ["owner", "admin", ["owner", "member", "guest"], true],
    ["owner", "owner", ["admin", "member", "guest"], true],
    ["admin", "member", ["guest"], true],
    ["admin", "admin", [], false],
    ["admin", "owner", [], false],
    ["member", "guest", [], false],
    ["guest", "member", [], false],
  ])("%s about %s", (mine, theirs, roles, removes) => {
    expect(rolesFor(mine, person("bo", { role: theirs }))).toEqual(roles);
    expect(mayRemove(mine, person("bo", { role: theirs }))).toBe(removes);
  });

  test("roles rank as there", () => {
    expect([...RANKS].sort((a, b) => rank(a) - rank(b))).toEqual(RANKS);
    expect([...RANKS].sort()).toEqual([...ROLES].sort());
  });

  test("nobody offers it about oneself", () => {
    expect(rolesFor("owner", person("me", { me: true }))).toEqual([]);
    expect(mayRemove("owner", person("me", { me: true, role: "member" }))).toBe(false);
  });
});

describe("names that look alike show their ids", () => {
  test.each([
    ["Ada", "Аda"], ["bo", "bο"], ["paul", "pau1"], ["modern", "modem"], ["Zoë", "zoe"], ["Ada", "A d a"], ["x\u202Ey", "xy"],
  ])("%s and %s", (one, other) => {
    expect(skeleton(one)).toBe(skeleton(other));
    const people = [person(one, { role: "admin" }), person(other), person("somebody")];
    expect(alike(people)).toEqual(new Set([people[0]!.id, people[1]!.id]));
  });

  test("others do not", () => {
    expect(alike([person("Ada"), person("Bo"), person("Cy")]).size).toBe(0);
  });
});

describe("the panel", () => {
  const key = (n: number, here: boolean) => ({ n, here, at: 0, byName: "Ada", why: ["period"] });

  test("says the weightiest reason of a key", () => {
    expect(reasonOf(["period", "removed"])).toBe("somebody was removed");
    expect(reasonOf(["unheard-of"])).toBe(reasonOf(["asked"]));
  });

  test("counts what is missing among earlier keys", () => {
    expect(earlier([key(1, true)]).line).toBe("None.");
    expect(earlier([key(1, true), key(2, true), key(3, true)]).line).toBe("Keys 1 to 2 are here.");
    expect(earlier([key(1, true), key(2, false), key(3, true)])).toEqual({ line: "Of 2 keys one is missing here: 2.", missing: [2] });
  });

  test("says who is confirmed", () => {
    expect(confirmed([person("me", { me: true })])).toBe("Only you.");
    expect(confirmed([person("me", { me: true }), person("a", { known: "confirmed in person" }), person("b")])).toBe("1 confirmed in person, 1 not.");
    expect(knownAs("came by a link")).toBe("came by a link");
  });

  test("groups a code", () => {
    expect(groups("123451234512345123451234512345")).toBe("12345 12345 12345 12345 12345 12345");
  });

  test("puts the server's row beside what is seen, and shows a row that cannot be read", () => {
    const row: SeenRow = { pos: 1, stored: "e30.AA.AA", header: { kid: "dv-9c2e0000000", ep: 7, thr: "tide-thread" }, size: 512, digest: "9f2c71e0aabbccdd", youSee: undefined };
    const told = beside(row);
    expect(told[0]![0]).toBe("nothing readable");
    expect(told.map(([, server]) => server).join(" ")).toContain("512 bytes");
    expect(told[2]![1]).toBe("thread tide-thr…");
    expect(told[3]![1]).toBe("key number 7");
  });
});
