/**
 * What a row is called when it is read out, and how high it probably is before it is measured. Pure. Spec: WEB-060.
 */

import type { Message } from "../../client/records.ts";
import { clock } from "../time.ts";
import { say } from "../words.ts";
import type { Line } from "./lines.ts";

const LONG = 300;

/** The name of a row: who, when, what, and what is special about it. `covered`: the text is not to be told. */
export function nameOf(line: Line, covered = false): string {
  switch (line.is) {
    case "notice":
      return line.told.text;
    case "gap":
      return say("row.gap", { n: line.gap.missing, name: line.gap.name });
    case "closed":
      return say(`row.closed-${line.why}`, { n: line.count });
    case "message":
      return messageName(line, covered);
  }
}

/** What a message that is not shown is called: its check failed, or its sender names another history. */
export function oddOf({ state, code }: Message): "damaged" | "quarantined" | undefined {
  if (state === "quarantined") return code === "C_SIG" ? "damaged" : state;
  return state === "damaged" ? state : undefined;
}

function messageName({ message, comments, news }: Line & { is: "message" }, covered: boolean): string {
  const parts = [message.name, clock(message.at)];
  const odd = oddOf(message);
  if (odd !== undefined) parts.push(say(`row.${odd}-short`));
  else if (message.deleted) parts.push(say("row.deleted"));
  else parts.push(covered ? say("row.covered") : message.text.slice(0, LONG));
  if (message.state === "waiting") parts.push(say("row.waiting"));
  if (message.edited && !message.deleted) parts.push(say("row.edited"));
  if (message.open) parts.push(say("word.open"));
  if (comments > 0) parts.push(commentsOf(comments, news));
  return parts.filter((one) => one !== "").join(", ");
}

export function commentsOf(comments: number, news: number): string {
  const all = say("row.comments", { n: comments });
  return news > 0 ? `${all}, ${say("row.news", { n: news })}` : all;
}

/** In rem. */
export function guessOf(line: Line): number {
  const extra = (line.day === undefined ? 0 : 2.5) + (line.fresh ? 1.75 : 0);
  if (line.is !== "message") return extra + 2.25;
  const { text, reactions } = line.message;
  const rows = text.split("\n").reduce((sum, one) => sum + Math.max(1, Math.ceil(one.length / 72)), 0);
  const under = (line.comments > 0 ? 1.75 : 0) + (reactions.length > 0 ? 2.125 : 0);
  return extra + rows * 1.375 + (line.head ? 2.375 : 0.25) + under;
}
