/**
 * Every case of ../vectors/*.json gives its value or its error code here too. This side was written from spec/ and
 * vectors/README.md; it shares the tables (wire.json, roles.json) with the Python side and no code.
 */

import { readFileSync, readdirSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

import { describe, expect, test, vi } from "vitest";

import { CloisterError } from "../src/errors.ts";
import { OPS } from "./ops/index.ts";

vi.mock("../src/crypto/argon2.ts", async (real) => (await import("./cheap.ts")).once(real));

interface Case {
  id: string;
  op: string;
  in: unknown;
  expect: { value: unknown } | { error: string };
}

const FOLDER = join(dirname(fileURLToPath(import.meta.url)), "../../vectors");
const AREAS = readdirSync(FOLDER).filter((name) => name.endsWith(".json")).sort();
const CASES = new Map<string, Case[]>(
  AREAS.map((name) => [name, JSON.parse(readFileSync(join(FOLDER, name), "utf8")).cases as Case[]]),
);

async function verdict(one: Case): Promise<Case["expect"]> {
  try {
    const value = await OPS.get(one.op)!(one.in);
    return { value: JSON.parse(JSON.stringify(value)) as unknown };
  } catch (error) {
    if (error instanceof CloisterError) return { error: error.code };
    throw error;
  }
}

test("every operation is known", () => {
  const unknown = new Set([...CASES.values()].flat().map((one) => one.op).filter((op) => !OPS.has(op)));
  expect([...unknown].sort()).toEqual([]);
});

for (const [area, cases] of CASES) {
  describe(area, () => {
    for (const one of cases.filter((each) => OPS.has(each.op))) {
      test(one.id, async () => {
        expect(await verdict(one)).toEqual(one.expect);
      });
    }
  });
}
