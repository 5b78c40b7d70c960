/**
 * The page's clock: one number that moves every fifteen seconds, so that times on the screen stay true.
 */

import { untrack } from "svelte";

const STEP = 15_000;

export const clock = $state({ now: read() });

/** Unix seconds now. The only place where the page reads the clock. */
export function read(): number {
  return Math.floor(Date.now() / 1000);
}

export function tick(): void {
  untrack(() => (clock.now = read()));
}

/** Begins ticking; returns what ends it. */
export function wind(): () => void {
  const timer = setInterval(tick, STEP);
  return () => clearInterval(timer);
}
