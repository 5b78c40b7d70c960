/**
 * What went wrong, in words: cause, what happens by itself, what you can do, at most two actions.
 *
 * Takes whatever was thrown. The page's own wording of a fault (`app.<code>`) comes before the one shared with the
 * terminal, whose advice names commands. Spec: ERR-001, ERR-003.
 */

import { fault, known, line, say } from "./words.ts";
import type { Values } from "./words.ts";

export interface Shown {
  readonly code: string;
  readonly why: string;
  readonly next: string;
  readonly you: string;
  readonly actions: readonly string[];
}

interface Thrown { readonly code?: unknown; readonly data?: unknown; readonly retryAfter?: unknown }

/** The code of what was thrown; anything unknown counts as a fault of ours. */
export function codeOf(thrown: unknown): string {
  const code = (thrown as Thrown | undefined)?.code;
  return typeof code === "string" && /^[ECL]_/.test(code) && fault(code) !== undefined ? code : "L_INTERNAL";
}

export function dataOf(thrown: unknown): Record<string, unknown> {
  const data = (thrown as Thrown | undefined)?.data;
  return typeof data === "object" && data !== null ? (data as Record<string, unknown>) : {};
}

export function retryAfter(thrown: unknown): number | undefined {
  const seconds = (thrown as Thrown | undefined)?.retryAfter;
  return typeof seconds === "number" ? Math.ceil(seconds) : undefined;
}

/** The words of a code; `values` fill what the page's own wording leaves open. */
export function wordsOf(code: string, values: Values = {}): Shown {
  const words = fault(`app.${code}`) ?? fault(code) ?? fault("L_INTERNAL")!;
  return {
    code,
    why: line(words.why, values),
    next: line(words.next, values),
    you: line(words.you, values),
    actions: (words.actions ?? []).map((one) => line(one)),
  };
}

export function faultOf(thrown: unknown, values: Values = {}): Shown {
  return wordsOf(codeOf(thrown), values);
}

/** One line for a field: why a password or PIN is refused, else the fault's cause and advice. */
export function hint(thrown: unknown): string {
  const code = codeOf(thrown);
  const reason = dataOf(thrown)["reason"];
  const id = `app.weak-${code === "L_PIN" ? "pin" : "password"}-${typeof reason === "string" ? reason : ""}`;
  if ((code === "L_PIN" || code === "L_PASSWORD") && known(id)) return say(id);
  const words = faultOf(thrown);
  return `${words.why} ${words.you}`;
}
