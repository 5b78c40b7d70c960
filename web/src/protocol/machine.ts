/**
 * The log's machine: a state and one more entry give the next state, or the first reason why not.
 *
 * Pure: no clock, no randomness, no storage. Spec: LOG-003 to LOG-014, ROLE-012.
 */

import { type Bytes, es384Verify, sha256 } from "../crypto.ts";
import { KeyUnknown, NotMember } from "../errors.ts";
import * as certificate from "./certificate.ts";
import { type JsonObject, b64d, b64e, lp } from "./encoding.ts";
import type { Entry } from "./entry.ts";
import { type Jwk, thumbprint } from "./ids.ts";
import { decode, verifyEd25519 } from "./jws.ts";
import * as keylog from "./keylog.ts";
import { WORDS, checkKem, refuse } from "./permission.ts";
import { type Row, rowOf } from "./roles.ts";
import { type Changes, RULES } from "./rules.ts";
import { type Device, type Member, type Policy, type SphereState, UNCHANGED, epochNumber, isMember } from "./state.ts";

type Attachments = ReadonlyMap<string, string>;
const NO_ATTACHMENTS: Attachments = new Map();

/** Whether an operation owes an epoch (LOG-013). */
function owes(row: Row, mode: string, policy: Policy): boolean {
  return mode === "e2ee" && row.epoch !== "no" && (row.epoch !== "history" || policy.history !== "all");
}

function deviceOf(cert: certificate.Certificate, body: JsonObject, since: number): Device {
  const { kem, de } = body["renew"] === undefined ? cert : certificate.renewal(body["renew"]);
  return { dv: cert.dv, owner: cert.id, dk: cert.dk, kem, de, deHash: sha256(de), status: "active", since };
}

interface Create {
  name: string;
  ik: Jwk;
  cert: string;
  rot?: string[];
  kind: string;
  org?: string;
  mode: string;
  delivery: string;
  custody: string;
  policy: Policy;
}

/** The state after entry 0 (LOG-003). */
export async function genesis(entry: Entry): Promise<SphereState> {
  if (entry.seq !== 0) refuse("LOG-003");
  if (entry.op !== "create") refuse("LOG-003");
  const row = rowOf(entry.op, entry.body);
  const body = entry.body as unknown as Create;
  const cert = await certificate.verify(body.cert, body.ik);
  if (cert.dv !== entry.kid) throw new KeyUnknown("LOG-003");
  await verifyEd25519(entry.envelope, cert.dk);
  await keylog.prove(cert.id, body.ik, body.rot ?? []);
  if (entry.iat > cert.exp) refuse("CERT-004");
  const { kind, org = "", mode, delivery, custody, policy } = body;
  if (delivery === "live" && custody !== "device") refuse("ROLE-014");
  if (kind === "org" && (org !== "" || mode !== "e2ee")) refuse("ROLE-005");
  const device = deviceOf(cert, entry.body, 0);
  checkKem(policy, device.kem);
  const owed = owes(row, mode, policy);
  const owner: Member = { id: cert.id, name: body.name, role: "owner", ik: body.ik, devices: [cert.dv], since: 0 };
  const roles = [[cert.id, "owner"] as const];
  return {
    sph: entry.sph, seq: 0, digest: entry.digest, iat: entry.iat, kind, org, mode, modeAt: 0, delivery, custody, policy,
    policyAt: 0, epoch: undefined, hard: owed, due: owed ? entry.kid : "", closed: false,
    members: new Map([[cert.id, owner]]), devices: new Map([[cert.dv, device]]), invites: new Map(), tails: new Map(),
    meta: undefined, memberCount: 1, deviceCount: 1,
    change: { ...UNCHANGED, op: "create", by: entry.kid, on: [cert.dv], roles, hard: owed, mode: true, policy: true },
  };
}

/** The state after one more entry (LOG-006); `attachments` maps H(SI) in base64url to join requests. */
export async function apply(
  state: SphereState,
  entry: Entry,
  attachments: Attachments = NO_ATTACHMENTS,
): Promise<SphereState> {
  if (state.closed) refuse("LOG-014");
  if (entry.sph !== state.sph || entry.seq !== state.seq + 1 || b64e(entry.prev) !== b64e(state.digest)) refuse("LOG-004");
  const known = state.devices.get(entry.kid);
  if (known !== undefined && known.status !== "active") throw new NotMember("LOG-007");
  const { me, device } =
    known === undefined ? await newcomer(state, entry) : { me: state.members.get(known.owner)!, device: known };
  await verifyEd25519(entry.envelope, device.dk);
  const body = entry.body;
  const row = rowOf(entry.op, body);
  if (row.newcomer !== (known === undefined)) refuse("LOG-008");
  if (entry.iat < state.iat) refuse("LOG-009");
  if (state.due !== "") whileDue(state, entry, row);
  const step = { state, entry, body, row, me, device, attachments };
  if (!WORDS[row.may[me.role]!]!(step)) refuse("ROLE-003", true);
  return close(state, entry, row, await RULES[row.op]!(step));
}

/** Only the debtor writes, and only what stands before an epoch (LOG-013). */
function whileDue(state: SphereState, entry: Entry, row: Row): void {
  const fits = row.place === "epoch" || (row.place === "before" && state.seq > 0);
  if (entry.kid !== state.due || !fits) refuse("LOG-013");
}

/** What all operations have in common: position, marks, debt, and the epoch the header names (LOG-012, LOG-013, LOG-005). */
function close(state: SphereState, entry: Entry, row: Row, after: Changes): SphereState {
  const { change = {}, ...changed } = after;
  const mode = changed.mode ?? state.mode;
  const owed = owes(row, mode, changed.policy ?? state.policy);
  const hard = row.hard === "always" || (row.hard === "epoch" && owed);
  const next: SphereState = {
    ...state, ...changed, seq: entry.seq, digest: entry.digest, iat: entry.iat,
    change: { ...UNCHANGED, op: row.op, by: entry.kid, hard, ...change },
  };
  if (hard) next.hard = true;
  if (owed) next.due = entry.kid;
  else if (mode !== "e2ee") next.due = "";
  if (entry.ep !== epochNumber(next)) refuse("LOG-005");
  return next;
}

// --- devices that introduce themselves -----------------------------------------------------------------------------------

/** Whose certificate this claims to be; nothing is verified. */
function claimedOwner(cert: string): string {
  return decode(cert, "sph-dev+1").body["id"] as string;
}

/** The member and the device of an entry signed by a device the log does not know (LOG-008). */
async function newcomer(state: SphereState, entry: Entry): Promise<{ me: Member; device: Device }> {
  const { op, body } = entry;
  const isIdentity = op === "identity";
  if (!isIdentity && !(op === "device" && body["act"] === "add")) throw new KeyUnknown("LOG-008");
  rowOf(op, body);
  const me = state.members.get(isIdentity ? (body["id"] as string) : claimedOwner(body["cert"] as string));
  if (me === undefined || !isMember(me)) throw new KeyUnknown("LOG-008");
  const cert = await certificate.verify(body["cert"] as string, isIdentity ? (body["new"] as unknown as Jwk) : me.ik);
  if (cert.dv !== entry.kid || cert.id !== me.id) throw new KeyUnknown("LOG-008");
  if (entry.iat > cert.exp) refuse("CERT-004");
  if (isIdentity) await bothKeys(state.sph, me, body, cert.digest);
  return { me, device: deviceOf(cert, body, entry.seq) };
}

/** What both identity keys sign when one replaces the other in a sphere (ROLE-012). */
export function identityMessage(sph: string, id: string, old: Jwk, next: Jwk, certDigest: Uint8Array): Bytes {
  return lp("sph/1 identity", sph, id, thumbprint(old), thumbprint(next), certDigest);
}

async function bothKeys(sph: string, me: Member, body: JsonObject, certDigest: Uint8Array): Promise<void> {
  const [old, next] = [body["old"] as unknown as Jwk, body["new"] as unknown as Jwk];
  const same = (one: Jwk, other: Jwk): boolean => one.x === other.x && one.y === other.y;
  if (!same(old, me.ik) || same(next, old)) refuse("ROLE-012");
  const message = identityMessage(sph, me.id, old, next, certDigest);
  await es384Verify(b64d(old.x), b64d(old.y), b64d(body["osig"] as string), message);
  await es384Verify(b64d(next.x), b64d(next.y), b64d(body["nsig"] as string), message);
}
