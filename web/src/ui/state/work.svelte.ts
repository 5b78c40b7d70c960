/**
 * One piece of work at a time behind a button: whether it runs, what went wrong with it.
 */

import { codeOf } from "../faults.ts";

export interface Work {
  readonly busy: boolean;
  /** What was thrown last; undefined while it runs and after it worked. */
  readonly failure: unknown;
  /** Runs it unless one runs already; answers whether it worked. A cancelled one leaves no fault. */
  run(act: () => Promise<unknown>): Promise<boolean>;
  clear(): void;
  /** What runs was cancelled: its fault is not shown. */
  cancelled(): void;
}

export function work(): Work {
  const state = $state<{ busy: boolean; failure: unknown }>({ busy: false, failure: undefined });
  // Whether it runs is asked of this one, so that an effect which begins work does not begin it anew when it ends.
  let runs = false;
  let dropped = false;
  return {
    get busy() {
      return state.busy;
    },
    get failure() {
      return state.failure;
    },
    async run(act) {
      if (runs) return false;
      runs = true;
      Object.assign(state, { busy: true, failure: undefined });
      dropped = false;
      try {
        await act();
        return true;
      } catch (thrown) {
        if (codeOf(thrown) === "L_INTERNAL" && !dropped) console.error(thrown);
        if (!dropped) state.failure = thrown;
        return false;
      } finally {
        runs = false;
        state.busy = false;
      }
    },
    clear() {
      state.failure = undefined;
    },
    cancelled() {
      dropped = true;
    },
  };
}
