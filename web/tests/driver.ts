/**
 * A browser's client in a process of its own, led line by line: what it is asked comes in as JSON, what it answers and
 * what it tells goes out. `driver ADDRESS` speaks to that relay; its store is memory and lives as long as the process.
 *
 * In: {"n": 1, "at": 1800000000, "method": "sync", "values": []}. `at` is the time of its clock from then on.
 * Out: {"n": 1, "value": …} or {"n": 1, "fault": {"code", "detail"}}, and {"event": …} whenever it tells something.
 * Methods are those of `Api`, and `restart`: closed and opened again on the same store.
 */

import { createInterface } from "node:readline";

import { WebSocket } from "ws";

import { memoryPlace } from "../src/client/backend_memory.ts";
import { type Client, openClient } from "../src/client/client.ts";
import { httpTransport } from "../src/client/transports/http.ts";
import type { RawSocket } from "../src/client/transports/websocket.ts";
import { randomBytes } from "../src/crypto.ts";
import { CloisterError } from "../src/errors.ts";

interface Asked {
  readonly n: number;
  readonly at: number;
  readonly method: string;
  readonly values: readonly unknown[];
}

const address = process.argv[2]!;
const place = memoryPlace();
let at = 0;

function say(line: unknown): void {
  process.stdout.write(`${JSON.stringify(line)}\n`);
}

function open(): Promise<Client> {
  const transport = httpTransport(address, (url) => new WebSocket(url, { perMessageDeflate: false }) as unknown as RawSocket);
  const publish = (events: readonly unknown[]): void => events.forEach((event) => say({ event }));
  return openClient({ place, transport, clock: () => at, rng: randomBytes, live: false, publish });
}

let client: Client | undefined;

async function answer({ method, values }: Asked): Promise<unknown> {
  if (method === "restart") {
    await client?.close();
    client = await open();
    return null;
  }
  client ??= await open();
  const act = (client as unknown as Record<string, (...given: readonly unknown[]) => Promise<unknown>>)[method];
  if (typeof act !== "function") throw new Error(`no method ${method}`);
  return (await act.apply(client, [...values])) ?? null;
}

for await (const line of createInterface({ input: process.stdin })) {
  const asked = JSON.parse(line) as Asked;
  at = asked.at;
  try {
    say({ n: asked.n, value: await answer(asked) });
  } catch (error) {
    if (!(error instanceof CloisterError)) throw error;
    say({ n: asked.n, fault: { code: error.code, detail: error.detail } });
  }
}
await client?.close();
