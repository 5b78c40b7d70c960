/** Make about a thousand cases, and judge any: the TypeScript half of `tests/web_cross/`. */

import { CloisterError } from "../../src/errors.ts";
import { OPS } from "../ops/index.ts";
import { digitCases, keyLogs, letters, passwords, signIns, slotCases, vaultCases } from "./accounts.ts";
import { type Case, Source } from "./draw.ts";
import { walk } from "./spheres.ts";

export type { Case } from "./draw.ts";
export type Verdict = { value: unknown } | { error: string };

export async function make(seed: string, spheres = 5, commits = 18): Promise<Case[]> {
  const m = new Source(seed);
  for (let n = 0; n < spheres; n += 1) await walk(m, n, commits);
  for (const part of [keyLogs, slotCases, vaultCases, letters, passwords, signIns, digitCases]) await part(m);
  return m.cases;
}

/** What this side says to each case. */
export async function judge(cases: readonly Case[]): Promise<Verdict[]> {
  const verdicts: Verdict[] = [];
  for (const one of cases) {
    try {
      verdicts.push({ value: await OPS.get(one.op)!(one.in) });
    } catch (error) {
      if (!(error instanceof CloisterError)) throw error;
      verdicts.push({ error: error.code });
    }
  }
  return verdicts;
}
