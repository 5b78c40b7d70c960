/**
 * Members for tests: accounts on a real relay, each with a place in memory, a network that can fail, and a profile that
 * can end between any two steps and be opened again from what is durable.
 */

import { WebSocket } from "ws";

import { unpackDevice } from "../../src/account/keys.ts";
import { type Vault, storeKey } from "../../src/account/vault.ts";
import type { Backend } from "../../src/client/backend.ts";
import { memoryPlace } from "../../src/client/backend_memory.ts";
import type { Context } from "../../src/client/context.ts";
import * as delivery from "../../src/client/delivery.ts";
import * as enrol from "../../src/client/enrol.ts";
import type { Event } from "../../src/client/events.ts";
import * as links from "../../src/client/links.ts";
import * as memory from "../../src/client/memory.ts";
import { type Place, Profile } from "../../src/client/profile.ts";
import type { Message, SyncReport } from "../../src/client/records.ts";
import { Relay } from "../../src/client/relay.ts";
import * as removal from "../../src/client/removal.ts";
import * as spheres from "../../src/client/sphere.ts";
import { meta, secret, setMeta } from "../../src/client/store.ts";
import * as syncing from "../../src/client/syncing.ts";
import * as timeline from "../../src/client/timeline.ts";
import type { Answer, Sent, Transport } from "../../src/client/transports/base.ts";
import { httpTransport } from "../../src/client/transports/http.ts";
import type { RawSocket } from "../../src/client/transports/websocket.ts";
import { none as transfers } from "../../src/client/transfers.ts";
import { type Bytes, randomBytes } from "../../src/crypto.ts";
import { Locked, Unreachable } from "../../src/errors.ts";
import type { TestRelay } from "../relay.ts";

export const PASSWORD = "kettle-orchid-93-lantern";

/** The process is gone: no code handles this. */
export class Ended extends Error {}

/** What becomes of a request: sent or not, answered or not, or answered by somebody else. */
export type Fate = "sent" | "lost" | "unanswered" | Answer;

/** A network between a member and the relay. */
export interface Wire {
  /** Decides for each request. */
  fate: (sent: Sent, at: number) => Fate;
  /** What comes of a true answer: a relay that shows something else. */
  alter: (sent: Sent, answer: Answer) => Answer;
  /** Requests as `POST /spheres/sp-…/messages`. */
  readonly seen: string[];
}

/** Ends a profile at one of its durable writes: before it is made, or just after. */
export interface End {
  readonly write: number;
  readonly after: boolean;
}

export interface Member {
  readonly login: string;
  readonly place: Place;
  readonly vault: Vault;
  readonly vk: Bytes;
  readonly wire: Wire;
  readonly events: Event[];
  /** Seconds added to this member's clock. */
  skew: number;
  ctx: Context;
  /** Durable writes since the last opening. */
  writes: number;
}

const clock = (): number => Date.now() / 1000;

function wired(origin: string, wire: Wire, ended: () => boolean): Transport {
  const real = httpTransport(origin, (url) => new WebSocket(url, { perMessageDeflate: false }) as unknown as RawSocket);
  const check = (): void => {
    if (ended()) throw new Ended();
  };
  return {
    origin: real.origin,
    request: async (sent) => {
      check();
      wire.seen.push(`${sent.method} ${sent.path.replace(/^\/v1/, "").split("?")[0]!}`);
      const fate = wire.fate(sent, wire.seen.length);
      if (fate === "lost") throw new Unreachable("lost on the way");
      if (typeof fate === "object") return fate;
      const answer = await real.request(sent);
      check();
      if (fate === "unanswered") throw new Unreachable("the answer was lost");
      return wire.alter(sent, answer);
    },
    connect: (path) => {
      check();
      return real.connect(path);
    },
    close: () => real.close(),
  };
}

/** A backend that stops the whole process at a write. */
function ending(backend: Backend, member: { writes: number }, end: End | undefined, over: { ended: boolean }): Backend {
  const check = (): void => {
    if (over.ended) throw new Ended();
  };
  return {
    get: async (table, key) => (check(), backend.get(table, key)),
    range: async (table, index, bounds) => (check(), backend.range(table, index, bounds)),
    count: async (table, index, bounds) => (check(), backend.count(table, index, bounds)),
    write: async (puts, drops) => {
      check();
      member.writes += 1;
      const last = end?.write === member.writes;
      if (last && !end.after) over.ended = true;
      check();
      await backend.write(puts, drops);
      if (last) over.ended = true;
      check();
    },
    clear: () => backend.clear(),
    close: async () => {},
  };
}

async function opened(
  origin: string,
  place: Place,
  { vault, vk }: { vault: Vault; vk: Bytes },
  wire: Wire,
  member: { writes: number; skew: number; events: Event[] },
  end?: End,
): Promise<Context> {
  const over = { ended: false };
  const relay = new Relay(wired(origin, wire, () => over.ended));
  member.writes = 0;
  const replicas = new Map();
  const shaky: Place = { ...place, tables: async () => ending(await place.tables(), member, end, over) };
  const profile = new Profile(shaky, randomBytes);
  const store = await profile.openStore(storeKey(vk, vault), {
    publish: (events) => void member.events.push(...events), undone: () => replicas.clear(),
  });
  const keys = await unpackDevice((await secret(store, "device"))!, vault.dv);
  const token = await secret(store, "token");
  const ctx: Context = {
    profile, store, relay, clock: () => clock() + member.skew, rng: randomBytes,
    pause: async () => { throw new Locked("no waiting in tests"); },
    id: vault.account, login: vault.login, dv: vault.dv, keys, mk: (await secret(store, "mk"))!, mkv: await meta(store, "mkv", 1),
    offset: 0, replicas, transfers: transfers(), line: undefined, act: undefined,
  };
  relay.token = token && new TextDecoder().decode(token);
  relay.renew = () => removal.session(ctx);
  return ctx;
}

const origins = new WeakMap<Member, string>();

/** Relays that have an account already: the first one takes the set-up code. */
const begun = new WeakSet<TestRelay>();

/** Sign up, with an invitation link or without. */
export async function signUp(relay: TestRelay, login: string, link?: string): Promise<Member> {
  const place = memoryPlace();
  const plain = new Relay(httpTransport(relay.origin));
  const site = { profile: new Profile(place, randomBytes), relay: plain, rng: randomBytes, now: () => Math.floor(clock()) };
  const made = await enrol.signUp(site, {
    login, password: PASSWORD, content: (device) => memory.firstContent(device.dv, "test"),
    ...(begun.has(relay) ? {} : { ticket: relay.code }),
    ...(link === undefined ? {} : { link: links.parseLink(relay.origin, link) }),
  });
  begun.add(relay);
  const wire: Wire = { fate: () => "sent", alter: (_, answer) => answer, seen: [] };
  const state = { writes: 0, skew: 0, events: [] as Event[] };
  const ctx = await opened(relay.origin, place, made, wire, state);
  const member: Member = Object.assign(state, { login, place, vault: made.vault, vk: made.vk, wire, ctx });
  origins.set(member, relay.origin);
  await ctx.store.step(async (tx) => {
    setMeta(tx, "deviceNames", { [ctx.dv]: "test" });
    setMeta(tx, "stateDirty", true);
  });
  return member;
}

/** Another device of the same account, which has entered the account's spheres. */
export async function further(relay: TestRelay, first: Member): Promise<Member> {
  const place = memoryPlace();
  const plain = new Relay(httpTransport(relay.origin));
  const site = { profile: new Profile(place, randomBytes), relay: plain, rng: randomBytes, now: () => Math.floor(clock()) };
  const made = await enrol.addDevice(site, { login: first.login, password: PASSWORD });
  const wire: Wire = { fate: () => "sent", alter: (_, answer) => answer, seen: [] };
  const state = { writes: 0, skew: 0, events: [] as Event[] };
  const ctx = await opened(relay.origin, place, made, wire, state);
  const member: Member = Object.assign(state, { login: first.login, place, vault: made.vault, vk: made.vk, wire, ctx });
  origins.set(member, relay.origin);
  await syncing.once(ctx);
  return member;
}

/** Open the profile again from what is durable, as after a reload; `end` is where it will end next. */
export async function reopen(member: Member, end?: End): Promise<void> {
  member.ctx = await opened(origins.get(member)!, member.place, member, member.wire, member, end);
}

/** A profile goes on without its spheres, requests and waiting texts: only what comes afterwards is kept in step. */
export async function clear(...members: Member[]): Promise<void> {
  for (const { ctx } of members) {
    await ctx.store.step(async (tx) => {
      for (const table of ["sphere", "request", "outbox", "pledge"] as const) for (const [key] of await tx.list(table)) tx.drop(table, key);
    });
    ctx.replicas.clear();
  }
}

/** One round, and everything begun by itself. */
export async function sync(...members: Member[]): Promise<SyncReport[]> {
  const reports: SyncReport[] = [];
  for (const one of members) {
    reports.push(await syncing.once(one.ctx));
    await delivery.idle(one.ctx);
  }
  return reports;
}

/** Queue a text and wait until the runner has come to its end. */
export async function say(member: Member, sph: string, text: string, re?: string): Promise<string> {
  const { id } = await spheres.send(member.ctx, sph, text, re === undefined ? {} : { re });
  await delivery.idle(member.ctx);
  return id;
}

/** Messages as they are read, oldest first. */
export async function messages(member: Member, sph: string): Promise<Message[]> {
  const { rows } = await timeline.rows(member.ctx, sph, { limit: 1000 });
  return rows.flatMap((one) => (one.row === "message" ? [one.message] : []));
}

/** What can be read, with what is waiting in brackets. */
export async function texts(member: Member, sph: string): Promise<string[]> {
  return (await messages(member, sph)).map((one) =>
    one.state === "sent" ? one.text : one.state === "waiting" ? `(${one.text})` : `<${one.state}>`);
}

/** A sphere of the first, into which the others come by a link. */
export async function together(title: string, first: Member, ...others: Member[]): Promise<string> {
  const { sph } = await spheres.createSphere(first.ctx, title);
  for (const one of others) {
    const link = await spheres.invite(first.ctx, sph, { uses: 1, seconds: 3600, role: "member", admit: "ask" });
    await spheres.join(one.ctx, link.url);
    const [asked] = await spheres.requests(first.ctx, sph);
    await spheres.admit(first.ctx, sph, asked!.hash, { confirmed: false, role: "member" });
    await sync(one);
  }
  await sync(first);
  return sph;
}
