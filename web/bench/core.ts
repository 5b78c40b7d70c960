/**
 * The core's work on data made once by `bench/web_core.py`, in a worker of a page: what reading and rotating cost here.
 *
 * Asked by messages: `begin` takes the sphere, `live` and `sync` take frames, `rotate` nothing; each answers with the
 * milliseconds between frames in memory and opened payloads. What is not in it: the network, storing, indexing.
 */

import { forgetKeys, randomBytes } from "../src/crypto.ts";
import { b64d } from "../src/protocol/encoding.ts";
import { replay } from "../src/protocol/fork.ts";
import { History } from "../src/protocol/history.ts";
import { deviceSigner } from "../src/protocol/jws.ts";
import type { Device, SphereState } from "../src/protocol/state.ts";
import type { Chain } from "../src/sphere/chains.ts";
import { compose } from "../src/sphere/compose.ts";
import type { EpochKey } from "../src/sphere/epoch.ts";
import * as meta from "../src/sphere/meta.ts";
import { openPage, verifyPage } from "../src/sphere/run.ts";

interface Given {
  readonly entries: readonly string[];
  readonly attach: Readonly<Record<string, string>>;
  readonly key: { readonly sph: string; readonly n: number; readonly secret: string; readonly prev: string };
  readonly meta: { readonly content: string; readonly blind: string };
  readonly me: { readonly id: string; readonly dv: string; readonly seed: string };
  readonly now: number;
  readonly members: readonly { readonly dv: string; readonly de: string; readonly hash: string }[];
}

type Asked =
  | { readonly act: "begin"; readonly given: Given }
  | { readonly act: "live" | "sync"; readonly frames: readonly string[]; readonly page: number; readonly again: boolean }
  | { readonly act: "rotate" };

interface Here {
  readonly given: Given;
  readonly states: readonly SphereState[];
  readonly history: History;
  readonly keys: ReadonlyMap<number, EpochKey>;
}

let here: Here | undefined;
let chains = new Map<string, Chain>();

async function begin(given: Given): Promise<number> {
  const states = await replay(given.entries, new Map(Object.entries(given.attach)));
  const [first, ...rest] = states;
  const history = new History(first!);
  for (const one of rest) history.append(one);
  const { sph, n, secret, prev } = given.key;
  here = { given, states, history, keys: new Map([[n, { sph, n, secret: b64d(secret), prev: b64d(prev) }]]) };
  return 0;
}

async function read(frames: readonly string[], page: number): Promise<number> {
  const { history, keys, given: { key: { sph } } } = here!;
  const began = performance.now();
  for (let at = 0; at < frames.length; at += page) {
    const judged = await verifyPage(frames.slice(at, at + page), history, chains, sph);
    ({ chains } = judged);
    const opened = await openPage(judged.verdicts, keys, history);
    if (opened.length !== Math.min(page, frames.length - at)) throw new Error("not all are authentic");
    for (const one of opened) if (one.payload === undefined) throw new Error(`not opened: ${one.code}`);
  }
  return performance.now() - began;
}

/** The log machine is not in question here: the state simply has the devices of so many members. */
async function rotate(): Promise<number> {
  const { given, states, history, keys } = here!;
  const { me, members, now } = given;
  const head = states.at(-1)!;
  const owner = me.id;
  const more = members.map(({ dv, de, hash }): [string, Device] => {
    const bytes = { dk: new Uint8Array(32), de: b64d(de), deHash: b64d(hash) };
    return [dv, { dv, owner, kem: "xwing", status: "active", since: 1, ...bytes }];
  });
  const state = { ...head, devices: new Map([...head.devices, ...more]) };
  const author = { id: me.id, dv: me.dv, signer: deviceSigner(b64d(me.seed)) };
  const text = meta.reopen(b64d(given.meta.content), b64d(given.meta.blind));
  const began = performance.now();
  const draft = await compose(state, history, author, [{ op: "epoch" }], { now, rng: randomBytes, keys, metaText: text });
  const took = performance.now() - began;
  if (draft.commit.wraps.length !== members.length) throw new Error("a share is missing");
  return took;
}

function act(asked: Asked): Promise<number> {
  if (asked.act === "begin") return begin(asked.given);
  if (asked.act === "rotate") return rotate();
  if (asked.again) {
    chains = new Map();
    forgetKeys();
  }
  return read(asked.frames, asked.page);
}

onmessage = ({ data }: MessageEvent<Asked>): void => {
  act(data).then((ms) => postMessage({ ms }), (thrown: unknown) => postMessage({ fault: String(thrown) }));
};
