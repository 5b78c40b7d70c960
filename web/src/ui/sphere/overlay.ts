/**
 * Own changes on their way, laid over the messages they change, so that they show at once. Pure. Spec: WEB-061.
 */

import type { Message, OutboxItem } from "../../client/records.ts";

export interface Overlaid {
  readonly message: Message;
  /** The item of the outbox that is this text, or that changes it. */
  readonly item: OutboxItem | undefined;
  /** It is about to be deleted. */
  readonly going: boolean;
}

type Reactions = Message["reactions"];

/** The items that concern each message, by the cid of a waiting text or the mid they change. */
export function byMessage(outbox: readonly OutboxItem[], sph: string): ReadonlyMap<string, readonly OutboxItem[]> {
  const found = new Map<string, OutboxItem[]>();
  for (const one of outbox) {
    if (one.sph !== sph) continue;
    const changes = one.re !== undefined && ["edit", "delete", "react"].includes(one.kind);
    const key = changes ? one.re! : one.id;
    found.set(key, [...(found.get(key) ?? []), one]);
  }
  return found;
}

/** `me`: the own name, as reactions have it. */
export function overlaid(message: Message, items: ReadonlyMap<string, readonly OutboxItem[]>, me: string): Overlaid {
  if (message.state === "waiting") return { message, item: items.get(message.cid)?.[0], going: false };
  const changes = items.get(message.mid);
  if (changes === undefined) return { message, item: undefined, going: false };
  let { text, edited, reactions } = message;
  let going = false;
  for (const one of changes) {
    if (one.state === "failed") continue;
    if (one.kind === "edit") [text, edited] = [one.text, true];
    else if (one.kind === "delete") going = true;
    else reactions = toggled(reactions, one.text, me);
  }
  const failed = changes.find((one) => one.state === "failed" && one.kind !== "react");
  const item = failed ?? changes.find((one) => one.kind === "edit");
  return { message: { ...message, text, edited, reactions }, item, going };
}

export function reacted(reactions: Reactions, emoji: string, me: string): boolean {
  return reactions.some(([one, names]) => one === emoji && names.includes(me));
}

function toggled(reactions: Reactions, emoji: string, me: string): Reactions {
  const others = (names: readonly string[]): readonly string[] => names.filter((name) => name !== me);
  if (!reacted(reactions, emoji, me)) {
    const known = reactions.some(([one]) => one === emoji);
    return known
      ? reactions.map((one) => (one[0] === emoji ? ([emoji, [...one[1], me]] as const) : one))
      : [...reactions, [emoji, [me]] as const];
  }
  return reactions
    .map((one) => (one[0] === emoji ? ([emoji, others(one[1])] as const) : one))
    .filter(([, names]) => names.length > 0);
}
