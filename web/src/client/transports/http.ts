/**
 * The network transport: fetch to one origin, and its live connection.
 *
 * Redirects are not followed, so a token never goes to another address; nothing is cached, no cookie is sent, an answer
 * has a greatest size. In a browser the origin is that of the page. Spec: CLT-025, CLT-026.
 */

import { origin as originOf } from "../../account/login.ts";
import type { Bytes } from "../../crypto.ts";
import { TooLarge, Unreachable, UsageError } from "../../errors.ts";
import type { Answer, Sent, Socket, Transport } from "./base.ts";
import { type SocketMaker, openSocket } from "./websocket.ts";

const MAX_ANSWER = 64 * 1024 * 1024;
/** Seconds without a byte after which a request is over. */
const PATIENCE = 30;

/** Whether the host is this machine by name or address. */
function isLoopback(origin: string): boolean {
  const host = new URL(origin).hostname;
  return host === "localhost" || /^127(?:\.[0-9]{1,3}){3}$/.test(host) || host === "[::1]";
}

async function body(response: Response, alive: () => void): Promise<Bytes> {
  const parts: Uint8Array[] = [];
  let size = 0;
  const reader = response.body?.getReader();
  for (;;) {
    const { done, value } = (await reader?.read()) ?? { done: true, value: undefined };
    if (done || value === undefined) break;
    alive();
    size += value.length;
    if (size > MAX_ANSWER) {
      await reader?.cancel();
      throw new TooLarge("the relay's answer is larger than any allowed one");
    }
    parts.push(value);
  }
  const out = new Uint8Array(size);
  let at = 0;
  for (const part of parts) {
    out.set(part, at);
    at += part.length;
  }
  return out;
}

async function request(origin: string, sent: Sent): Promise<Answer> {
  const headers: Record<string, string> = { accept: "application/json", ...sent.headers };
  if (sent.token !== undefined) headers["authorization"] = `Bearer ${sent.token}`;
  if (sent.body !== undefined) headers["content-type"] = "application/json";
  const stop = new AbortController();
  const late = (): ReturnType<typeof setTimeout> => setTimeout(() => stop.abort(), PATIENCE * 1000);
  let timer = late();
  const alive = (): void => {
    clearTimeout(timer);
    timer = late();
  };
  try {
    const response = await fetch(origin + sent.path, {
      method: sent.method, headers, body: (sent.body as Bytes | undefined) ?? null, redirect: "error", credentials: "omit",
      cache: "no-store", referrerPolicy: "no-referrer", signal: stop.signal,
    });
    alive();
    return { status: response.status, body: await body(response, alive), headers: Object.fromEntries(response.headers) };
  } catch (error) {
    if (error instanceof TooLarge) throw error;
    throw new Unreachable(origin);
  } finally {
    clearTimeout(timer);
  }
}

/** Requests to one relay. `makeSocket`: the platform's WebSocket, or another of its form. Throws UsageError. */
export function httpTransport(address: string, makeSocket?: SocketMaker): Transport {
  const origin = originOf(address);
  if (origin.startsWith("http:") && !isLoopback(origin)) throw new UsageError("plain http only to this machine");
  return {
    origin,
    request: (sent) => request(origin, sent),
    connect: (path): Promise<Socket> => openSocket(`ws${origin.slice("http".length)}${path}`, makeSocket),
    close: async () => {},
  };
}
