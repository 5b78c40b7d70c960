/**
 * Who listens: one live connection for the open profile, kept until it is closed or the relay takes this device no more.
 *
 * A device that a signed entry removed is handed back to be locked; a mere refusal is told and can be tried again.
 * Spec: CLT-033, CLT-038.
 */

import { CloisterError, DeviceRevoked } from "../errors.ts";
import { background } from "./background.ts";
import type { Context } from "./context.ts";
import * as live from "./live.ts";

export class Listening {
  readonly #revoked: () => Promise<void>;
  #now: Context | undefined = undefined;

  constructor(revoked: () => Promise<void>) {
    this.#revoked = revoked;
  }

  /** Listen, unless somebody does; may be repeated. */
  begin(ctx: Context, closed: AbortSignal): void {
    if (this.#now === ctx || closed.aborted) return;
    this.#now = ctx;
    background(this.#run(ctx, closed));
  }

  async #run(ctx: Context, closed: AbortSignal): Promise<void> {
    try {
      await live.run(ctx, closed);
    } catch (error) {
      if (!(error instanceof CloisterError)) throw error;
      if (error instanceof DeviceRevoked && !closed.aborted) await this.#revoked();
    } finally {
      if (this.#now === ctx) this.#now = undefined;
    }
  }
}
