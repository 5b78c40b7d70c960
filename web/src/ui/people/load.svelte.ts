/**
 * A part of a page that loads by itself and again when its sphere changes; what was shown stays while it loads.
 */

import { on } from "../state/app.svelte.ts";
import { aside } from "../state/aside.ts";

export interface Loaded<T> {
  readonly value: T | undefined;
  readonly failure: unknown;
  again(): void;
}

/** Reads at once and after every event of `sph`; call while a component is being made. */
export function load<T>(sph: () => string, read: (sph: string) => Promise<T>): Loaded<T> {
  // Records as they came: what is handed back to the worker has to be none of the page's own making.
  let value = $state.raw<T>();
  let failure = $state.raw<unknown>();
  let turn = 0;
  let wanted = false;
  let busy = false;

  async function run(): Promise<void> {
    if (busy) {
      wanted = true;
      return;
    }
    busy = true;
    do {
      wanted = false;
      const mine = turn;
      try {
        const found = await read(sph());
        if (mine === turn) [value, failure] = [found, undefined];
      } catch (thrown) {
        if (mine === turn) failure = thrown;
      }
    } while (wanted);
    busy = false;
  }
  function again(): void {
    aside(run());
  }

  $effect(() => {
    const one = sph();
    turn += 1;
    value = undefined;
    again();
    return on(one, (event) => {
      if (event.event !== "NoticesPlaced") again();
    });
  });
  return {
    get value() {
      return value;
    },
    get failure() {
      return failure;
    },
    again,
  };
}
