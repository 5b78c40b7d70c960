/**
 * People of a test: each a client with a place of its own in memory, on one relay.
 */

import { WebSocket } from "ws";

import { memoryPlace } from "../../src/client/backend_memory.ts";
import type { PageEvent } from "../../src/client/api.ts";
import { type Client, type Options, openClient } from "../../src/client/client.ts";
import type { Place } from "../../src/client/profile.ts";
import { httpTransport } from "../../src/client/transports/http.ts";
import type { RawSocket } from "../../src/client/transports/websocket.ts";
import { randomBytes } from "../../src/crypto.ts";

export interface Person {
  readonly client: Client;
  readonly place: Place;
  readonly events: PageEvent[];
  readonly password: string;
  /** When each of these fits an event, in any order, of those told since the last such wait. */
  heard(...fits: ((event: PageEvent) => boolean)[]): Promise<void>;
}

export interface Given extends Partial<Omit<Options, "publish">> {
  readonly address: string;
}

/** Open a client; the same `place` again is the same browser after a reload. */
export async function person(name: string, { address, ...given }: Given): Promise<Person> {
  const place = given.place ?? memoryPlace();
  const events: PageEvent[] = [];
  let wake = (): void => {};
  const publish = (told: readonly PageEvent[]): void => {
    events.push(...told);
    wake();
  };
  const transport = httpTransport(address, (url) => new WebSocket(url, { perMessageDeflate: false }) as unknown as RawSocket);
  const client = await openClient({
    place, transport, clock: () => Date.now() / 1000, rng: randomBytes, live: false, ...given, publish,
  });
  let from = 0;
  return {
    client, place, events, password: `seven-${name}-grey-seals-on-a-rock`,
    heard: async (...fits) => {
      for (;;) {
        const places = fits.map((one) => events.findIndex((event, at) => at >= from && one(event)));
        if (!places.includes(-1)) {
          from = Math.max(...places) + 1;
          return;
        }
        await new Promise<void>((done) => (wake = done));
      }
    },
  };
}
