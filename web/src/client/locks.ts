/**
 * Who may write now: within this worker writers of one thing take turns, and of all tabs only one runs the client.
 *
 * Spec: CLT-012, WEB-012.
 */

import type { Context } from "./context.ts";

/** Do `work` as the only writer of `what` (a sphere id or "account"). Not inside such work for the same `what`. */
export function writer<T>(ctx: Context, what: string, work: () => Promise<T>): Promise<T> {
  return ctx.profile.writer(what, work);
}
