/**
 * Which of a list somebody means by a few typed letters: whole beginnings first, then beginnings of words, then letters in order.
 */

export function find<T>(list: readonly T[], typed: string, label: (one: T) => string): readonly T[] {
  const wanted = fold(typed.trim());
  if (wanted === "") return list;
  const ranked = list.map((one, n) => ({ one, n, rank: rank(fold(label(one)), wanted) })).filter(({ rank }) => rank < 9);
  return ranked.sort((a, b) => a.rank - b.rank || a.n - b.n).map(({ one }) => one);
}

/** Small letters without accents. */
function fold(text: string): string {
  return text.normalize("NFKD").replace(/\p{M}/gu, "").toLowerCase();
}

function rank(label: string, wanted: string): number {
  if (label.startsWith(wanted)) return 0;
  if (label.split(/[^\p{L}\p{N}]+/u).some((word) => word.startsWith(wanted))) return 1;
  if (wanted.length < 2) return 9;
  if (label.includes(wanted)) return 2;
  if (wanted.length < 3) return 9;
  let at = -1;
  for (const letter of wanted) {
    at = label.indexOf(letter, at + 1);
    if (at < 0) return 9;
  }
  return 3;
}
