/**
 * Another carrier for what is given: what goes over it, that nothing depends on it, and that a liar gains nothing by it
 * (LIVE-017, LIVE-018). The pipes here are lines of this process; those of browsers: tests/browser/test_channel.py.
 */

import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { WebSocket } from "ws";

import type { PageEvent } from "../../src/client/api.ts";
import { settled } from "../../src/client/background.ts";
import type { KeyAsked, KeyOffered } from "../../src/client/events.ts";
import { type Pipe, type Pipes, type Port, type Said, type Told, type Way, pipesOf } from "../../src/client/pipe.ts";
import type { Transport } from "../../src/client/transports/base.ts";
import { httpTransport } from "../../src/client/transports/http.ts";
import type { RawSocket } from "../../src/client/transports/websocket.ts";
import { randomBytes } from "../../src/crypto.ts";
import { b64e } from "../../src/protocol/encoding.ts";
import { decode } from "../../src/protocol/jws.ts";
import { type TestRelay, startRelay } from "../relay.ts";
import { type Person, person } from "./party.ts";

interface End extends Pipe {
  readonly hear: (text: string) => void;
  opens: (yes: boolean) => void;
  ends: () => void;
  other: End | undefined;
}

/** Lines between the clients of this file. `send` decides what becomes of a text; `join` whether two ends find each other. */
class Lines {
  readonly said: string[] = [];
  readonly ends = new Map<string, End>();
  join = true;
  send: (to: End, text: string) => void = (to, text) => to.hear(text);

  readonly pipes: Pipes = async (other, hear) => {
    const ufrag = b64e(randomBytes(6)).replace(/[-_]/g, "+");
    const way: Way = { ufrag, pwd: "p".repeat(24), fp: randomBytes(32), at: [new Uint8Array(18).fill(7)] };
    let [opens, ends] = [(_: boolean): void => undefined, (): void => undefined];
    const open = new Promise<boolean>((done) => (opens = done));
    const closed = new Promise<void>((done) => (ends = done));
    const end: End = {
      way, open, closed, hear, other: undefined,
      opens: (yes) => opens(yes),
      ends: () => ends(),
      meet: (met) => this.#join(end, this.ends.get(met.ufrag)),
      send: (text) => {
        this.said.push(decode(text, "sph-live+1").body["k"] as string);
        if (end.other !== undefined) this.send(end.other, text);
      },
      close: () => this.close(end),
    };
    this.ends.set(way.ufrag, end);
    if (other !== undefined) end.other = this.ends.get(other.ufrag);
    return end;
  };

  #join(one: End, other: End | undefined): void {
    if (!this.join || other?.other !== one) return;
    one.other = other;
    for (const end of [one, other]) end.opens(true);
  }

  close(end: End): void {
    if (!this.ends.delete(end.way.ufrag)) return;
    end.opens(false);
    end.ends();
    if (end.other !== undefined) this.close(end.other);
  }
}

let relay: TestRelay;
let lines = new Lines();
let passed: string[] = [];
let ada: Person;
let bo: Person;
let sph = "";

/** The relay, and the kinds of live messages it is given. */
function noting(): Transport {
  const real = httpTransport(relay.origin, (url) => new WebSocket(url, { perMessageDeflate: false }) as unknown as RawSocket);
  return {
    origin: real.origin,
    connect: (path) => real.connect(path),
    close: () => real.close(),
    request: (sent) => {
      if (sent.path === "/v1/live") {
        const { jws } = JSON.parse(new TextDecoder().decode(sent.body)) as { jws: string };
        passed.push(decode(jws, "sph-live+1").body["k"] as string);
      }
      return real.request(sent);
    },
  };
}

const is = (name: PageEvent["event"]) => (event: PageEvent): boolean => event.event === name;

function last<E extends PageEvent>(who: Person, name: E["event"]): E {
  return who.events.filter((one) => one.event === name).at(-1) as E;
}

/** A new key that bo lacks, asked for, until ada is asked. */
async function asked(): Promise<string> {
  await ada.client.rotate(sph, "");
  await bo.heard(is("NewKey"));
  passed = [];
  ada.client.context.transfers.seen.clear(); // no more than four of one device are answered in four minutes (LIVE-010)
  await bo.client.askLive(sph);
  await ada.heard(is("KeyAsked"));
  const { name, digits } = last<KeyAsked>(ada, "KeyAsked");
  expect(last<KeyOffered>(bo, "KeyOffered").digits).toBe(digits);
  return name;
}

async function received(): Promise<void> {
  await bo.heard(is("KeyReceived"));
  await ada.heard(is("KeyGiven"));
  expect((await bo.client.keys(sph)).every((one) => one.here)).toBe(true);
}

beforeAll(async () => {
  relay = await startRelay();
  const pipes: Pipes = (other, hear) => lines.pipes(other, hear);
  ada = await person("ada", { address: relay.origin, live: true, transport: noting(), pipes });
  bo = await person("bo", { address: relay.origin, live: true, transport: noting(), pipes });
  await ada.client.createAccount("ada", ada.password, { ticket: relay.code });
  const phone = await person("ada", { address: relay.origin });
  await phone.client.signIn("ada", ada.password, "Phone");
  await phone.client.close();
  await ada.client.sync();
  ({ sph } = await ada.client.createSphere("Harbour", { delivery: "live" }));
  const { url } = await ada.client.invite(sph, { uses: 1, seconds: 3600, role: "member", admit: "auto" });
  await bo.client.createAccount("bo", bo.password, { link: url });
  await bo.heard(is("Admitted"), is("KeyOffered"));
  await ada.heard(is("KeyAsked"));
  await ada.client.giveLive(sph, last<KeyAsked>(ada, "KeyAsked").name);
  await received();
});
beforeEach(() => {
  lines = new Lines();
});
afterAll(async () => {
  await ada.client.lock();
  await bo.client.lock();
  await settled();
  await relay.stop();
});

describe("a transfer with a channel", () => {
  test("give and done go over it, and nothing of it is left", async () => {
    await ada.client.giveLive(sph, await asked());
    await received();
    expect([passed, lines.said]).toEqual([["ask", "offer", "way", "open", "way"], ["give", "done"]]);
    expect(lines.ends.size).toBe(0);
  });

  test("who gives without being asked gives over it too", async () => {
    await ada.client.setProvides(sph, true);
    await ada.client.rotate(sph, "");
    await bo.heard(is("NewKey"));
    await bo.client.askLive(sph);
    await received();
    await ada.client.setProvides(sph, false);
    expect(lines.said).toEqual(["give", "done"]);
  });

  test("one that does not open: the relay carries on", async () => {
    lines.join = false;
    await ada.client.giveLive(sph, await asked());
    await received();
    expect([passed, lines.said]).toEqual([["ask", "offer", "way", "open", "way", "give", "done"], []]);
    expect(lines.ends.size).toBe(0);
  });

  test("one that swallows what it is given: the same bytes go to the relay", async () => {
    lines.send = () => undefined;
    await ada.client.giveLive(sph, await asked());
    await received();
    expect(passed.slice(5)).toEqual(["give", "done"]);
  });

  test("one that swallows the answer: it goes to the relay", async () => {
    lines.send = (to, text) => {
      if (decode(text, "sph-live+1").body["k"] === "give") to.hear(text);
    };
    await ada.client.giveLive(sph, await asked());
    await received();
    expect(passed.slice(5)).toContain("done");
    expect(lines.said).toEqual(["give", "done"]);
  });

  test("one that closes as soon as something is said: the relay carries on", async () => {
    lines.send = (to) => lines.close(to);
    await ada.client.giveLive(sph, await asked());
    await received();
    expect(passed.slice(5)).toEqual(["give", "done"]);
  });

  test("what comes over it twice is taken once, in its turn", async () => {
    lines.send = (to, text) => {
      for (let n = 0; n < 4; n += 1) to.hear(text);
    };
    await ada.client.giveLive(sph, await asked());
    await received();
    expect(lines.said).toEqual(["give", "done"]);
    expect(passed).not.toContain("end");
  });
});

describe("a liar", () => {
  test("says what is no give and no done: nothing comes of it", async () => {
    const kept: string[] = [];
    lines.send = (to, text) => {
      for (const junk of ["", "x".repeat(20_000), "a.b.c", ...kept]) to.hear(junk);
      kept.push(text);
      to.hear(text);
    };
    await ada.client.giveLive(sph, await asked());
    await received();
    expect(lines.said).toEqual(["give", "done"]);
  });

  test("changes what is given: refused as if the relay had, and nothing is taken", async () => {
    lines.send = (to, text) => to.hear(text.replace(/.{8}$/, "AAAAAAAA"));
    const name = await asked();
    await ada.client.giveLive(sph, name);
    await received(); // by the relay, with the signature it was given
    expect(passed.slice(5)).toEqual(["give", "done"]);
  });

  test("ends it while the channel is being made: nothing is given, over neither", async () => {
    lines.join = false;
    const name = await asked();
    const refused = expect(ada.client.giveLive(sph, name)).rejects.toMatchObject({ code: "L_NOT_FOUND" });
    await bo.client.endLive(sph, name, "different");
    await refused;
    expect(passed).not.toContain("give");
    expect(lines.said).toEqual([]);
    expect(lines.ends.size).toBe(0);
  });
});

describe("the page's end of a pipe", () => {
  function port(): { told: Told[]; say: (said: Said) => void; pipes: Pipes } {
    const told: Told[] = [];
    const end: Port = { postMessage: (one) => void told.push(one), onmessage: null };
    const pipes = pipesOf(end);
    return { told, pipes, say: (data) => end.onmessage!({ data } as MessageEvent<Said>) };
  }
  const way: Way = { ufrag: "abcd", pwd: "p".repeat(22), fp: new Uint8Array(32), at: [new Uint8Array(18)] };

  test("a page that cannot connect says so, and there is no pipe", async () => {
    const { told, say, pipes } = port();
    const made = pipes(undefined, () => undefined);
    say({ k: "closed", n: told[0]!.n });
    expect(await made).toBeUndefined();
  });

  test("what is said of one pipe is heard of no other, and nothing after its end", async () => {
    const { told, say, pipes } = port();
    const heard: string[] = [];
    const making = [pipes(undefined, (text) => heard.push(`1 ${text}`)), pipes(way, (text) => heard.push(`2 ${text}`))];
    for (const { n } of [...told]) say({ k: "made", n, way });
    const [one, two] = await Promise.all(making);
    say({ k: "open", n: 2 });
    say({ k: "text", n: 2, text: "give" });
    one!.close();
    say({ k: "text", n: 1, text: "late" });
    say({ k: "text", n: 3, text: "nobody's" });
    two!.send("done");
    expect(await Promise.all([one!.open, two!.open, one!.closed])).toEqual([false, true, undefined]);
    expect(heard).toEqual(["2 give"]);
    expect(told.map((message) => message.k)).toEqual(["make", "make", "close", "send"]);
  });
});
