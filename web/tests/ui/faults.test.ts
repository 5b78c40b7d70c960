/**
 * Faults in words: each code of the taxonomy has its cause, what happens, what to do, and at most two actions. ERR-003.
 */

import { describe, expect, test } from "vitest";

import * as errors from "../../src/errors.ts";
import { codeOf, faultOf, hint, retryAfter, wordsOf } from "../../src/ui/faults.ts";

const CODES = Object.values(errors).flatMap((one) => {
  const code = typeof one === "function" ? (one as { code?: unknown }).code : undefined;
  return typeof code === "string" ? [code] : [];
});
const TERMINAL = /cloister [a-z]|--|\bcommand\b|press Enter/;

describe("every code", () => {
  test.each([...new Set(CODES)])("%s", (code) => {
    const words = wordsOf(code);
    expect(words.why && words.next && words.you).toBeTruthy();
    expect(words.actions.length).toBeLessThanOrEqual(2);
    expect(`${words.why} ${words.next} ${words.you}`).not.toMatch(TERMINAL);
  });
});

describe("what was thrown", () => {
  test("is known by its code, wherever it was made", () => {
    expect(codeOf(new errors.AuthFailed())).toBe("E_AUTH");
    expect(codeOf({ code: "C_DOWNGRADE" })).toBe("C_DOWNGRADE");
    for (const odd of [undefined, null, "x", new Error("x"), { code: 7 }, { code: "app.E_AUTH" }, { code: "act.copy" }, { code: "__proto__" }]) {
      expect(codeOf(odd)).toBe("L_INTERNAL");
    }
  });

  test("says how long to wait", () => {
    expect(retryAfter(errors.relayError({ code: "E_RATE", retry_after: 4.2 }))).toBe(5);
    expect(retryAfter(new Error("x"))).toBeUndefined();
  });

  test("never shows its detail", () => {
    const shown = faultOf(new errors.FormatError("secret detail"));
    expect(JSON.stringify(shown)).not.toContain("secret detail");
  });

  test("has one line for a field", () => {
    expect(hint(new errors.WeakPassword("", { data: { reason: "short" } }))).toBe("Too short: 12 or more characters.");
    expect(hint(new errors.WeakPin("", { data: { reason: "common" } }))).toContain("a row, a date");
    expect(hint(new errors.WeakPassword())).toContain("12 or more characters");
  });
});
