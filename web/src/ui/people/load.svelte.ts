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
  const state = $state<{ value: T | undefined; failure: unknown }>({ value: undefined, failure: undefined });
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
        const value = await read(sph());
        if (mine === turn) Object.assign(state, { value, failure: undefined });
      } catch (thrown) {
        if (mine === turn) state.failure = thrown;
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
    state.value = undefined;
    again();
    return on(one, (event) => {
      if (event.event !== "NoticesPlaced") again();
    });
  });
  return {
    get value() {
      return state.value;
    },
    get failure() {
      return state.failure;
    },
    again,
  };
}
