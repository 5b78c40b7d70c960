/**
 * Work that nobody waits for. Its known trouble is recorded where it belongs (on the item, as a stop, at the next round);
 * an unknown one is not swallowed.
 */

import { CloisterError } from "../errors.ts";

const running = new Set<Promise<void>>();

/** Let `work` go on by itself. */
export function background(work: Promise<unknown>): void {
  const own = work.then(
    () => undefined,
    (error: unknown) => {
      if (!(error instanceof CloisterError)) queueMicrotask(() => { throw error; });
    },
  ).then(() => void running.delete(own));
  running.add(own);
}

/** When everything begun so far has ended: for tests, and before a store is closed. */
export async function settled(): Promise<void> {
  while (running.size > 0) await Promise.all(running);
}
