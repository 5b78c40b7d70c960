/** Where rows stand, which are drawn, and that what is being read stays where it is (WEB-060). */

import { describe, expect, test } from "vitest";

import { MOST, anchorsOf, firstOf, inView, rowAt, scrollFor, toDraw, toShow, topsOf } from "../../src/ui/sphere/geometry.ts";
import { batched } from "../../src/ui/sphere/live.ts";

const keysOf = (from: number, to: number): string[] => Array.from({ length: to - from }, (_, n) => `k${from + n}`);
const indexOf = (keys: readonly string[]): Map<string, number> => new Map(keys.map((key, n) => [key, n]));
/** Heights between 20 and 219, the same for the same key. */
const height = (key: string): number => 20 + ((Number(key.slice(1)) * 7919) % 200);

describe("places", () => {
  test("tops add up, behind what stands before the first row", () => {
    expect([...topsOf([10, 20, 30], 5)]).toEqual([5, 15, 35, 65]);
    expect([...topsOf([], 0)]).toEqual([0]);
  });

  test("the row at a place is found, also outside", () => {
    const tops = topsOf([10, 20, 30], 0);
    expect([-5, 0, 9.9, 10, 29, 30, 59, 500].map((y) => rowAt(tops, y))).toEqual([0, 0, 0, 1, 1, 2, 2, 2]);
    expect(inView(tops, 10, 20)).toEqual({ from: 1, to: 2 });
    expect(inView(tops, 10, 21)).toEqual({ from: 1, to: 3 });
    expect(inView(topsOf([], 40), 0, 500)).toEqual({ from: 0, to: 0 });
  });

  test("at most eighty rows are drawn, and every one in view is among them", () => {
    const keys = keysOf(0, 10_000);
    const tops = topsOf(keys.map(height), 0);
    for (let top = 0; top < tops.at(-1)! - 900; top += 7777) {
      const drawn = toDraw(tops, top, 900);
      const seen = inView(tops, top, 900);
      expect(drawn.to - drawn.from).toBeLessThanOrEqual(MOST);
      expect(drawn.from).toBeLessThanOrEqual(seen.from);
      expect(drawn.to).toBeGreaterThanOrEqual(seen.to);
      expect(tops[drawn.from]! <= Math.max(0, top - 450) + 219).toBe(true);
    }
    const tiny = topsOf(Array.from({ length: 1000 }, () => 12), 0);
    expect(toDraw(tiny, 3000, 900).to - toDraw(tiny, 3000, 900).from).toBe(MOST);
  });

  test("a list that opens draws rows side by side, more and more of them, and the first in view or the last at once", () => {
    const [all, seen] = [{ from: 100, to: 150 }, { from: 110, to: 122 }];
    const drawn = (count: number, fromEnd: boolean): number[] => {
      const { from, to } = firstOf(all, seen, count, fromEnd);
      return [from, to];
    };
    expect([6, 12, 48, 50, 80].map((count) => drawn(count, true))).toEqual([
      [144, 150], [138, 150], [102, 150], [100, 150], [100, 150],
    ]);
    expect([6, 12, 42, 50, 80].map((count) => drawn(count, false))).toEqual([
      [110, 116], [110, 122], [108, 150], [100, 150], [100, 150],
    ]);
  });

  test("a row is brought into view by the least scrolling", () => {
    const tops = topsOf([100, 100, 100, 900], 0);
    expect(toShow(tops, 1, 90, 250, 4)).toBeUndefined();
    expect(toShow(tops, 0, 90, 250, 4)).toBe(-4);
    expect(toShow(tops, 2, 0, 250, 4)).toBe(54);
    expect(toShow(tops, 3, 0, 250, 4)).toBe(296);
  });
});

describe("what is being read stays where it is", () => {
  const view = 700;
  const keys = keysOf(1000, 1200);
  const heights = keys.map(height);
  const tops = topsOf(heights, 0);
  const top = 5000;
  const anchors = anchorsOf(tops, keys, top, view);
  const seen = inView(tops, top, view);

  /** Where each row in view ends, measured from the top of the view. */
  function ends(all: readonly string[], at: Float64Array, scroll: number): number[] {
    const index = indexOf(all);
    return keys.slice(seen.from, seen.to).map((key) => at[index.get(key)! + 1]! - scroll);
  }

  test("when older rows come", () => {
    const all = [...keysOf(800, 1000), ...keys];
    const next = topsOf(all.map(height), 64);
    const scroll = scrollFor(anchors, next, indexOf(all))!;
    ends(all, next, scroll).forEach((end, n) => expect(Math.abs(end - ends(keys, tops, top)[n]!)).toBeLessThan(1));
  });

  test("when rows above turn out higher than guessed", () => {
    const next = topsOf(keys.map((key, n) => (n < seen.from ? height(key) * 1.7 : height(key))), 0);
    const scroll = scrollFor(anchors, next, indexOf(keys))!;
    ends(keys, next, scroll).forEach((end, n) => expect(Math.abs(end - ends(keys, tops, top)[n]!)).toBeLessThan(1));
  });

  test("when a day or a name goes from above the first text in view", () => {
    const next = topsOf(keys.map((key, n) => (n === seen.from ? height(key) - 18 : height(key))), 0);
    const scroll = scrollFor(anchors, next, indexOf(keys))!;
    ends(keys, next, scroll).forEach((end, n) => expect(Math.abs(end - ends(keys, tops, top)[n]!)).toBeLessThan(1));
  });

  test("when the anchor itself is gone, by the next row in view; without any there is no answer", () => {
    const gone = keys.filter((key) => key !== anchors[0]!.key);
    const scroll = scrollFor(anchors, topsOf(gone.map(height), 0), indexOf(gone))!;
    const at = topsOf(gone.map(height), 0)[indexOf(gone).get(anchors[1]!.key)! + 1]! - scroll;
    expect(Math.abs(at - anchors[1]!.at)).toBeLessThan(1);
    expect(scrollFor(anchors, tops, new Map())).toBeUndefined();
  });

  test("control: without an anchor older rows push everything away", () => {
    const all = [...keysOf(800, 1000), ...keys];
    const next = topsOf(all.map(height), 64);
    expect(Math.abs(ends(all, next, top)[0]! - ends(keys, tops, top)[0]!)).toBeGreaterThan(1000);
  });

  test("one row that fills the view is held by its beginning", () => {
    expect(anchorsOf(topsOf([50, 3000, 50], 0), ["a", "b", "c"], 400, view)).toEqual([{ key: "b", edge: "top", at: -350 }]);
  });
});

describe("what is read out", () => {
  test("up to three within five seconds are said, then only how many", () => {
    const first = batched([], ["one", "two"], 0);
    expect(first.say).toEqual(["one", "two"]);
    const second = batched(first.recent, ["three"], 1000);
    expect(second.say).toEqual(["three"]);
    expect(batched(second.recent, ["four"], 2000).say).toBe(1);
    expect(batched(second.recent, ["four"], 9000).say).toEqual(["four"]);
    expect(batched([], ["a", "b", "c", "d", "e"], 0).say).toBe(5);
  });
});
