/**
 * A sphere made in memory by its members' own keys, and a reader of it: what a relay would show, in any order and any
 * form a test wants, without a relay.
 */

import * as devices from "../../src/account/devices.ts";
import * as account from "../../src/account/keys.ts";
import type { Context } from "../../src/client/context.ts";
import { replica } from "../../src/client/context.ts";
import type { Event } from "../../src/client/events.ts";
import { memoryPlace } from "../../src/client/backend_memory.ts";
import * as intake from "../../src/client/intake.ts";
import * as keys from "../../src/client/keys.ts";
import * as logbook from "../../src/client/logbook.ts";
import { type Replica, newNote, saveNote } from "../../src/client/replica.ts";
import { type Tx, openStore } from "../../src/client/store.ts";
import * as timeline from "../../src/client/timeline.ts";
import { randomBytes } from "../../src/crypto.ts";
import type { ChainHead } from "../../src/protocol/chain.ts";
import { b64d, b64e } from "../../src/protocol/encoding.ts";
import * as entries from "../../src/protocol/entry.ts";
import { History } from "../../src/protocol/history.ts";
import { jwkPublic } from "../../src/protocol/ids.ts";
import * as join from "../../src/protocol/join.ts";
import { type Signer, decode as decodeEnvelope, deviceSigner } from "../../src/protocol/jws.ts";
import { type SphereState, epochNumber } from "../../src/protocol/state.ts";
import { compose } from "../../src/sphere/compose.ts";
import type { EpochKey } from "../../src/sphere/epoch.ts";
import type { Intent } from "../../src/sphere/intents.ts";
import * as message from "../../src/sphere/message.ts";
import type { Payload } from "../../src/sphere/payload.ts";

export const NOW = 1_800_000_000;

export interface Someone {
  readonly name: string;
  readonly id: string;
  readonly ik: Uint8Array;
  readonly device: account.DeviceKeys;
  readonly cert: string;
  readonly signer: Signer;
}

export async function someone(name: string): Promise<Someone> {
  const ik = account.newIdentity(randomBytes);
  const id = account.accountId(ik);
  const device = await account.newDevice(randomBytes);
  const cert = await devices.certify(ik, id, device, NOW - 100);
  return { name, id, ik, device, cert, signer: deviceSigner(device.dkSeed) };
}

/** Another device of the same person. */
export async function another(who: Someone): Promise<Someone> {
  const device = await account.newDevice(randomBytes);
  const cert = await devices.certify(who.ik, who.id, device, NOW - 100);
  return { ...who, device, cert, signer: deviceSigner(device.dkSeed) };
}

export const cid = (): string => b64e(randomBytes(16));
export const msg = (t: string): Payload => ({ k: "msg", cid: cid(), t });
export const comment = (re: string, t: string): Payload => ({ k: "comment", cid: cid(), re, t });
export const edit = (re: string, t: string): Payload => ({ k: "edit", cid: cid(), re, t });
export const remove = (re: string): Payload => ({ k: "delete", cid: cid(), re });
export const react = (re: string, e: string, on = true): Payload => ({ k: "react", cid: cid(), re, e, on });

/** A frame as it would be shown. */
export interface Said {
  readonly compact: string;
  readonly mid: string;
  readonly link: string;
}

/** The sphere as everybody honest sees it. */
export class Room {
  history!: History;
  readonly keys = new Map<number, EpochKey>();
  readonly entries: string[] = [];
  readonly attached = new Map<string, string>();
  readonly chains = new Map<string, { seq: number; ph: string }>();
  /** The time of whoever acts. */
  now = NOW;

  get state(): SphereState {
    return this.history.state;
  }

  get sph(): string {
    return this.state.sph;
  }

  static async of(owner: Someone, ...others: Someone[]): Promise<Room> {
    const made = new Room();
    const { name, cert } = owner;
    await made.commit(owner, { op: "create", name, ik: jwkPublic(owner.ik), cert });
    for (const one of others) await made.admit(owner, one);
    return made;
  }

  async commit(who: Someone, ...intents: Intent[]): Promise<void> {
    const heads = new Map([...this.chains].map(([dv, { seq, ph: digest }]): [string, ChainHead] => [dv, { seq, digest, ls: 0 }]));
    const known = this.history === undefined ? undefined : this.state;
    const author = { id: who.id, dv: who.device.dv, signer: who.signer };
    const given = { now: this.now, rng: randomBytes, keys: this.keys, heads };
    const draft = await compose(known, this.history, author, intents, given);
    for (const state of draft.states) {
      if (this.history === undefined) this.history = new History(state);
      else this.history.append(state);
    }
    this.entries.push(...draft.commit.entries);
    for (const [h, compact] of Object.entries(draft.commit.attach)) this.attached.set(h, compact);
    if (draft.key !== undefined) this.keys.set(draft.key.n, draft.key);
  }

  async admit(by: Someone, one: Someone, role = "member"): Promise<void> {
    const ask = { sph: this.sph, name: one.name, ik: jwkPublic(one.ik), certs: [one.cert], nonce: randomBytes(16), iat: this.now, exp: this.now + 900 };
    const compact = await join.make(one.signer, one.device.dv, ask);
    await this.commit(by, { op: "add", id: one.id, join: compact, role });
  }

  /** The next message of a device; `at` says where else in its chain, or that its author knows another log. */
  async say(who: Someone, payload: Payload, at: Partial<message.Place> & { clear?: boolean; mid?: string } = {}): Promise<Said> {
    const { dv } = who.device;
    const last = this.chains.get(dv) ?? { seq: 0, ph: "" };
    const { clear, mid: wanted, ...moved } = at;
    let drawn = 0;
    const rng = (length: number): ReturnType<typeof randomBytes> => (drawn++ === 0 && wanted !== undefined ? b64d(wanted) : randomBytes(length));
    const ep = epochNumber(this.state);
    const place = { seq: last.seq + 1, ph: last.ph, ls: this.state.seq, lh: this.state.digest, ep, ...moved };
    const key = clear === true ? undefined : this.keys.get(place.ep);
    const compact = await message.seal(payload, place, { sph: this.sph, dv, signer: who.signer }, this.now, rng, key);
    const { head: { mid }, link } = message.decode(compact);
    if (place.seq > last.seq) this.chains.set(dv, { seq: place.seq, ph: link });
    return { compact, mid, link };
  }
}

export interface Reading {
  readonly ctx: Context;
  readonly told: Event[];
  rep(): Promise<Replica>;
  /** Follow the room's log; `keyed`: with the keys of these epochs (all by default). */
  follow(keyed?: readonly number[]): Promise<void>;
  /** One page of frames at positions; gives the number of new messages. */
  take(...frames: readonly (readonly [number, Said | string])[]): Promise<number>;
  /** Entries as the stream shows them. */
  stream(...shown: readonly (readonly [number, string])[]): Promise<void>;
  give(...ns: readonly number[]): Promise<void>;
  step<T>(work: (tx: Tx, rep: Replica) => Promise<T>): Promise<T>;
  texts(thread?: string): Promise<string[]>;
}

/** The relay's side as far as logs go; tests replace what they want to lie about. */
export interface Shown {
  log(sph: string, start: number, limit: number): Promise<{ entries: string[]; head: { seq: number; h: string } }>;
  attachment(sph: string, digest: Uint8Array): Promise<string>;
}

export function honest(room: Room): Shown {
  return {
    log: async (_, start, limit) => {
      const head = entries.decode(room.entries.at(-1)!);
      return { entries: room.entries.slice(start, start + limit), head: { seq: head.seq, h: b64e(head.digest) } };
    },
    attachment: async (_, digest) => room.attached.get(b64e(digest))!,
  };
}

/** A device that reads a room. Its store is real; its relay is whatever `shown` does. */
export async function reader(room: Room, who: Someone, shown: Partial<Shown> = {}): Promise<Reading> {
  const told: Event[] = [];
  const replicas = new Map<string, Replica>();
  const store = await openStore(await memoryPlace().tables(), randomBytes(32), {
    rng: randomBytes, publish: (events) => void told.push(...events), undone: () => replicas.clear(),
  });
  const ctx = {
    store, replicas, relay: { ...honest(room), ...shown }, clock: () => NOW, offset: 0, rng: randomBytes,
    id: who.id, login: who.name, dv: who.device.dv, keys: who.device, mk: randomBytes(32), mkv: 1, act: undefined,
  } as unknown as Context;
  await store.step(async (tx) => saveNote(tx, { sph: room.sph, note: newNote("active"), state: undefined, history: undefined, keys: new Map() }));
  const rep = (): Promise<Replica> => replica(ctx, room.sph);
  const step: Reading["step"] = async (work) => {
    const held = await rep();
    return store.step((tx) => work(tx, held));
  };
  const give: Reading["give"] = (...ns) =>
    step(async (tx, held) => void (await keys.keep(ctx, held, ns.map((n) => room.keys.get(n)!), tx)));
  return {
    ctx, told, rep, step, give,
    follow: async (keyed) => {
      await logbook.pull(ctx, await rep());
      await give(...(keyed ?? [...room.keys.keys()]));
    },
    take: (...frames) =>
      step((tx, held) => intake.takeNow(ctx, held, frames.map(([pos, one]) => [pos, typeof one === "string" ? one : one.compact]), tx)),
    stream: (...entriesShown) => step((tx, held) => timeline.noteEntries(tx, held, entriesShown)),
    texts: async (thread) => {
      const { rows } = await timeline.rows(ctx, room.sph, { limit: 1000, ...(thread === undefined ? {} : { thread }) });
      return rows.flatMap((one) => (one.row === "message" ? [one.message.state === "sent" ? one.message.text : `(${one.message.state} ${one.message.code})`] : []));
    },
  };
}

/** The compact with another signature: form intact, word of nobody. */
export function forged(compact: string): string {
  const { signature } = decodeEnvelope(compact, "sph-msg+1");
  const wrong = signature.slice();
  wrong[10]! ^= 1;
  return `${compact.slice(0, compact.lastIndexOf("."))}.${b64e(wrong)}`;
}
