/**
 * A turn for whatever else waits: long work on the page goes on after it, so that keys and frames come between.
 */

interface Scheduler {
  yield?(): Promise<void>;
}

export function turn(): Promise<void> {
  const { scheduler } = globalThis as { scheduler?: Scheduler };
  return scheduler?.yield?.() ?? new Promise((done) => setTimeout(done, 0));
}
