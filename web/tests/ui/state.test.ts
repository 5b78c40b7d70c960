/**
 * What the page remembers between moments: when it locks, what it keeps beside the page, what it drops. Rules: WEB-024.
 */

import { beforeEach, describe, expect, test, vi } from "vitest";

import { expected, note } from "../../src/ui/state/door.ts";
import { stale, watch } from "../../src/ui/state/idle.ts";
import { evicted, forgetMark } from "../../src/ui/state/kept.ts";

/** A browser's store beside the page. */
class Shelf {
  readonly held = new Map<string, string>();
  getItem(key: string): string | null {
    return this.held.get(key) ?? null;
  }
  setItem(key: string, value: string): void {
    this.held.set(key, value);
  }
  removeItem(key: string): void {
    this.held.delete(key);
  }
}

let shelf: Shelf;
let heard: Map<string, () => void>;
beforeEach(() => {
  shelf = new Shelf();
  heard = new Map();
  vi.useFakeTimers();
  vi.stubGlobal("localStorage", shelf);
  vi.stubGlobal("addEventListener", (kind: string, ear: () => void) => heard.set(kind, ear));
  vi.stubGlobal("removeEventListener", (kind: string) => heard.delete(kind));
  vi.stubGlobal("document", { addEventListener: () => undefined, removeEventListener: () => undefined });
  return () => {
    vi.useRealTimers();
    vi.unstubAllGlobals();
  };
});

describe("locking by time", () => {
  test("happens after the time chosen without use, in any tab", () => {
    let now = 1000;
    const lock = vi.fn();
    const end = watch(() => 10, () => now, lock);
    now += 599;
    vi.advanceTimersByTime(10_000);
    expect(lock).not.toHaveBeenCalled();
    shelf.setItem("cloister.used", String(now));
    now += 599;
    vi.advanceTimersByTime(10_000);
    expect(lock).not.toHaveBeenCalled();
    now += 1;
    vi.advanceTimersByTime(10_000);
    expect(lock).toHaveBeenCalled();
    end();
    expect(heard.size).toBe(0);
  });

  test("is put off by use, and never happens when it is switched off", () => {
    let now = 1000;
    let minutes = 1;
    const lock = vi.fn();
    watch(() => minutes, () => now, lock);
    now += 50;
    heard.get("keydown")!();
    now += 50;
    vi.advanceTimersByTime(10_000);
    expect(lock).not.toHaveBeenCalled();
    minutes = 0;
    now += 100_000;
    vi.advanceTimersByTime(10_000);
    expect(lock).not.toHaveBeenCalled();
  });

  test("a session left open for longer is not taken up again", () => {
    expect(stale(10, 5000)).toBe(false);
    shelf.setItem("cloister.used", "4400");
    expect(stale(10, 5000)).toBe(true);
    expect(stale(10, 4999)).toBe(false);
    expect(stale(0, 9000)).toBe(false);
  });
});

describe("a store that the browser cleared", () => {
  test("is told from one that never was", () => {
    expect(evicted("new")).toBe(false);
    expect(evicted("locked")).toBe(false);
    expect(evicted("new")).toBe(true);
    forgetMark();
    for (const status of ["locked", "signed-out", "new"]) expect(evicted(status)).toBe(false);
    expect(evicted("open")).toBe(false);
    expect(evicted("new")).toBe(true);
  });

  test("leaves no name", () => {
    evicted("open");
    expect([...shelf.held]).toEqual([["cloister.kept", "1"]]);
  });
});

describe("the door that is drawn before the worker answers", () => {
  const ways = { password: true, pin: false, session: false, offline: true };

  test("is the one that stood there, with its ways in and no name", () => {
    expect(expected(false)).toMatchObject({ status: "new" });
    note("locked", { ...ways, pin: true });
    expect(expected(false)).toMatchObject({ status: "locked", openers: { password: true, pin: true } });
    expect([...shelf.held.values()]).toEqual(["locked password pin"]);
  });

  test("is not foreseen where only the worker knows", () => {
    for (const status of ["open", "pending", "signed-out"] as const) {
      note(status, ways);
      expect(expected(false)).toBeUndefined();
    }
    note("new", ways);
    evicted("locked");
    expect(expected(false)).toBeUndefined();
  });

  test("a profile left open for too long has locked", () => {
    note("open", ways);
    expect(expected(true)).toMatchObject({ status: "locked", openers: { password: true, pin: false } });
  });
});
