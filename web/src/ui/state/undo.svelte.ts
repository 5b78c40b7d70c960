/**
 * Five seconds to think again: what would be signed and cannot be taken back waits here first.
 *
 * One at a time: the next one lets the one before it happen at once. So does leaving the page.
 */

import { aside, report } from "./aside.ts";

const HELD = 5000;

interface Held { readonly text: string; readonly act: () => Promise<unknown>; readonly failed: (thrown: unknown) => void }

export const undo = $state<{ held: Held | undefined }>({ held: undefined });
let timer: ReturnType<typeof setTimeout> | undefined;

/** Says `text` with Undo, then acts. `failed` hears what went wrong. */
export function hold(text: string, act: () => Promise<unknown>, failed: (thrown: unknown) => void = report): void {
  happen();
  undo.held = { text, act, failed };
  timer = setTimeout(happen, HELD);
}

/** Lets what is held happen now. */
export function happen(): void {
  clearTimeout(timer);
  const held = undo.held;
  undo.held = undefined;
  if (held) aside(held.act(), held.failed);
}

export function takeBack(): void {
  clearTimeout(timer);
  undo.held = undefined;
}
