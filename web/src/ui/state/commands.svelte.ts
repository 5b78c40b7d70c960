/**
 * What can be done at this moment: screens add commands while they are shown; keys and the palette call them.
 *
 * The command added last answers first, so that a layer on top takes the keys of what lies below.
 */

import { untrack } from "svelte";

import { commandOf, infield } from "../keys.ts";
import type { CommandId } from "../keys.ts";
import { display } from "./display.svelte.ts";

export interface Command {
  /** A shortcut's id, or any other word. */
  readonly id: CommandId | (string & {});
  readonly run: () => unknown;
  /** Shown in the palette; without it the command answers keys only. */
  readonly label?: string;
}

let list = $state.raw<readonly Command[]>([]);
export const commands = {
  get list(): readonly Command[] {
    return list;
  },
};

/** Adds commands; returns what removes them: `$effect(() => add({ id: "comment", run }))`. */
export function add(...more: Command[]): () => void {
  untrack(() => { list = [...list, ...more]; });
  return () => untrack(() => { list = list.filter((one) => !more.includes(one)); });
}

export function run(id: string): boolean {
  const found = list.filter((one) => one.id === id).at(-1);
  found?.run();
  return found !== undefined;
}

/** Hears key presses for the whole page. A dialog keeps its own. */
export function onkeydown(event: KeyboardEvent): void {
  if (event.defaultPrevented || event.isComposing) return;
  const id = commandOf(event, infield(event.target), display.letters);
  if (id === undefined) return;
  const inside = event.target instanceof Element && event.target.closest("dialog") !== null;
  if (inside && id !== "lock") return;
  if (run(id)) event.preventDefault();
}
