/**
 * The operations of the log, one function each: own preconditions, and what changes.
 *
 * Position, signature, form, time, debt and rights are the machine's. Spec: ROLE-005 to ROLE-019, LOG-015 to LOG-019.
 */

import { ed25519CheckPublic, sha256 } from "../crypto.ts";
import { CheckFailed } from "../errors.ts";
import * as certificate from "./certificate.ts";
import { b64d, b64e } from "./encoding.ts";
import * as join from "./join.ts";
import { type Step, checkKem, refuse } from "./permission.ts";
import { CLEAR, KEMS, LIMITS, SEALED, rank } from "./roles.ts";
import {
  type Change, type Device, type Invite, type Member, type Policy, type SphereState, type Tail, activeDevices, activeDevicesOf,
  epochNumber, isMember, recipientsHash, stateHash,
} from "./state.ts";

export interface Changes extends Partial<Omit<SphereState, "change">> {
  change?: Partial<Change>;
}

type TailRow = [dv: string, seq: number, digest: string];

// --- shared pieces -------------------------------------------------------------------------------------------------------

/** A tail for each of the affected devices and for no other (LOG-017). */
function readTails(s: Step, affected: readonly Device[], end: boolean): Tail[] {
  const rows = (s.body["tails"] ?? []) as unknown as TailRow[];
  const names = new Set(affected.map((one) => one.dv));
  if (rows.length !== names.size || rows.some(([dv]) => !names.delete(dv))) refuse("LOG-017");
  return rows.map(([dv, seq, digest]) => ({ dv, seq, digest, at: s.entry.seq, end }));
}

function withTails(state: SphereState, tails: readonly Tail[]): Map<string, Tail> {
  const all = new Map(state.tails);
  for (const tail of tails) all.set(tail.dv, tail);
  return all;
}

function withDevices(state: SphereState, devices: readonly Device[]): Map<string, Device> {
  const all = new Map(state.devices);
  for (const one of devices) all.set(one.dv, one);
  return all;
}

const withMember = (state: SphereState, member: Member): Map<string, Member> => new Map(state.members).set(member.id, member);

/** Invitations without those a person made that are still open (ROLE-006). */
function closedInvites(state: SphereState, id: string): ReadonlyMap<string, Invite> {
  const all = new Map(state.invites);
  for (const one of all.values()) if (one.by === id && one.left > 0) all.set(one.jti, { ...one, left: 0 });
  return all;
}

function target(s: Step): Member {
  const member = s.state.members.get(s.body["id"] as string);
  if (member === undefined || !isMember(member)) refuse("ROLE-008");
  return member;
}

function otherOwner(state: SphereState, id: string): boolean {
  return [...state.members.values()].some((one) => one.role === "owner" && one.id !== id);
}

function room(members: number, devices: number): void {
  if (members > LIMITS.members || devices > LIMITS.devices) refuse("ROLE-019");
}

/** A membership ends: its devices become inactive, its invitations close (ROLE-008). */
function gone(s: Step, member: Member, role: string): Changes {
  const { state } = s;
  const active = activeDevicesOf(state, member);
  const tails = readTails(s, active, true);
  return {
    members: withMember(state, { ...member, role, since: s.entry.seq }),
    devices: withDevices(state, active.map((one) => ({ ...one, status: "left" }))),
    invites: closedInvites(state, member.id),
    tails: withTails(state, tails),
    memberCount: state.memberCount - 1,
    deviceCount: state.deviceCount - active.length,
    change: { off: active.map((one) => one.dv), roles: [[member.id, role]], tails },
  };
}

// --- invitations and membership ------------------------------------------------------------------------------------------

function invite(s: Step): Changes {
  const { jti, ipk, role, uses, exp, admit } = s.body as unknown as Invite & { ipk: string; uses: number };
  if (rank(role) > rank(s.me.role) || uses < 1 || uses > LIMITS.uses || exp < s.entry.iat) refuse("ROLE-006");
  if (s.state.invites.has(jti)) refuse("ROLE-006");
  const key = b64d(ipk as unknown as string);
  ed25519CheckPublic(key);
  const made = { jti, ipk: key, role, left: uses, exp, admit, by: s.me.id, seq: s.entry.seq };
  return { invites: new Map(s.state.invites).set(jti, made) };
}

function revokeInvite(s: Step): Changes {
  const found = s.state.invites.get(s.body["jti"] as string);
  if (found === undefined || found.left === 0) refuse("ROLE-006");
  return { invites: new Map(s.state.invites).set(found.jti, { ...found, left: 0 }) };
}

/** The invitation an `add` names (ROLE-010). */
function linkOf(s: Step): Invite | undefined {
  const jti = s.body["jti"] as string | undefined;
  if (jti === undefined) return undefined;
  const found = s.state.invites.get(jti);
  if (found === undefined || found.left === 0 || s.entry.iat > found.exp || found.role !== s.body["role"]) refuse("ROLE-010");
  return found;
}

/** The attached request, judged at the entry's time; every failure makes the entry wrong (JOIN-008). */
async function requestOf(s: Step, link: Invite | undefined): Promise<join.JoinRequest> {
  const compact = s.attachments.get(s.body["join"] as string);
  if (compact === undefined) refuse("JOIN-008");
  let request: join.JoinRequest;
  try {
    request = await join.verify(compact, s.state.sph, link, s.entry.iat);
  } catch (error) {
    if (error instanceof CheckFailed) refuse("JOIN-008");
    throw error;
  }
  if (request.digest !== s.body["join"] || request.id !== s.body["id"]) refuse("JOIN-008");
  return request;
}

/** The devices a request brings in; what left before comes back with the key the log knew (ROLE-010, ROLE-011). */
function admitted(s: Step, request: join.JoinRequest): Device[] {
  return request.certs.map(({ dv, dk }) => {
    const known = s.state.devices.get(dv);
    if (known !== undefined && (known.owner !== request.id || known.status === "revoked")) refuse("ROLE-010");
    const asked = request.kems.get(dv)!;
    const { kem, de } = known !== undefined && dv !== request.kid ? known : asked;
    checkKem(s.state.policy, kem);
    return { dv, owner: request.id, dk, kem, de, deHash: sha256(de), status: "active" as const, since: s.entry.seq };
  });
}

async function add(s: Step): Promise<Changes> {
  const { state } = s;
  const role = s.body["role"] as string;
  const link = linkOf(s);
  const known = state.members.get(s.body["id"] as string);
  if (known !== undefined && isMember(known)) refuse("ROLE-010");
  if (link === undefined && role === "admin" && s.me.role !== "owner") refuse("ROLE-011");
  if (known?.role === "banned" && s.me.role !== "owner") refuse("ROLE-011");
  const request = await requestOf(s, link);
  const sameKey = (one: { x: string; y: string }): boolean => one.x === known?.ik.x && one.y === known.ik.y;
  if (known !== undefined && !request.iks.some(sameKey)) refuse("JOIN-006");
  const devices = admitted(s, request);
  const names = devices.map((one) => one.dv);
  room(state.memberCount + 1, state.deviceCount + devices.length);
  const { id, ik } = request;
  const held = [...(known?.devices ?? []), ...names.filter((dv) => !known?.devices.includes(dv))];
  const member = { id, name: known?.name ?? request.name, role, ik, devices: held, since: s.entry.seq };
  const tails = new Map(state.tails);
  for (const dv of names) tails.delete(dv);
  return {
    members: withMember(state, member),
    devices: withDevices(state, devices),
    invites: link === undefined ? state.invites : new Map(state.invites).set(link.jti, { ...link, left: link.left - 1 }),
    tails,
    memberCount: state.memberCount + 1,
    deviceCount: state.deviceCount + devices.length,
    change: { on: names, roles: [[id, role]], join: request.digest },
  };
}

function remove(s: Step): Changes {
  const member = target(s);
  if (member.id === s.me.id) refuse("ROLE-008");
  return gone(s, member, s.body["ban"] === true ? "banned" : "none");
}

function leave(s: Step): Changes {
  const last = s.state.memberCount === 1;
  if (s.me.role === "owner" && !last && !otherOwner(s.state, s.me.id)) refuse("ROLE-009");
  return { ...gone(s, s.me, "none"), closed: last };
}

function changeRole(s: Step): Changes {
  const member = target(s);
  const role = s.body["role"] as string;
  if (member.role === role) refuse("ROLE-013");
  if (member.role === "owner" && !otherOwner(s.state, member.id)) refuse("ROLE-013");
  const lowered = rank(role) < rank(member.role);
  if (lowered !== (s.body["tails"] !== undefined)) refuse("LOG-017");
  const tails = lowered ? readTails(s, activeDevicesOf(s.state, member), false) : [];
  return {
    members: withMember(s.state, { ...member, role, since: s.entry.seq }),
    invites: lowered ? closedInvites(s.state, member.id) : s.state.invites,
    tails: withTails(s.state, tails),
    change: { roles: [[member.id, role]], tails },
  };
}

// --- devices and identities ----------------------------------------------------------------------------------------------

function deviceAdd(s: Step): Changes {
  const { state, me, device } = s;
  checkKem(state.policy, device.kem);
  if (activeDevicesOf(state, me).length >= LIMITS.devices_per_member) refuse("ROLE-015");
  room(state.memberCount, state.deviceCount + 1);
  return {
    members: withMember(state, { ...me, devices: [...me.devices, device.dv] }),
    devices: withDevices(state, [device]),
    deviceCount: state.deviceCount + 1,
    change: { on: [device.dv] },
  };
}

function deviceRenew(s: Step): Changes {
  const kem = s.body["kem"] as string;
  const de = b64d(s.body["de"] as string);
  certificate.checkReceivingKey(kem, de);
  checkKem(s.state.policy, kem);
  if (kem === s.device.kem && b64e(de) === b64e(s.device.de)) refuse("ROLE-015");
  return { devices: withDevices(s.state, [{ ...s.device, kem, de, deHash: sha256(de) }]) };
}

function deviceRevoke(s: Step): Changes {
  const found = s.state.devices.get(s.body["dv"] as string);
  if (found?.status !== "active" || found.owner !== s.me.id || found.dv === s.entry.kid) refuse("ROLE-015");
  const tails = readTails(s, [found], true);
  return {
    devices: withDevices(s.state, [{ ...found, status: "revoked" }]),
    tails: withTails(s.state, tails),
    deviceCount: s.state.deviceCount - 1,
    change: { off: [found.dv], tails },
  };
}

/** Both keys have signed, as the machine saw to before the entry's own signature (ROLE-012). */
function identity(s: Step): Changes {
  const { state, me, device } = s;
  checkKem(state.policy, device.kem);
  const active = activeDevicesOf(state, me);
  const tails = readTails(s, active, true);
  const earlier = me.devices.map((dv) => ({ ...state.devices.get(dv)!, status: "revoked" as const }));
  return {
    members: withMember(state, { ...me, ik: s.body["new"] as unknown as Member["ik"], devices: [...me.devices, device.dv] }),
    devices: withDevices(state, [...earlier, device]),
    tails: withTails(state, tails),
    deviceCount: state.deviceCount - active.length + 1,
    change: { on: [device.dv], off: active.map((one) => one.dv), tails },
  };
}

// --- epochs and settings -------------------------------------------------------------------------------------------------

function mark(s: Step): Changes {
  if (s.state.mode !== "e2ee" || s.state.hard) refuse("ROLE-016");
  return {};
}

function epoch(s: Step): Changes {
  const { state, entry } = s;
  const { n, kc, rh, kem_min: kemMin, m } = s.body as { n: number; kc: string; rh: string; kem_min: string; m?: number };
  if (state.mode !== "e2ee" || n !== epochNumber(state) + 1 || kemMin !== state.policy.kem_min) refuse("LOG-015");
  if (rh !== b64e(recipientsHash(activeDevices(state)))) refuse("LOG-016");
  if ((m !== undefined) !== (state.org !== "")) refuse("LOG-015");
  const made = { n, seq: entry.seq, digest: entry.digest, prev: entry.prev, kc: b64d(kc), rh: b64d(rh), kemMin, iat: entry.iat };
  return { epoch: { ...made, by: entry.kid, m }, hard: false, due: "", change: { epoch: true } };
}

function mode(s: Step): Changes {
  const next = s.body["mode"] as string;
  if (next === s.state.mode || s.state.kind === "org") refuse("ROLE-014");
  return { mode: next, modeAt: s.entry.seq, change: { mode: true } };
}

function delivery(s: Step): Changes {
  const next = s.body["delivery"] as string;
  if (next === s.state.delivery || (next === "live" && s.state.custody !== "device")) refuse("ROLE-014");
  return { delivery: next };
}

function custody(s: Step): Changes {
  const next = s.body["custody"] as string;
  if (next === s.state.custody || (next === "synced" && s.state.delivery === "live")) refuse("ROLE-014");
  return { custody: next };
}

function policy(s: Step): Changes {
  const next = s.body["policy"] as unknown as Policy;
  const now = s.state.policy;
  if ((Object.keys(next) as (keyof Policy)[]).every((name) => next[name] === now[name])) refuse("ROLE-017");
  if (KEMS.indexOf(next.kem_min) > KEMS.indexOf(now.kem_min)) {
    for (const one of activeDevices(s.state)) checkKem(next, one.kem);
  }
  return { policy: next, policyAt: s.entry.seq, change: { policy: true } };
}

function meta(s: Step): Changes {
  const sealed = s.state.mode === "e2ee";
  const names = Object.keys(s.body).sort().join();
  if (names !== [...(sealed ? SEALED : CLEAR)].sort().join() || (sealed && s.state.hard)) refuse("ROLE-018");
  const mh = (s.body["mh"] as string | undefined) ?? "";
  return { meta: { seq: s.entry.seq, ep: s.entry.ep, mh, body: s.body } };
}

function checkpoint(s: Step): Changes {
  const { seq, sh, heads = [] } = s.body as unknown as { seq: number; sh: string; heads?: TailRow[] };
  if (seq !== s.state.seq || sh !== b64e(stateHash(s.state))) refuse("LOG-019");
  const named = new Set(heads.map(([dv]) => dv));
  if (named.size !== heads.length || heads.some(([dv]) => !s.state.devices.has(dv))) refuse("LOG-019");
  return {};
}

export const RULES: Record<string, (s: Step) => Changes | Promise<Changes>> = {
  invite, "revoke-invite": revokeInvite, add, remove, leave, role: changeRole, "device add": deviceAdd,
  "device renew": deviceRenew, "device revoke": deviceRevoke, identity, mark, epoch, mode, delivery, custody, policy, meta,
  checkpoint,
};
