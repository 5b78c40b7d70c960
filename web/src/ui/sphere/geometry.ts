/**
 * Where rows of different heights stand in a long list, which of them to draw, and how the list is held still.
 *
 * Pure arithmetic: tops are pixels from the beginning of the content, an anchor is a row's edge at a distance from the top
 * of what is in view. Whatever changes above an anchor, the anchor stays where it is. Spec: WEB-060.
 */

/** Rows drawn at most. */
export const MOST = 80;

/** Where each row begins; one more than there are rows. `lead`: what stands before the first. */
export function topsOf(heights: readonly number[], lead: number): Float64Array {
  const tops = new Float64Array(heights.length + 1);
  tops[0] = lead;
  for (let n = 0; n < heights.length; n += 1) tops[n + 1] = tops[n]! + heights[n]!;
  return tops;
}

/** The row that holds `y`; the first or the last when `y` lies outside. */
export function rowAt(tops: Float64Array, y: number): number {
  let low = 0;
  let high = Math.max(0, tops.length - 2);
  while (low < high) {
    const middle = (low + high + 1) >> 1;
    if (tops[middle]! <= y) low = middle;
    else high = middle - 1;
  }
  return low;
}

export interface Span {
  readonly from: number;
  /** Behind the last. */
  readonly to: number;
}

/** Rows in view: those of which something shows. */
export function inView(tops: Float64Array, top: number, height: number): Span {
  if (tops.length < 2) return { from: 0, to: 0 };
  const from = rowAt(tops, top);
  let to = from + 1;
  while (to < tops.length - 1 && tops[to]! < top + height) to += 1;
  return { from, to };
}

/** Rows to draw: those in view and about half a screen on both sides, never more than `most` beyond what is in view. */
export function toDraw(tops: Float64Array, top: number, height: number, most = MOST): Span {
  const seen = inView(tops, top, height);
  let { from, to } = seen;
  const [upper, lower] = [top - height / 2, top + height * 1.5];
  const last = tops.length - 1;
  while (to - from < most) {
    const above = from > 0 && tops[from]! > upper;
    const below = to < last && tops[to]! < lower;
    if (!above && !below) break;
    if (below) to += 1;
    if (above && to - from < most) from -= 1;
  }
  return { from, to };
}

/**
 * Of the rows to draw those that are drawn while there is room for `count` only: side by side, from the end if that is
 * followed, else from the first in view.
 */
export function firstOf(span: Span, seen: Span, count: number, fromEnd: boolean): Span {
  if (span.to - span.from <= count) return span;
  const from = fromEnd ? span.to - count : Math.min(seen.from, span.to - count);
  return { from, to: from + count };
}

export interface Anchor {
  readonly key: string;
  readonly edge: "top" | "bottom";
  /** Pixels from the top of the view to the edge. */
  readonly at: number;
}

/**
 * The rows in view as anchors, the best first: those whose end is in view, held by their end (so that a name or a day
 * that comes or goes above a text moves nothing), else the one row that fills the view, held by its beginning.
 */
export function anchorsOf(tops: Float64Array, keys: readonly string[], top: number, height: number): Anchor[] {
  const { from, to } = inView(tops, top, height);
  const found: Anchor[] = [];
  for (let n = from; n < to; n += 1) {
    const end = tops[n + 1]! - top;
    if (end >= 0 && end <= height) found.push({ key: keys[n]!, edge: "bottom", at: end });
  }
  if (found.length === 0 && from < to) found.push({ key: keys[from]!, edge: "top", at: tops[from]! - top });
  return found;
}

/** Where to scroll so that the first anchor that is still there stands where it stood; undefined when none is left. */
export function scrollFor(
  anchors: readonly Anchor[],
  tops: Float64Array,
  index: ReadonlyMap<string, number>,
): number | undefined {
  for (const { key, edge, at } of anchors) {
    const n = index.get(key);
    if (n !== undefined) return tops[edge === "top" ? n : n + 1]! - at;
  }
  return undefined;
}

/** The least scrolling that brings a row into view; undefined when it is. */
export function toShow(tops: Float64Array, n: number, top: number, height: number, edge: number): number | undefined {
  const [begin, end] = [tops[n]!, tops[n + 1]!];
  if (begin - edge < top) return begin - edge;
  if (end + edge > top + height) return Math.min(begin - edge, end + edge - height);
  return undefined;
}
