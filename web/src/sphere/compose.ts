/**
 * Whole commits from intents: entries in the right order, the new epoch, its shares, and the first message.
 *
 * The caller says what shall happen; this module makes the one request that does it, or throws what the log's own rules
 * say against it. Nothing is sent and nothing forgotten here: a `Draft` holds everything that must be stored before
 * the relay hears of it, and after a lost race the same intents are composed again on the new base, with fresh secrets.
 * Spec: EPO-007 to EPO-012, META-004.
 */

import type { Rng } from "../crypto.ts";
import { FormatError, KeyUnknown } from "../errors.ts";
import { type ChainHead, tailOf } from "../protocol/chain.ts";
import { type Commit, fromJson, steps } from "../protocol/commit.ts";
import { type JsonObject, b64e } from "../protocol/encoding.ts";
import * as entries from "../protocol/entry.ts";
import type { History } from "../protocol/history.ts";
import { type Signer, decode as decodeEnvelope } from "../protocol/jws.ts";
import * as machine from "../protocol/machine.ts";
import { rank, rowOf } from "../protocol/roles.ts";
import {
  type Device, type SphereState, activeDevices, devicesOf, epochNumber, recipientsHash, stateHash, wrapsExpected,
} from "../protocol/state.ts";
import * as epochs from "./epoch.ts";
import type { EpochKey } from "./epoch.ts";
import { type Create, type Intent, POLICY, type Renewal, place as placeOf } from "./intents.ts";
import * as message from "./message.ts";
import * as meta from "./meta.ts";
import { MODERATORS, type Payload } from "./payload.ts";
import * as share from "./share.ts";

/** Who signs: member handle, device, and a signer for that device's key (`jws.deviceSigner`). */
export interface Author {
  readonly id: string;
  readonly dv: string;
  readonly signer: Signer;
}

/** A message to speak in the same commit: payload, the author's chain before it, re-sealings so far. */
export interface Words {
  readonly payload: Payload;
  readonly chain?: ChainHead | undefined;
  readonly tries?: number;
  readonly thr?: Uint8Array | undefined;
}

/**
 * A commit with all that must be stored durably before it is sent (EPO-011).
 *
 * `states` are the sphere's states after each entry (for `History.append`), `state` the last. `key` is the new epoch's
 * secret if there is one: losing it while the commit stands would lose the epoch. `meta` is the text that a new title
 * entry holds, `chain` the author's message chain after `msg`.
 */
export interface Draft {
  readonly commit: Commit;
  readonly states: readonly SphereState[];
  readonly state: SphereState;
  readonly key: EpochKey | undefined;
  readonly meta: meta.Opened | undefined;
  readonly chain: ChainHead | undefined;
}

/** A draft without its states, as a store keeps it; holds the epoch secret. */
export type Dumped = Pick<Draft, "commit" | "key" | "meta" | "chain">;

export function dump({ commit, key, meta: text, chain }: Draft): Dumped {
  return { commit, key, meta: text, chain };
}

/** Inverse of `dump`; `base` is the state the commit was made on (none: a new sphere). */
export async function load(row: Dumped, base: SphereState | undefined): Promise<Draft> {
  const states = await steps(base, fromJson(row.commit));
  return { ...row, states, state: states.at(-1)! };
}

/** What a commit is made from besides the intents. */
export interface Given {
  /** Unix seconds, raised to the parent's iat if behind. */
  readonly now: number;
  readonly rng: Rng;
  /** Epoch keys held, by number. */
  readonly keys?: ReadonlyMap<number, EpochKey>;
  /** The text in force, sealed again under a new epoch. */
  readonly metaText?: meta.Opened | undefined;
  /** The relay's chain heads of the devices that an intent cuts (absent: has not spoken). */
  readonly heads?: ReadonlyMap<string, ChainHead>;
  readonly words?: Words | undefined;
  /** Adds a share for the author's own device. */
  readonly ownWrap?: boolean;
  /** The organisation's key in a sphere of one. */
  readonly orgKey?: EpochKey | undefined;
}

/**
 * Make the commit for `intents` on `state` (none: a new sphere), in the order of EPO-008. `history` is the log up to it.
 *
 * An epoch is made when a rule asks for it, when a `Rotate` is among the intents, and when words shall be spoken in a
 * marked sphere. Throws whatever `machine.apply` says against an entry (LogInvalid, ...), KeyUnknown when a share or the
 * words cannot be sealed because the running epoch's key is not here, FormatError for parts over their limits.
 */
export async function compose(
  state: SphereState | undefined,
  history: History | undefined,
  author: Author,
  intents: readonly Intent[],
  given: Given,
): Promise<Draft> {
  const { words } = given;
  if (intents.length === 0 && words === undefined) throw new FormatError("EPO-007");
  const work = new Work(state, history, author, given);
  const at = (place: string): Intent[] => intents.filter((one) => placeOf(one) === place);
  for (const one of at("before")) await work.put(one);
  const here = work.state;
  const marked = words !== undefined && here.mode === "e2ee" && here.hard;
  if (here.due !== "" || marked || at("epoch").length > 0) await work.rotate();
  const text = intents.find((one) => one.op === "meta")?.text;
  await work.title(text, given.metaText);
  for (const one of [...at("after"), ...at("alone")]) await work.put(one);
  const wraps = await work.wraps(given.ownWrap === true);
  const link = await work.link();
  const said = words === undefined ? undefined : await work.speak(words);
  if (work.entries.length === 0) throw new FormatError("EPO-007");
  const commit: Commit = {
    idem: b64e(given.rng(16)),
    sph: work.state.sph,
    ...(state === undefined ? {} : { base: { seq: state.seq, h: b64e(state.digest) } }),
    entries: work.entries,
    attach: Object.fromEntries(work.attach),
    wraps,
    ...(link === undefined ? {} : { link: b64e(link) }),
    ...(said === undefined ? {} : { msg: said.compact }),
  };
  return { commit, states: work.states, state: work.state, key: work.key, meta: work.meta, chain: said?.chain };
}

/**
 * What became of a draft after an error (EPO-012): `won` when its own entries stand in the log, `lost` when another entry
 * stands at its first position (compose again), `open` when the log does not reach that far.
 */
export function outcome(draft: Draft, history: History): "won" | "lost" | "open" {
  const first = draft.states[0]!;
  if (history.seq < first.seq) return "open";
  return b64e(history.digest(first.seq)) === b64e(first.digest) ? "won" : "lost";
}

/** A commit in the making: the running state and what has been made so far. */
class Work {
  readonly #now: number;
  readonly #rng: Rng;
  readonly #keys: Map<number, EpochKey>;
  readonly entries: string[] = [];
  readonly states: SphereState[] = [];
  readonly attach = new Map<string, string>();
  key: EpochKey | undefined;
  meta: meta.Opened | undefined;

  constructor(
    readonly base: SphereState | undefined,
    readonly history: History | undefined,
    readonly author: Author,
    readonly given: Given,
  ) {
    this.#now = Math.max(given.now, base?.iat ?? 0);
    this.#rng = given.rng;
    this.#keys = new Map(given.keys ?? []);
  }

  get state(): SphereState {
    const state = this.states.at(-1) ?? this.base;
    if (state === undefined) throw new FormatError("EPO-008");
    return state;
  }

  async put(intent: Intent): Promise<void> {
    const [op, body] = this.#body(intent);
    await this.#entry(op, body);
  }

  async #entry(op: string, body: JsonObject, ep?: number): Promise<void> {
    const { signer, dv } = this.author;
    rowOf(op, body);
    if (op === "create") {
      if (this.base !== undefined || this.states.length > 0) throw new FormatError("LOG-003");
      const compact = await entries.make(signer, dv, op, body, this.#now);
      this.states.push(await machine.genesis(entries.decode(compact)));
      this.entries.push(compact);
      return;
    }
    const state = this.state;
    const place = { sph: state.sph, seq: state.seq + 1, prev: state.digest, ep: ep ?? epochNumber(state) };
    const compact = await entries.make(signer, dv, op, body, this.#now, place);
    this.states.push(await machine.apply(state, entries.decode(compact), this.attach));
    this.entries.push(compact);
  }

  #body(intent: Intent): [op: string, body: JsonObject] {
    switch (intent.op) {
      case "create":
        return ["create", this.#create(intent)];
      case "invite": {
        const { jti, ipk, exp, role = "member", uses = 1, admit = "ask" } = intent;
        return ["invite", { jti, ipk: b64e(ipk), role, uses, exp, admit }];
      }
      case "revoke-invite":
        return ["revoke-invite", { jti: intent.jti }];
      case "add": {
        const { id, role = "member", join, jti } = intent;
        const digest = b64e(decodeEnvelope(join, "sph-join+1").digest);
        this.attach.set(digest, join);
        return ["add", { id, role, join: digest, ...(jti === undefined ? {} : { jti }) }];
      }
      case "remove": {
        const { id, ban = false } = intent;
        return ["remove", { id, tails: this.#tails(id), ...(ban ? { ban } : {}) }];
      }
      case "leave":
        return ["leave", { tails: this.#tails(this.author.id) }];
      case "role":
        return ["role", this.#role(intent.id, intent.role)];
      case "device add":
        return ["device", { act: "add", cert: intent.cert, ...renewed(intent.renew) }];
      case "device renew":
        return ["device", { act: "renew", kem: intent.kem, de: b64e(intent.de) }];
      case "device revoke":
        return ["device", { act: "revoke", dv: intent.dv, tails: [tailOf(intent.dv, this.given.heads?.get(intent.dv))] }];
      case "mark":
        return ["mark", {}];
      case "checkpoint": {
        const heads = (intent.heads ?? []).map((one) => [...one]);
        const body = { seq: this.state.seq, sh: b64e(stateHash(this.state)) };
        return ["checkpoint", heads.length > 0 ? { ...body, heads } : body];
      }
      case "mode":
        return ["mode", { mode: intent.mode }];
      case "delivery":
        return ["delivery", { delivery: intent.delivery }];
      case "custody":
        return ["custody", { custody: intent.custody }];
      case "policy":
        return ["policy", { policy: { ...intent.policy } }];
      default:
        throw new FormatError("EPO-008");
    }
  }

  #create(intent: Create): JsonObject {
    const { name, ik, cert, kind = "sphere", mode = "e2ee", delivery = "pairwise", custody = "synced" } = intent;
    const { policy = POLICY, org = "", rotations = [] } = intent;
    return {
      v: 1, nonce: b64e(this.#rng(32)), name, ik: { ...ik }, cert, kind, mode, delivery, custody, policy: { ...policy },
      ...renewed(intent.renew),
      ...(org === "" ? {} : { org }),
      ...(rotations.length > 0 ? { rot: [...rotations] } : {}),
    };
  }

  #role(id: string, role: string): JsonObject {
    const target = this.state.members.get(id);
    const lowered = target !== undefined && Math.max(0, rank(role)) < Math.max(0, rank(target.role));
    return { id, role, ...(lowered ? { tails: this.#tails(id) } : {}) };
  }

  #tails(member: string): [string, number, string][] {
    return devicesOf(this.state, member).map(({ dv }) => tailOf(dv, this.given.heads?.get(dv)));
  }

  /** The epoch entry with a fresh secret (EPO-001, EPO-004). */
  async rotate(): Promise<void> {
    const { org, sph, digest, policy } = this.state;
    const n = epochNumber(this.state) + 1;
    const { orgKey } = this.given;
    let m: JsonObject = {};
    if (org !== "") {
      if (orgKey?.sph !== org) throw new KeyUnknown("EPO-004");
      this.key = epochs.deriveOrg(orgKey, digest, sph, n);
      m = { m: orgKey.n };
    } else {
      this.key = epochs.derive(this.#rng(32), digest, sph, n);
    }
    const kc = b64e(epochs.commitment(this.key.secret, digest, sph, n));
    const rh = b64e(recipientsHash(activeDevices(this.state)));
    this.#keys.set(n, this.key);
    await this.#entry("epoch", { n, kem_min: policy.kem_min, ...m, kc, rh }, n);
  }

  /** A new text, or under a new epoch the one in force, sealed again (META-004). */
  async title(text: meta.Text | undefined, inForce: meta.Opened | undefined): Promise<void> {
    const state = this.state;
    if (state.mode !== "e2ee") {
      if (text === undefined) return;
      await this.#entry("meta", meta.clear(text));
      this.meta = meta.unsealed(text);
      return;
    }
    const opened = text === undefined ? this.#again(inForce) : meta.prepare(text, this.#rng);
    if (opened === undefined) return;
    const slot = { kid: this.author.dv, sph: state.sph, seq: state.seq + 1, prev: state.digest, ep: epochNumber(state) };
    await this.#entry("meta", await meta.seal(opened, slot, this.#running(), this.#rng));
    this.meta = opened;
  }

  /** The text in force for a new epoch; a clear one is sealed for the first time by those who may set titles. */
  #again(inForce: meta.Opened | undefined): meta.Opened | undefined {
    const { meta: present, members } = this.state;
    if (this.key === undefined || inForce === undefined || present === undefined) return undefined;
    const mh = meta.mhOf(inForce);
    if (mh !== present.mh) return undefined;
    if (mh !== "") return inForce;
    return MODERATORS.includes(members.get(this.author.id)?.role ?? "") ? meta.prepare(inForce.text, this.#rng) : undefined;
  }

  /** Shares for exactly the devices that need one (EPO-009). */
  async wraps(own: boolean): Promise<{ dv: string; jws: string }[]> {
    const state = this.state;
    if (!wrapsExpected(state) || state.epoch === undefined) return [];
    const newcomers = (): Device[] => {
      const on = this.states.filter(({ change }) => change.op === "add").flatMap(({ change }) => change.on);
      return on.map((dv) => state.devices.get(dv)!);
    };
    const to = this.key === undefined ? newcomers() : activeDevices(state).filter((one) => own || one.dv !== this.author.dv);
    if (to.length === 0) return [];
    return share.sealMany(this.#running(), state.epoch, this.author, this.author.signer, to, this.#now, this.#rng);
  }

  /** The blob back to the epoch before, while history has been open to newcomers all along (EPO-006). */
  async link(): Promise<Uint8Array | undefined> {
    const { key, base, history } = this;
    if (key === undefined || base?.epoch === undefined || history === undefined || !wrapsExpected(this.state)) return undefined;
    const policies = [history.policyAt(base.epoch.seq), base.policy, this.state.policy];
    const older = this.#keys.get(key.n - 1);
    if (older === undefined || policies.some((one) => one.history !== "all")) return undefined;
    return epochs.linkSeal(key, older, this.#rng);
  }

  /** The message of the commit, sealed at its last entry (EPO-008). */
  async speak(words: Words): Promise<{ compact: string; chain: ChainHead }> {
    const state = this.state;
    const { payload, chain, tries = 0, thr } = words;
    const clear = state.mode !== "e2ee" || payload.pt === true;
    const seq = (chain?.seq ?? 0) + 1;
    const place = { seq, ph: chain?.digest ?? "", ls: state.seq, lh: state.digest, ep: epochNumber(state), tries };
    const speaker = { sph: state.sph, dv: this.author.dv, signer: this.author.signer };
    const key = clear ? undefined : this.#running();
    const compact = await message.seal(payload, place, speaker, this.#now, this.#rng, key, thr);
    return { compact, chain: { seq, digest: message.decode(compact).link, ls: state.seq } };
  }

  #running(): EpochKey {
    const key = this.#keys.get(epochNumber(this.state));
    if (key === undefined) throw new KeyUnknown("EPO-009");
    return key;
  }
}

function renewed(renew: Renewal | undefined): JsonObject {
  return renew === undefined ? {} : { renew: { kem: renew.kem, de: b64e(renew.de) } };
}
