/**
 * What a log says at one position: members, devices, epoch, policy, invitations, tails. Plain data, which a browser's
 * store takes as it is (structured clone).
 *
 * Bytes that serve as names (jti, H of a tail) are base64url text. Spec: LOG-011, LOG-016, LOG-018.
 */

import { type Bytes, sha256 } from "../crypto.ts";
import { type JsonObject, type Part, b64d, lp } from "./encoding.ts";
import { type Jwk, thumbprint } from "./ids.ts";
import { rank } from "./roles.ts";

/** In the form of the wire (ROLE-017). */
export interface Policy {
  join: "approve" | "any";
  history: string;
  retention: number;
  plaintext: boolean;
  guests: "talk" | "read";
  T: number;
  kem_min: string;
}

export interface Device {
  dv: string;
  owner: string;
  dk: Bytes;
  kem: string;
  de: Bytes;
  deHash: Bytes;
  status: "active" | "left" | "revoked";
  /** Where the present span of activity began. */
  since: number;
}

export interface Member {
  id: string;
  name: string;
  /** One of ROLES, or none, banned (ROLE-004). */
  role: string;
  ik: Jwk;
  devices: readonly string[];
  /** Where the role began. */
  since: number;
}

export interface Invite {
  jti: string;
  ipk: Bytes;
  role: string;
  left: number;
  exp: number;
  admit: string;
  by: string;
  seq: number;
}

export interface Epoch {
  n: number;
  seq: number;
  digest: Bytes;
  /** H(SI) of the entry before. */
  prev: Bytes;
  kc: Bytes;
  rh: Bytes;
  kemMin: string;
  iat: number;
  by: string;
  m: number | undefined;
}

export interface Tail {
  dv: string;
  seq: number;
  /** H(SI) of the last message, base64url, empty at seq 0. */
  digest: string;
  /** Position of the entry that named it. */
  at: number;
  end: boolean;
}

export interface Meta {
  seq: number;
  ep: number;
  /** Empty for clear titles. */
  mh: string;
  body: JsonObject;
}

/** What the last entry did, for histories and for the places that announce it. */
export interface Change {
  op: string;
  by: string;
  on: readonly string[];
  off: readonly string[];
  roles: readonly (readonly [string, string])[];
  tails: readonly Tail[];
  hard: boolean;
  epoch: boolean;
  mode: boolean;
  policy: boolean;
  /** H(SI) of the request an `add` named, else empty. */
  join: string;
}

export interface SphereState {
  sph: string;
  seq: number;
  digest: Bytes;
  iat: number;
  kind: string;
  org: string;
  mode: string;
  modeAt: number;
  delivery: string;
  custody: string;
  policy: Policy;
  policyAt: number;
  epoch: Epoch | undefined;
  hard: boolean;
  due: string;
  closed: boolean;
  members: ReadonlyMap<string, Member>;
  devices: ReadonlyMap<string, Device>;
  invites: ReadonlyMap<string, Invite>;
  tails: ReadonlyMap<string, Tail>;
  meta: Meta | undefined;
  memberCount: number;
  deviceCount: number;
  change: Change;
}

export const UNCHANGED: Change = {
  op: "", by: "", on: [], off: [], roles: [], tails: [], hard: false, epoch: false, mode: false, policy: false, join: "",
};

/** Former members stay known; their role is none or banned (ROLE-004). */
export const isMember = (member: Member): boolean => rank(member.role) >= 0;
export const epochNumber = (state: SphereState): number => state.epoch?.n ?? 0;

/** Whether shares travel in this sphere (COM-007). */
export function wrapsExpected(state: SphereState): boolean {
  return state.mode === "e2ee" && state.delivery !== "live" && state.org === "";
}

export function ascending(one: string, other: string): number {
  return one < other ? -1 : one > other ? 1 : 0;
}

/** Active devices, ascending by name. */
export function activeDevices(state: SphereState): Device[] {
  return [...state.devices.values()].filter((one) => one.status === "active").sort((a, b) => ascending(a.dv, b.dv));
}

export function activeDevicesOf(state: SphereState, member: Member): Device[] {
  return member.devices.map((dv) => state.devices.get(dv)!).filter((one) => one.status === "active");
}

/** Active devices of one member, ascending by name; none for a stranger. */
export function devicesOf(state: SphereState, id: string): Device[] {
  const member = state.members.get(id);
  return member === undefined ? [] : activeDevicesOf(state, member).sort((a, b) => ascending(a.dv, b.dv));
}

/** The member whose active device `dv` is. */
export function author(state: SphereState, dv: string): Member | undefined {
  const device = state.devices.get(dv);
  return device?.status === "active" ? state.members.get(device.owner) : undefined;
}

/** H of who gets an epoch (LOG-016); the devices ascending. */
export function recipientsHash(devices: readonly Device[]): Bytes {
  return sha256(lp("sph/1 rcpt", ...devices.flatMap((one) => [one.dv, one.deHash])));
}

const bit = (value: boolean): number => (value ? 1 : 0);
const NONE = new Uint8Array(0);

function ordered<T>(values: Iterable<T>, name: (one: T) => string, part: (one: T) => Bytes): Bytes {
  return lp(...[...values].sort((a, b) => ascending(name(a), name(b))).map(part));
}

function hexOf(text: string): string {
  return Array.from(b64d(text), (byte) => byte.toString(16).padStart(2, "0")).join("");
}

/** The state as one hash, for checkpoints and vectors (LOG-018). */
export function stateHash(state: SphereState): Bytes {
  const { policy: p, epoch: e, meta } = state;
  const deviceParts = (dv: string): Part[] => {
    const one = state.devices.get(dv)!;
    return [one.dv, one.status, one.kem, one.deHash, one.since];
  };
  const member = (one: Member): Bytes =>
    lp(one.id, one.role, thumbprint(one.ik), one.name, one.since, ...[...one.devices].sort(ascending).flatMap(deviceParts));
  const invite = (one: Invite): Bytes =>
    lp(b64d(one.jti), one.ipk, one.left, one.exp, one.by, one.role, one.admit, one.seq);
  const tail = (one: Tail): Bytes => lp(one.dv, one.seq, b64d(one.digest), one.at, bit(one.end));
  return sha256(lp(
    "sph/1 state", state.sph, state.seq, state.digest, state.iat, state.kind, state.org, state.mode, state.modeAt,
    state.delivery, state.custody,
    lp(p.join, p.history, p.retention, bit(p.plaintext), p.guests, p.T, p.kem_min, state.policyAt),
    e === undefined ? NONE : lp(e.n, e.seq, e.digest, e.prev, e.kc, e.rh, e.kemMin, e.iat, e.by, e.m ?? 0),
    bit(state.hard), state.due, bit(state.closed),
    ordered(state.members.values(), (one) => one.id, member),
    ordered(state.invites.values(), (one) => hexOf(one.jti), invite),
    ordered(state.tails.values(), (one) => one.dv, tail),
    meta === undefined ? NONE : lp(meta.seq, meta.ep, b64d(meta.mh)),
  ));
}
