/**
 * A piece of a found text around the first word that was looked for, with the words marked. Pure.
 */

export interface Piece {
  readonly text: string;
  readonly hit: boolean;
}

const BEFORE = 24;
const LENGTH = 160;

/** Compared as the index does: case and accents do not count. A letter stays one letter, so that places agree. */
function folded(text: string): string {
  return [...text].map((one) => {
    const plain = one.normalize("NFKD").replace(/\p{M}/gu, "").toLowerCase();
    return plain.length === one.length ? plain : one;
  }).join("");
}

export function around(text: string, words: string): readonly Piece[] {
  const line = text.replace(/\s+/g, " ");
  const plain = folded(line);
  const wanted = folded(words).split(/\s+/).filter((one) => one !== "");
  const places = wanted.flatMap((word) => [...occurrences(plain, word)].map((from) => [from, from + word.length] as const));
  const first = Math.min(...places.map(([from]) => from));
  const begin = Number.isFinite(first) && first > BEFORE ? line.lastIndexOf(" ", first - BEFORE / 2) + 1 : 0;
  const end = Math.min(line.length, begin + LENGTH);
  const pieces: Piece[] = begin > 0 ? [{ text: "… ", hit: false }] : [];
  let at = begin;
  for (const [from, to] of [...places].sort((a, b) => a[0] - b[0] || b[1] - a[1])) {
    if (from < at || to > end) continue;
    if (from > at) pieces.push({ text: line.slice(at, from), hit: false });
    pieces.push({ text: line.slice(from, to), hit: true });
    at = to;
  }
  return at < end ? [...pieces, { text: line.slice(at, end), hit: false }] : pieces;
}

function* occurrences(text: string, word: string): Generator<number> {
  for (let at = text.indexOf(word); at >= 0; at = text.indexOf(word, at + word.length)) yield at;
}
