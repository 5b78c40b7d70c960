/** Spheres grown by random commits, with everything in them: messages, shares, titles, links, requests. */

import * as keys from "../../src/account/keys.ts";
import { es384Sign, hpkePublic } from "../../src/crypto.ts";
import { CloisterError } from "../../src/errors.ts";
import * as certificate from "../../src/protocol/certificate.ts";
import { type ChainHead, tailOf } from "../../src/protocol/chain.ts";
import { steps } from "../../src/protocol/commit.ts";
import { type JsonObject, b64d, b64e } from "../../src/protocol/encoding.ts";
import * as entry from "../../src/protocol/entry.ts";
import { History } from "../../src/protocol/history.ts";
import { jwkPublic } from "../../src/protocol/ids.ts";
import * as join from "../../src/protocol/join.ts";
import { decode, deviceSigner } from "../../src/protocol/jws.ts";
import * as machine from "../../src/protocol/machine.ts";
import { type Policy, type SphereState, author, devicesOf, epochNumber } from "../../src/protocol/state.ts";
import { type Draft, compose } from "../../src/sphere/compose.ts";
import { type EpochKey, commitment } from "../../src/sphere/epoch.ts";
import { type Intent, POLICY } from "../../src/sphere/intents.ts";
import * as invitation from "../../src/sphere/invitation.ts";
import * as message from "../../src/sphere/message.ts";
import type { Opened } from "../../src/sphere/meta.ts";
import { hex } from "../ops/index.ts";
import type { Source } from "./draw.ts";

export const NOW = 1_800_000_000;
const YEAR = 365 * 86_400;
const ORIGIN = "https://relay.example";
const TRIES = 300;
const WISHES = ["invite", "add", "join", "join", "revoke-invite", "device-add", "device-renew", "checkpoint",
  ...Array.from({ length: 9 }, () => "other")];

const LAST: readonly Intent[] = [
  { op: "checkpoint" }, { op: "custody", custody: "device" }, { op: "delivery", delivery: "live" },
  { op: "delivery", delivery: "pairwise" }, { op: "custody", custody: "synced" }, { op: "mode", mode: "open" },
];

type Dev = keys.DeviceKeys & { cert: string };

interface Person {
  name: string;
  id: string;
  ik: Uint8Array;
  devs: Dev[];
}

async function device(m: Source, one: Pick<Person, "id" | "ik">, kem: string): Promise<Dev> {
  const made = await keys.newDevice(m.bytes, kem);
  const cert = await certificate.issue(one.ik, one.id, { ...made, signer: deviceSigner(made.dkSeed) }, NOW - 100, NOW + YEAR);
  return { ...made, cert };
}

async function person(m: Source, name: string, kem = m.pick(["xwing", "p384", "p384", "p384"])): Promise<Person> {
  const ik = keys.newIdentity(m.bytes);
  const id = keys.accountId(ik);
  return { name, id, ik, devs: [await device(m, { id, ik }, kem)] };
}

interface World {
  state: SphereState;
  history: History;
  keys: Map<number, EpochKey>;
  meta: Opened | undefined;
  chains: Map<string, ChainHead>;
  people: Person[];
  entries: string[];
  attach: Record<string, string>;
}

const logOf = (w: World): { entries: string[]; attach: Record<string, string> } =>
  ({ entries: [...w.entries], attach: { ...w.attach } });

/** A sphere grown by random commits; whatever its rules refuse is not done. */
export async function walk(m: Source, n: number, commits: number): Promise<void> {
  const owner = await person(m, `owner${n}`, n % 2 ? "xwing" : "p384");
  const first = owner.devs[0]!;
  const mode = n % 5 < 3 ? "e2ee" : m.pick(["open", "public"]);
  const policy: Policy = {
    join: m.pick(["approve", "any"]), history: m.pick(["all", "since-join", "none", "days:3"]), retention: m.below(40),
    plaintext: m.chance(0.5), guests: m.pick(["talk", "read"]), T: m.pick([0, 3600]), kem_min: "p384",
  };
  const create: Intent = { op: "create", name: owner.name, ik: jwkPublic(owner.ik), cert: first.cert, mode, policy };
  const by = { id: owner.id, dv: first.dv, signer: deviceSigner(first.dkSeed) };
  const title: Intent = { op: "meta", text: { title: m.text(40), topic: "", icon: "" } };
  const begun = await compose(undefined, undefined, by, [create, title], { now: NOW, rng: m.bytes });
  const w: World = {
    state: begun.states[0]!, history: new History(begun.states[0]!), keys: new Map(), meta: undefined, chains: new Map(),
    people: [owner], entries: [], attach: {},
  };
  await stand(m, w, begun, { entries: [], attach: {} }, begun.states.slice(1));
  const jti = b64e(m.bytes(16));
  const lent = await device(m, owner, "p384");
  owner.devs.push(lent);
  const { ipk } = invitation.keyPair(m.bytes(32), w.state.sph, b64d(jti));
  await stands(m, w, owner, lent, [{ op: "device add", cert: lent.cert }]);
  await stands(m, w, owner, first, [{ op: "invite", jti, ipk, exp: NOW + 9 }]);
  await stands(m, w, owner, first, [{ op: "revoke-invite", jti }]);
  await stands(m, w, owner, first, [{ op: "device revoke", dv: lent.dv }]);
  const wishes = wanted(m, w);
  let made = 1;
  for (let tries = 0; tries < TRIES && made < commits; tries += 1) {
    const { who, dev, intents } = (await wishes.next()).value;
    if (!(await stands(m, w, who, dev, intents))) continue;
    await speak(m, w);
    made += 1;
  }
  for (const one of LAST) await stands(m, w, owner, m.pick(owner.devs), [one]);
  await replacedIdentity(m, w);
}

/** Whether the rules allow it; then it is done. */
async function stands(m: Source, w: World, who: Person, dev: Dev, intents: readonly Intent[]): Promise<boolean> {
  const words = m.chance(0.3) ? { payload: m.payload(), chain: w.chains.get(dev.dv) } : undefined;
  const by = { id: who.id, dv: dev.dv, signer: deviceSigner(dev.dkSeed) };
  const given = { now: NOW, rng: m.bytes, keys: w.keys, metaText: w.meta, heads: w.chains, words };
  try {
    const draft = await compose(w.state, w.history, by, intents, given);
    await steps(w.state, draft.commit);
    if (draft.chain !== undefined) w.chains.set(dev.dv, draft.chain);
    await stand(m, w, draft, logOf(w), draft.states);
    return true;
  } catch (error) {
    if (error instanceof CloisterError) return false;
    throw error;
  }
}

/** What somebody wants next; every operation comes round. */
async function* wanted(m: Source, w: World): AsyncGenerator<{ who: Person; dev: Dev; intents: Intent[] }, never> {
  let link: invitation.Link | undefined;
  const { sph } = w.state;
  let turn = m.below(20);
  for (;;) {
    const inside = w.people.filter((one) => w.state.members.has(one.id));
    const who = m.chance(0.4) ? w.people[0]! : m.pick(inside.length > 0 ? inside : w.people);
    let dev = m.pick(who.devs);
    let wish: Intent;
    const word = m.pick(WISHES);
    if (word === "invite") {
      const seq = w.state.seq;
      const pin = w.history.digest(seq).slice(0, 16);
      const label = m.pick(["", "Kitchen \u{1f980}"]);
      link = { kind: "invite", origin: ORIGIN, sph, jti: m.bytes(16), seed: m.bytes(32), seq, pin, label };
      const text = invitation.emit(link);
      m.keep("link-parse", { text });
      m.keep("link-pin", { text, ...logOf(w) });
      const { ipk } = invitation.keyPair(link.seed, sph, link.jti);
      wish = { op: "invite", jti: b64e(link.jti), ipk, exp: NOW + 1_000_000, uses: 1 + m.below(8), admit: "auto" };
    } else if (word === "add" || word === "join") {
      const joiner = await person(m, `p${w.people.length}`);
      w.people.push(joiner);
      wish = word === "join" && link !== undefined ? await byLink(m, joiner, link) : await bare(m, joiner, sph);
    } else if (word === "revoke-invite" && link !== undefined) {
      wish = { op: "revoke-invite", jti: b64e(link.jti) };
    } else if (word === "device-add") {
      dev = await device(m, who, m.pick(["xwing", "p384"]));
      who.devs.push(dev);
      wish = { op: "device add", cert: dev.cert };
    } else if (word === "device-renew") {
      wish = { op: "device renew", kem: "xwing", de: await hpkePublic("xwing", m.bytes(32)) };
    } else if (word === "checkpoint") {
      wish = { op: "checkpoint", heads: [...w.chains].map(([dv, { seq, digest }]) => [dv, seq, digest] as const) };
    } else {
      const others = w.people.length > 1 ? w.people.slice(1) : w.people;
      const menu: Intent[] = [
        { op: "role", id: m.pick(others).id, role: m.pick(["guest", "member", "admin", "owner"]) },
        { op: "device revoke", dv: m.pick(who.devs).dv },
        { op: "remove", id: m.pick(others).id, ban: m.chance(0.3) },
        { op: "leave" }, { op: "mark" }, { op: "epoch" },
        { op: "meta", text: { title: m.text(40), topic: m.text(200), icon: m.text(10) } },
        { op: "mode", mode: m.pick(["e2ee", "e2ee", "open"]) },
        { op: "delivery", delivery: m.pick(["pairwise", "live"]) },
        { op: "custody", custody: m.pick(["synced", "device"]) },
        { op: "policy", policy: { ...POLICY, history: m.pick(["all", "since-join"]), T: 9, kem_min: "p384" } },
      ];
      turn += 1;
      wish = menu[turn % menu.length]!;
    }
    // Somebody has to stay.
    if (wish.op === "leave" && w.state.members.get(who.id)?.role === "owner") continue;
    yield { who, dev, intents: m.chance(0.2) ? [wish, { op: "epoch" }] : [wish] };
  }
}

async function request(m: Source, joiner: Person, sph: string, link?: invitation.Link): Promise<string> {
  const dev = joiner.devs[0]!;
  const proof = link && { jti: link.jti, signer: deviceSigner(invitation.keyPair(link.seed, sph, link.jti).ivk) };
  return join.make(deviceSigner(dev.dkSeed), dev.dv, {
    sph, name: joiner.name, ik: jwkPublic(joiner.ik), certs: joiner.devs.map((one) => one.cert), nonce: m.bytes(16), iat: NOW,
    exp: NOW + 86_400, ...(proof === undefined ? {} : { link: proof }),
  });
}

async function bare(m: Source, joiner: Person, sph: string): Promise<Intent> {
  return { op: "add", id: joiner.id, join: await request(m, joiner, sph), role: m.pick(["member", "guest", "admin"]) };
}

async function byLink(m: Source, joiner: Person, link: invitation.Link): Promise<Intent> {
  const asked = await request(m, joiner, link.sph, link);
  const { ipk } = invitation.keyPair(link.seed, link.sph, link.jti);
  const invite = { jti: b64e(link.jti), ipk: b64e(ipk), exp: NOW + 1_000_000, left: 3 };
  m.keep("join-verify", { join: asked, sph: link.sph, iat: NOW, invite }, ["join"]);
  return { op: "add", id: joiner.id, join: asked, role: "member", jti: b64e(link.jti) };
}

/** A commit stands: it, its shares, its title and its link become cases. */
async function stand(
  m: Source, w: World, draft: Draft, before: { entries: string[]; attach: Record<string, string> }, states: readonly SphereState[],
): Promise<void> {
  for (const one of states) w.history.append(one);
  w.state = draft.state;
  w.entries.push(...draft.commit.entries);
  Object.assign(w.attach, draft.commit.attach);
  if (draft.key !== undefined) w.keys.set(draft.key.n, draft.key);
  w.meta = draft.meta ?? w.meta;
  const { commit } = draft;
  const paths = commit.entries.flatMap((_, n) => [`commit.entries.${n}`, `commit.entries.${n}`]);
  if (commit.msg !== undefined) paths.push("commit.msg", "commit.msg");
  m.keep("commit-apply", { ...before, commit }, [...paths, ...Object.keys(commit.attach).map((name) => `commit.attach.${name}`)]);
  m.keep("commit-digest", { commit });
  for (const { dv, jws } of commit.wraps.slice(0, m.below(2))) await shared(m, w, dv, jws);
  if (commit.link !== undefined && draft.key !== undefined) {
    const older = w.keys.get(draft.key.n - 1)!;
    const kc = hex(commitment(older.secret, older.prev, older.sph, older.n));
    m.keep("link-open", { newer: keyRow(draft.key), older: { n: older.n, kc, prev: hex(older.prev) }, blob: hex(b64d(commit.link)) }, ["blob"]);
  }
  for (const one of commit.entries.map(entry.decode)) {
    if (one.op !== "meta" || !("ct" in one.body)) continue;
    const slot = { kid: one.kid, sph: one.sph, seq: one.seq, prev: hex(one.prev), ep: one.ep };
    const given = { body: one.body, slot, key: keyRow(w.keys.get(one.ep)!) };
    m.keep("title-open", given, ["body.ct", "body.cm", "body.mh"]);
  }
}

const keyRow = ({ sph, n, secret, prev }: EpochKey): JsonObject => ({ sph, n, secret: hex(secret), prev: hex(prev) });

async function shared(m: Source, w: World, dv: string, compact: string): Promise<void> {
  const listed = w.state.devices.get(dv)!;
  const dev = w.people.flatMap((one) => one.devs).find((one) => one.dv === dv);
  if (dev === undefined || b64e(dev.de) !== b64e(listed.de)) return; // renewed: the secret is not kept here
  const me = { id: listed.owner, dv, kem: dev.kem, secret: hex(dev.deSeed) };
  m.keep("share-open", { ...logOf(w), sph: w.state.sph, me, share: compact }, ["share"]);
  m.keep("letter", { ...logOf(w), letter: compact }, ["letter"], 0.1);
}

/** Somebody says something, if the state lets anybody. */
async function speak(m: Source, w: World): Promise<void> {
  const dev = m.pick(m.pick(w.people).devs);
  const { state } = w;
  const role = author(state, dev.dv)?.role;
  if (role === undefined || (state.mode === "e2ee" && state.hard)) return;
  if (role === "guest" && state.policy.guests === "read") return;
  for (let n = 0; n < 2; n += 1) {
    const compact = await said(m, w, dev);
    const key = state.mode === "e2ee" ? { key: keyRow(w.keys.get(epochNumber(state))!) } : {};
    m.keep("message-open", { message: compact, dk: hex(dev.dk), mode: state.mode, ...key }, ["message"]);
    m.keep("message-decode", { message: compact });
  }
  if (m.chance(0.5)) return;
  const { seq, digest, ls } = w.chains.get(dev.dv)!;
  const next = await said(m, w, dev);
  m.keep("chain-admit", { ...logOf(w), message: next, heads: [[dev.dv, seq, digest, ls]] }, ["message"]);
  if (!m.chance(0.4)) return;
  const secrets = Object.fromEntries([...w.keys].map(([n, one]) => [String(n), hex(one.secret)]));
  m.keep("run-one", { ...logOf(w), sph: state.sph, keys: secrets, message: next }, ["message"]);
}

/** The next message of a device's chain. */
async function said(m: Source, w: World, dev: Dev): Promise<string> {
  const { sph, seq: ls, digest: lh, mode } = w.state;
  const before = w.chains.get(dev.dv);
  const at = { seq: (before?.seq ?? 0) + 1, ph: before?.digest ?? "", ls, lh, ep: epochNumber(w.state) };
  const key = mode === "e2ee" ? w.keys.get(at.ep) : undefined;
  const speaker = { sph, dv: dev.dv, signer: deviceSigner(dev.dkSeed) };
  const compact = await message.seal(m.payload(), at, speaker, NOW, m.bytes, key, m.chance(0.2) ? m.bytes(16) : undefined);
  const { head, link } = message.decode(compact);
  w.chains.set(dev.dv, { seq: head.seq, digest: link, ls: head.ls });
  return compact;
}

/** An `identity` entry: no intent makes one, the log takes it. */
async function replacedIdentity(m: Source, w: World): Promise<void> {
  const { state, people } = w;
  const owner = people[0]!;
  if (!owner.devs.some((one) => author(state, one.dv) !== undefined)) return;
  const ik = keys.newIdentity(m.bytes);
  const [old, next] = [state.members.get(owner.id)!.ik, jwkPublic(ik)];
  const dev = await device(m, { id: owner.id, ik }, "xwing");
  const signed = machine.identityMessage(state.sph, owner.id, old, next, decode(dev.cert, "sph-dev+1").digest);
  const body = {
    id: owner.id, old: { ...old }, new: { ...next }, osig: b64e(es384Sign(owner.ik, signed)), nsig: b64e(es384Sign(ik, signed)),
    cert: dev.cert, tails: devicesOf(state, owner.id).map((one) => tailOf(one.dv, w.chains.get(one.dv))),
  };
  const place = { sph: state.sph, seq: state.seq + 1, prev: state.digest, ep: epochNumber(state) };
  const compact = await entry.make(deviceSigner(dev.dkSeed), dev.dv, "identity", body, NOW, place);
  m.keep("log-apply", { ...logOf(w), next: compact }, ["next"], 1);
}
