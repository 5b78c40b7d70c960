/**
 * The border between page and worker: nothing but its methods, no secret in any answer, faults as they were; and one client
 * for several tabs (WEB-003, WEB-012).
 */

import { afterAll, beforeAll, describe, expect, test, vi } from "vitest";

import type { Api, Call, PageEvent, Reply } from "../../src/client/api.ts";
import { METHODS, answer, faultOf, thrownOf } from "../../src/client/border.ts";
import { connect } from "../../src/client/remote.ts";
import { type Surroundings, serve } from "../../src/client/tabs.ts";
import { CloisterError, RateLimited, UsageError } from "../../src/errors.ts";
import { b64e } from "../../src/protocol/encoding.ts";
import { type TestRelay, startRelay } from "../relay.ts";
import { type Person, person } from "./party.ts";

vi.mock("../../src/crypto/argon2.ts", async (real) => (await import("../cheap.ts")).cheap(real));

const call = (method: string, ...values: unknown[]): Call => ({ n: 1, method: method as Call["method"], values });

describe("the methods", () => {
  let relay: TestRelay;
  let ada: Person;
  beforeAll(async () => {
    relay = await startRelay();
    ada = await person("ada", { address: relay.origin });
  });
  afterAll(async () => {
    await ada.client.close();
    await relay.stop();
  });

  test("every one of the border is there, and nothing else answers", async () => {
    for (const method of Object.keys(METHODS)) expect((ada.client as unknown as Record<string, unknown>)[method]).toBeTypeOf("function");
    const own = Object.getOwnPropertyNames(ada.client);
    const inherited: string[] = [];
    for (let one: object = Object.getPrototypeOf(ada.client); one !== null; one = Object.getPrototypeOf(one)) {
      inherited.push(...Object.getOwnPropertyNames(one));
    }
    const others = [...own, ...inherited].filter((name) => !Object.hasOwn(METHODS, name));
    expect(others).toEqual(expect.arrayContaining(["context", "close", "touch", "begin", "door", "constructor", "__proto__"]));
    for (const name of [...others, "then", "nothing"]) {
      expect(await answer(ada.client, call(name))).toEqual({ n: 1, fault: expect.objectContaining({ code: "L_USAGE" }) });
    }
    for (const values of [undefined, {}, "x"]) {
      expect(await answer(ada.client, { ...call("account"), values } as unknown as Call)).toMatchObject({ fault: { code: "L_USAGE" } });
    }
  });

  test("no answer, fault or event carries a password, a PIN, a key or a token", async () => {
    const replies: unknown[] = [];
    const channel = new MessageChannel();
    channel.port1.onmessage = ({ data }: MessageEvent<Call>) => {
      answers.push(answer(ada.client, data).then((reply) => {
        // Structured clone, as between page and worker: what cannot cross would throw here.
        const crossed = structuredClone(reply);
        replies.push(crossed);
        channel.port1.postMessage(crossed);
      }));
    };
    const answers: Promise<void>[] = [];
    const { api } = connect(channel.port2 as never, async () => false);
    const [wrong, fresh, pin] = ["not this password at all", "eleven-quiet-herons-by-the-mole", "805117"];
    await api.createAccount("ada", ada.password, { ticket: relay.code });
    const { context } = ada.client;
    const secrets = [context.mk, context.keys.dkSeed, context.keys.deSeed].map((one) => b64e(one));
    secrets.push(context.relay.token!);
    const { sph } = await api.createSphere("Harbour", {});
    await api.send(sph, "Anybody here?", {});
    await api.sync();
    for (const { n } of await api.keys(sph)) {
      secrets.push(b64e((await context.store.get<{ secret: Uint8Array }>("epochKey", [sph, n]))!.secret));
    }
    const questions: Promise<unknown>[] = [
      api.account(), api.openers(), api.serverInfo(), api.devices(), api.sessions(), api.spheres(true), api.sphere(sph),
      api.rows(sph, { limit: 20 }), api.inbox(5), api.outbox(), api.people(sph), api.invites(sph), api.pending(), api.requests(),
      api.log(sph, 0, 20), api.seen(sph), api.evidence(sph), api.doctor(), api.search("anybody", 5), api.headCode(sph),
      api.guesses("ada", fresh!), api.admin("GET", "health"),
      api.unlock(wrong!), api.changePassword(wrong!, fresh!), api.setPin(wrong!, pin!), api.setPin(ada.password, "111111"),
      api.revokeDevice("dv-none", wrong!), api.signIn("ada", wrong!, ""), api.join("https://elsewhere.example/j#nothing"),
    ];
    await Promise.allSettled(questions);
    await api.setPin(ada.password, pin!);
    await api.lock();
    await api.unlockWithPin("604938").catch(() => undefined);
    await api.unlockWithPin(pin!);
    await Promise.all(answers);
    channel.port1.close();
    const said = JSON.stringify([replies, ada.events]);
    expect(replies.length).toBeGreaterThan(questions.length);
    for (const secret of [ada.password, wrong!, fresh!, pin!, relay.code, ...secrets]) expect(said).not.toContain(secret);
    // Control: the search finds what does cross.
    expect(said).toContain("Anybody here?");
  });
});

describe("faults", () => {
  test("cross as they were", () => {
    const thrown = thrownOf(faultOf(new RateLimited("slow down", { retryAfter: 3, data: { left: 2 } })));
    expect(thrown).toBeInstanceOf(RateLimited);
    expect(thrown).toMatchObject({ code: "E_RATE", detail: "slow down", retryAfter: 3, data: { left: 2 } });
    expect(thrownOf(faultOf(new UsageError("no")))).toBeInstanceOf(UsageError);
  });

  test("what is no fault of the catalogue says its kind and nothing more", () => {
    const fault = faultOf(new TypeError("secret words"));
    expect(fault).toEqual({ code: "L_INTERNAL", detail: "TypeError", retryAfter: undefined, data: {} });
    expect(thrownOf(fault)).toBeInstanceOf(CloisterError);
  });
});

/** A browser with tabs: one channel, one lock that passes on when its holder goes, and a client that counts. */
function browser(): { open: (tab: string) => Tab; asked: string[]; began: string[]; hold: (method: string) => () => void } {
  const ears = new Map<string, (told: never) => void>();
  const queue: (() => void)[] = [];
  let holder: string | undefined;
  const asked: string[] = [];
  const began: string[] = [];
  const held = new Map<string, Promise<void>>();

  function open(tab: string): Tab {
    const replies: Reply[] = [];
    let alive = true;
    let wake = (): void => {};
    const here: Surroundings = {
      tab,
      tell: (told) => {
        if (alive) for (const [other, ear] of [...ears]) if (other !== tab) queueMicrotask(() => ear(structuredClone(told) as never));
      },
      hear: (ear) => void ears.set(tab, ear as (told: never) => void),
      lead: () => new Promise((leads) => {
        const take = (): void => {
          holder = tab;
          leads();
        };
        if (holder === undefined) take();
        else queue.push(take);
      }),
      reply: (reply) => {
        if (!alive) return;
        replies.push(reply);
        wake();
      },
      start: async (publish, follows) => {
        began.push(`${tab} ${follows}`);
        const methods = Object.keys(METHODS).map((method) => [method, async (...values: unknown[]) => {
          asked.push(`${tab} ${method}`);
          publish([{ event: "SphereChanged", sph: "sp", what: method, by: tab } as PageEvent]);
          await held.get(method);
          return { by: tab, values };
        }]);
        return Object.fromEntries(methods) as Api;
      },
    };
    const ask = serve(here);
    let n = 0;
    return {
      replies,
      ask: (method, ...values) => {
        n += 1;
        ask({ n, method, values });
        return n;
      },
      answered: async (which) => {
        for (;;) {
          const found = replies.find((one) => one.n === which && !("event" in one));
          if (found !== undefined) return found;
          await new Promise<void>((done) => (wake = done));
        }
      },
      close: () => {
        alive = false;
        ears.delete(tab);
        if (holder !== tab) return;
        holder = undefined;
        queue.shift()?.();
      },
    };
  }
  return { open, asked, began, hold: (method) => {
    let go = (): void => {};
    held.set(method, new Promise((done) => (go = done)));
    return go;
  } };
}

interface Tab {
  readonly replies: Reply[];
  ask(method: keyof Api, ...values: unknown[]): number;
  answered(n: number): Promise<Reply>;
  close(): void;
}

describe("several tabs", () => {
  const places = (tab: Tab): boolean[] =>
    tab.replies.flatMap((one) => ("event" in one && one.event.event === "Place" ? [one.event.leader] : []));

  test("one runs the client, all are answered, all hear", async () => {
    const { open, asked } = browser();
    const [one, two] = [open("one"), open("two")];
    expect(await one.answered(one.ask("spheres", true))).toMatchObject({ value: { by: "one", values: [true] } });
    expect(await two.answered(two.ask("send", "sp", "text", {}))).toMatchObject({ value: { by: "one", values: ["sp", "text", {}] } });
    expect(asked).toEqual(["one spheres", "one send"]);
    expect([places(one), places(two)]).toEqual([[false, true], [false]]);
    const heard = (tab: Tab): string[] => tab.replies.flatMap((reply) => ("event" in reply && reply.event.event === "SphereChanged" ? [reply.event.what] : []));
    expect([heard(one), heard(two)]).toEqual([["spheres", "send"], ["spheres", "send"]]);
  });

  test("when the one that led goes, questions are asked again, an act that was taken on ends as L_ONE_WRITER", async () => {
    const { open, asked, began, hold } = browser();
    const [one, two, three] = [open("one"), open("two"), open("three")];
    await one.answered(one.ask("account"));
    hold("send");
    const go = hold("spheres");
    const [act, question, other] = [two.ask("send", "sp", "text", {}), two.ask("spheres"), three.ask("spheres")];
    await two.answered(two.ask("account"));
    one.close();
    go();
    expect(await two.answered(act)).toMatchObject({ fault: { code: "L_ONE_WRITER" } });
    expect(await two.answered(question)).toMatchObject({ value: { by: "two" } });
    expect(await three.answered(other)).toMatchObject({ value: { by: "two" } });
    expect(asked.filter((line) => line.endsWith("send"))).toEqual(["one send"]);
    expect(places(two)).toEqual([false, true]);
    expect(places(three)).toEqual([false]);
    // The second tab's page had been answered by the first: it finds open what was open.
    expect(began).toEqual(["one false", "two true"]);
  });

  test("an act that nobody had taken on goes to the next, once", async () => {
    const { open, asked } = browser();
    const one = open("one");
    await one.answered(one.ask("account"));
    const two = open("two");
    one.close();
    const act = two.ask("send", "sp", "text", {});
    expect(await two.answered(act)).toMatchObject({ value: { by: "two" } });
    expect(asked.filter((line) => line.endsWith("send"))).toEqual(["two send"]);
  });
});
