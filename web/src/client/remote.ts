/**
 * The page's side of the border: methods that ask the worker, and its events. Knows no key. Spec: WEB-003, WEB-004.
 */

import { Locked } from "../errors.ts";
import type { Api, Call, Method, PageEvent, Reply } from "./api.ts";
import { METHODS, thrownOf } from "./border.ts";

/** The part of a worker that is used. */
export interface Port {
  postMessage(call: Call): void;
  onmessage: ((event: MessageEvent<Reply>) => void) | null;
  onerror?: ((event: ErrorEvent) => void) | null;
}

export interface Remote {
  readonly api: Api;
  /** Hear all events. Returns what ends it. */
  readonly subscribe: (hear: (event: PageEvent) => void) => () => void;
}

interface Asked {
  readonly done: (value: unknown) => void;
  readonly failed: (error: Error) => void;
}

/** Speak with a worker. `persisted`: whether the browser promised to keep what is stored here. */
export function connect(port: Port, persisted: () => Promise<boolean>): Remote {
  const asked = new Map<number, Asked>();
  const ears = new Set<(event: PageEvent) => void>();
  let last = 0;

  const hear = (event: PageEvent): void => {
    for (const ear of [...ears]) ear(event);
  };
  const seen = async (event: PageEvent): Promise<void> =>
    hear(event.event === "Place" ? { ...event, persisted: await persisted() } : event);

  port.onmessage = ({ data: reply }) => {
    if ("event" in reply) {
      if (reply.event.event === "Place") told.add(seen(reply.event));
      else hear(reply.event);
      return;
    }
    const one = asked.get(reply.n);
    asked.delete(reply.n);
    if ("fault" in reply) one?.failed(thrownOf(reply.fault));
    else one?.done(reply.value);
  };
  port.onerror = () => {
    // The worker did not start: nothing will ever answer.
    for (const { failed } of asked.values()) failed(new Locked("the worker did not start"));
    asked.clear();
  };

  const ask = (method: Method, values: readonly unknown[]): Promise<unknown> =>
    new Promise((done, failed) => {
      last += 1;
      asked.set(last, { done, failed });
      port.postMessage({ n: last, method, values });
    });
  const methods = Object.keys(METHODS) as Method[];
  const api = Object.fromEntries(methods.map((method) => [method, (...values: unknown[]) => ask(method, values)]));
  return {
    api: api as unknown as Api,
    subscribe: (ear) => {
      ears.add(ear);
      return () => ears.delete(ear);
    },
  };
}

const told = new WeakSet<Promise<void>>();
