/**
 * Work nobody waits for, kept in sight while it runs; what goes wrong with it goes to one place.
 */

const running = new Set<Promise<unknown>>();

export function aside(work: Promise<unknown>, failed: (thrown: unknown) => void = report): void {
  const one: Promise<unknown> = work.catch(failed).then(() => running.delete(one));
  running.add(one);
}

/** What should not happen is told to whoever looks at the console, and to nobody else. */
export function report(thrown: unknown): void {
  console.error(thrown);
}
