/**
 * Where the keys live: the client in a worker of this origin, asked by its page (`border.ts`), shared by tabs (`tabs.ts`).
 *
 * Spec: WEB-003, WEB-012, WEB-013.
 */

import { randomBytes } from "../crypto.ts";
import { b64e } from "../protocol/encoding.ts";
import type { Call, Reply } from "./api.ts";
import { background } from "./background.ts";
import { browserPlace } from "./backend_idb.ts";
import { type Client, openClient } from "./client.ts";
import { type Surroundings, serve } from "./tabs.ts";
import { type Pipes, type Port, pipesOf } from "./pipe.ts";
import { httpTransport } from "./transports/http.ts";

const NAME = "cloister";
/** While a page is there its session goes on. */
const ALIVE = 30_000;

interface Scope {
  postMessage(reply: Reply): void;
  onmessage: ((event: MessageEvent<Call | { readonly pipes: Port }>) => void) | null;
  readonly location: { readonly origin: string };
}

const scope = globalThis as unknown as Scope;
const channel = new BroadcastChannel(NAME);
const clock = (): number => Date.now() / 1000;

/** Connections of the own page (LIVE-016). */
let connections: Pipes | undefined;
const pipes: Pipes = async (other, hear) => connections?.(other, hear);

async function start(...[publish, follows]: Parameters<Surroundings["start"]>): Promise<Client> {
  const transport = httpTransport(scope.location.origin);
  const client = await openClient({ place: browserPlace(NAME), transport, clock, rng: randomBytes, live: true, publish, pipes });
  setInterval(() => background(client.touch()), ALIVE);
  // What the tab before had open stays open; pages that showed it hear when it does not.
  if (follows && !(await client.resume())) publish([{ event: "LockedNow", sph: "" }]);
  return client;
}

const ask = serve({
  tab: b64e(randomBytes(12)),
  tell: (told) => channel.postMessage(told),
  hear: (ear) => {
    channel.onmessage = ({ data }) => ear(data);
  },
  lead: () => new Promise((leads) => {
    background(navigator.locks.request(NAME, () => {
      leads();
      return new Promise<never>(() => undefined);
    }));
  }),
  reply: (reply) => scope.postMessage(reply),
  start,
});

scope.onmessage = ({ data }) => {
  if ("pipes" in data) connections = pipesOf(data.pipes);
  else ask(data);
};
