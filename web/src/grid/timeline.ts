/**
 * The order in which a conversation is read: by what each side held when it wrote, not by clocks.
 *
 * Spec: GRID-057.
 */

/**
 * What is shown: its writer, its place, the place up to which that one held the other's chain (-1 for an invitation),
 * and `iat`.
 */
export interface Item {
  readonly sender: string;
  readonly place: number;
  readonly after: number;
  readonly iat: number;
}

const byText = (one: string, other: string): number => (one < other ? -1 : one > other ? 1 : 0);

/** The items as they are read (GRID-057). Each place stands once; what an item waits for need not be there. */
export function order<T extends Item>(items: readonly T[]): T[] {
  const sides = new Map<string, T[]>();
  for (const item of [...items].sort((a, b) => byText(a.sender, b.sender) || a.place - b.place)) {
    sides.set(item.sender, [...(sides.get(item.sender) ?? []), item]);
  }
  const out: T[] = [];
  while (sides.size > 0) {
    const heads = [...sides.values()].map((side) => side[0]!);
    const free = heads.filter((head) => !waits(head, heads));
    const next = (free.length > 0 ? free : heads).reduce((a, b) => (earlier(b, a) ? b : a));
    out.push(next);
    const left = sides.get(next.sender)!.slice(1);
    if (left.length > 0) sides.set(next.sender, left);
    else sides.delete(next.sender);
  }
  return out;
}

function earlier(one: Item, other: Item): boolean {
  return (one.iat - other.iat || byText(one.sender, other.sender)) < 0;
}

/** Whether something it was written after is still to come. */
function waits(item: Item, heads: readonly Item[]): boolean {
  return heads.some((head) => head.sender !== item.sender && head.place <= item.after);
}
