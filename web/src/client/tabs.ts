/**
 * Several tabs, one client: the worker that holds the lock runs it and answers for all; the others hand their page's calls
 * on and take over when it goes.
 *
 * A question that was not answered is asked again of the next; an act that had been taken on ends as L_ONE_WRITER, because
 * nobody knows how far it came, and what was durable shows itself. Spec: CLT-012, WEB-012.
 */

import { AlreadyRunning, UsageError } from "../errors.ts";
import type { Api, Call, PageEvent, Reply } from "./api.ts";
import { METHODS, answer, faultOf, isMethod } from "./border.ts";

type Told =
  | { readonly k: "call"; readonly tab: string; readonly call: Call }
  | { readonly k: "taken"; readonly tab: string; readonly n: number }
  | { readonly k: "reply"; readonly tab: string; readonly reply: Reply }
  | { readonly k: "event"; readonly event: PageEvent }
  | { readonly k: "lead" };

/** What a tab needs of the browser. */
export interface Surroundings {
  readonly tab: string;
  /** To all other tabs of this origin. */
  readonly tell: (told: Told) => void;
  readonly hear: (ear: (told: Told) => void) => void;
  /** When the lock is ours; it is held as long as the worker lives. */
  readonly lead: () => Promise<void>;
  /** To the own page. */
  readonly reply: (reply: Reply) => void;
  /**
   * Begin the client; its events go to `publish`. `follows`: this tab's page was answered by another tab until now, and is
   * to find things as they were.
   */
  readonly start: (publish: (events: readonly PageEvent[]) => void, follows: boolean) => Promise<Api>;
}

interface Waiting {
  readonly call: Call;
  taken: boolean;
}

/** Serve the calls of the own page, here or through the tab that leads. Returns what takes them. */
export function serve(here: Surroundings): (call: Call) => void {
  const waiting = new Map<number, Waiting>();
  let client: Promise<Api> | undefined;
  let follows = false;

  const place = (leader: boolean): void => here.reply({ n: 0, event: { event: "Place", sph: "", leader, persisted: false } });
  const done = (reply: Reply): void => {
    waiting.delete(reply.n);
    here.reply(reply);
  };

  function ask(call: Call): void {
    if (!isMethod(call.method)) {
      here.reply({ n: call.n, fault: faultOf(new UsageError("no such method")) });
      return;
    }
    const one = { call, taken: false };
    waiting.set(call.n, one);
    if (client === undefined) here.tell({ k: "call", tab: here.tab, call });
    else local(client, call, done);
  }

  /** The tab that led is gone: what it had taken on and is no question ends, everything else goes to the next. */
  function again(): void {
    for (const one of [...waiting.values()]) {
      const { call, taken } = one;
      if (taken && METHODS[call.method] === "act") {
        done({ n: call.n, fault: faultOf(new AlreadyRunning("the tab that did this was closed")) });
      } else {
        one.taken = false;
        if (client === undefined) here.tell({ k: "call", tab: here.tab, call });
        else local(client, call, done);
      }
    }
  }

  function told(message: Told): void {
    if (message.k === "call" && client !== undefined) {
      const { tab, call } = message;
      here.tell({ k: "taken", tab, n: call.n });
      local(client, call, (reply) => here.tell({ k: "reply", tab, reply }));
    } else if (message.k === "taken" && message.tab === here.tab) {
      const one = waiting.get(message.n);
      if (one !== undefined) one.taken = true;
    } else if (message.k === "reply" && message.tab === here.tab) {
      if (waiting.has(message.reply.n)) done(message.reply);
    } else if (message.k === "event") here.reply({ n: 0, event: message.event });
    else if (message.k === "lead" && client === undefined) again();
    follows ||= client === undefined && message.k === "reply";
  }

  async function lead(): Promise<void> {
    await here.lead();
    client = here.start((events) => {
      for (const event of events) {
        here.tell({ k: "event", event });
        here.reply({ n: 0, event });
      }
    }, follows);
    here.tell({ k: "lead" });
    place(true);
    again();
  }

  here.hear(told);
  place(false);
  leading.add(lead());
  return ask;
}

const leading = new Set<Promise<void>>();

function local(client: Promise<Api>, call: Call, done: (reply: Reply) => void): void {
  running.add(client.then(
    (api) => answer(api, call),
    (error: unknown): Reply => ({ n: call.n, fault: faultOf(error) }),
  ).then(done));
}

const running = new WeakSet<Promise<void>>();
