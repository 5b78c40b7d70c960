/**
 * The keyboard map, and finding a place by a few letters.
 */

import { describe, expect, test } from "vitest";

import { SHORTCUTS, commandOf, written } from "../../src/ui/keys.ts";
import type { Press } from "../../src/ui/keys.ts";
import { deviceName } from "../../src/ui/machine.ts";
import { find } from "../../src/ui/shell/find.ts";
import { brief, day, until } from "../../src/ui/time.ts";

const press = (key: string, more: Partial<Press> = {}): Press => ({ key, ctrlKey: false, metaKey: false, shiftKey: false, altKey: false, ...more });

describe("a key press", () => {
  test("is a command", () => {
    expect(commandOf(press("k", { ctrlKey: true }), false, true)).toBe("palette");
    expect(commandOf(press("k", { metaKey: true }), true, true)).toBe("palette");
    expect(commandOf(press("L", { ctrlKey: true, shiftKey: true }), true, true)).toBe("lock");
    expect(commandOf(press("?", { shiftKey: true }), false, true)).toBe("help");
    expect(commandOf(press("ArrowDown", { altKey: true }), true, true)).toBe("sphere-next");
  });

  test("of a single letter acts outside fields only, and can be switched off", () => {
    expect(commandOf(press("n"), false, true)).toBe("next-unread");
    expect(commandOf(press("n"), true, true)).toBeUndefined();
    expect(commandOf(press("n"), false, false)).toBeUndefined();
    expect(commandOf(press("Escape"), true, false)).toBe("back");
  });

  test("with another modifier is the browser's", () => {
    expect(commandOf(press("n", { ctrlKey: true }), false, true)).toBeUndefined();
    expect(commandOf(press("k", { ctrlKey: true, shiftKey: true }), false, true)).toBeUndefined();
    expect(commandOf(press("c", { ctrlKey: true }), false, true)).toBeUndefined();
  });

  test("means one thing", () => {
    const all = SHORTCUTS.map((one) => `${one.mod} ${one.alt} ${one.shift} ${one.key}`);
    expect(new Set(all).size).toBe(all.length);
    expect(written(SHORTCUTS.find((one) => one.id === "lock")!, false)).toBe("Ctrl Shift L");
    expect(written(SHORTCUTS.find((one) => one.id === "lock")!, true)).toBe("⌘ ⇧ L");
  });
});

describe("finding", () => {
  const names = ["Harbour plan", "Board", "Éclair", "New harbour"];
  const found = (typed: string): readonly string[] => find(names, typed, (one) => one);

  test("beginnings first, then words, then letters in order", () => {
    expect(found("har")).toEqual(["Harbour plan", "New harbour"]);
    expect(found("ecl")).toEqual(["Éclair"]);
    expect(found("hpl")).toEqual(["Harbour plan"]);
    expect(found("zz")).toEqual([]);
    expect(found(" ")).toEqual(names);
  });
});

describe("times", () => {
  const now = 1_780_000_000;
  test("are short in lists and whole in headings", () => {
    expect(brief(now - 20, now)).toBe("now");
    expect(brief(now - 600, now)).toBe("10 min");
    expect(day(now, now)).toBe("Today");
    expect(day(now - 86400, now)).toBe("Yesterday");
    expect(day(now - 3 * 86400, now)).toMatch(/day$/);
    expect(day(now - 400 * 86400, now)).toMatch(/20\d\d$/);
    expect(until(now + 86400, now)).toMatch(/^tomorrow \d\d:\d\d$/);
  });
});

test("a device is named after its browser and system", () => {
  expect(deviceName({ userAgent: "Mozilla/5.0 (X11; Linux x86_64; rv:130.0) Gecko/20100101 Firefox/130.0" })).toBe("Firefox on Linux");
  expect(deviceName({ userAgent: "Mozilla/5.0 (iPhone; CPU iPhone OS 18_0 like Mac OS X) Version/18.0 Mobile Safari/604.1" })).toBe("Safari on iPhone");
  expect(deviceName({ userAgent: "curl" })).toBe("Browser");
});
