/**
 * Key logs: the chain of a person's identity keys and devices, and the proof that a key belongs to a handle.
 *
 * Serves a person's own devices, device sessions and first contact; inside a sphere only the sphere's log counts.
 * Spec: KLOG-001 to KLOG-008.
 */

import roles from "../../../src/cloister/protocol/roles.json" with { type: "json" };
import wire from "../../../src/cloister/protocol/wire.json" with { type: "json" };
import { type Bytes, es384Sign, es384Verify } from "../crypto.ts";
import { Expired, KeyUnknown, LogFork, LogInvalid, LogRollback } from "../errors.ts";
import * as certificate from "./certificate.ts";
import { type JsonObject, b64d, b64e, lp } from "./encoding.ts";
import { type Jwk, identityId, jwkPublic, thumbprint } from "./ids.ts";
import { type Envelope, decode, identitySigner, sign, verifyEs384 } from "./jws.ts";
import { type Check, shape } from "./shape.ts";

const BODY = new Map<string, Check>(Object.entries(wire.klog).map(([op, members]) => [op, shape(members)]));

export interface KeyLog {
  /** The handle: id of the first identity key, for ever. */
  id: string;
  seq: number;
  digest: Bytes;
  iat: number;
  ik: Jwk;
  devices: ReadonlyMap<string, certificate.Certificate>;
  revoked: ReadonlySet<string>;
}

interface Payload {
  id: string;
  seq: number;
  prev?: string;
  op: string;
  body: JsonObject;
  iat: number;
}

// --- making ----------------------------------------------------------------------------------------------------------

function make(ik: Uint8Array, log: KeyLog | undefined, op: string, body: JsonObject, iat: number): Promise<string> {
  const kid = identityId(jwkPublic(ik));
  const place = log === undefined ? { id: kid, seq: 0 } : { id: log.id, seq: log.seq + 1, prev: b64e(log.digest) };
  return sign("sph-klog+1", { kid }, { ...place, op, body, iat }, identitySigner(ik));
}

export function start(ik: Uint8Array, iat: number): Promise<string> {
  return make(ik, undefined, "start", { ik: { ...jwkPublic(ik) } }, iat);
}

export function addDevice(ik: Uint8Array, log: KeyLog, cert: string, iat: number): Promise<string> {
  return make(ik, log, "add-dev", { cert }, iat);
}

export function revokeDevice(ik: Uint8Array, log: KeyLog, dv: string, iat: number): Promise<string> {
  return make(ik, log, "rev-dev", { dv }, iat);
}

export function rotate(ik: Uint8Array, log: KeyLog, next: Uint8Array, iat: number): Promise<string> {
  const jwk = jwkPublic(next);
  const sig = b64e(es384Sign(next, rotationMessage(log.id, log.ik, jwk)));
  return make(ik, log, "rotate", { ik: { ...jwk }, sig }, iat);
}

/** What the new key signs when it takes over (KLOG-006). */
export function rotationMessage(handle: string, old: Jwk, next: Jwk): Bytes {
  return lp("sph/1 rotate", handle, thumbprint(old), thumbprint(next));
}

// --- reading ---------------------------------------------------------------------------------------------------------

function bodyOf(payload: Payload): JsonObject {
  BODY.get(payload.op)!(payload.body);
  return payload.body;
}

/** `kid` names the key and the signature holds under it (KLOG-003). */
async function signedBy(envelope: Envelope, ik: Jwk): Promise<void> {
  if (envelope.header["kid"] !== identityId(ik)) throw new KeyUnknown("not the present identity key");
  await verifyEs384(envelope, ik);
}

/** Entry 0 (KLOG-002). */
async function first(compact: string): Promise<KeyLog> {
  const envelope = decode(compact, "sph-klog+1");
  const payload = envelope.body as unknown as Payload;
  BODY.get("start")!(payload.body);
  const ik = payload.body["ik"] as unknown as Jwk;
  await signedBy(envelope, ik);
  if (payload.op !== "start" || payload.seq !== 0 || payload.prev !== undefined || payload.id !== identityId(ik)) {
    throw new LogInvalid("KLOG-002");
  }
  const { id, iat } = payload;
  return { id, seq: 0, digest: envelope.digest, iat, ik, devices: new Map(), revoked: new Set() };
}

/** Another identity key takes over: it differs and has signed too (KLOG-006). */
async function countersigned(handle: string, old: Jwk, body: JsonObject): Promise<Jwk> {
  const ik = body["ik"] as unknown as Jwk;
  if (identityId(ik) === identityId(old)) throw new LogInvalid("KLOG-006");
  await es384Verify(b64d(ik.x), b64d(ik.y), b64d(body["sig"] as string), rotationMessage(handle, old, ik));
  return ik;
}

/** The log after one more entry (KLOG-001 to KLOG-006). Throws FormatError, KeyUnknown, SignatureInvalid, LogInvalid. */
export async function apply(log: KeyLog | undefined, compact: string): Promise<KeyLog> {
  if (log === undefined) return first(compact);
  const envelope = decode(compact, "sph-klog+1");
  await signedBy(envelope, log.ik);
  const payload = envelope.body as unknown as Payload;
  const { id, seq, prev, op, iat } = payload;
  if (id !== log.id || seq !== log.seq + 1 || prev !== b64e(log.digest) || iat < log.iat || op === "start") {
    throw new LogInvalid("KLOG-001");
  }
  const body = bodyOf(payload);
  const next = { ...log, seq, iat, digest: envelope.digest };
  const devices = new Map(log.devices);
  if (op === "rotate") {
    const ik = await countersigned(log.id, log.ik, body);
    return { ...next, ik, devices: new Map(), revoked: new Set([...log.revoked, ...devices.keys()]) };
  }
  if (op === "rev-dev") {
    const dv = body["dv"] as string;
    if (!devices.delete(dv)) throw new LogInvalid("KLOG-005");
    return { ...next, devices, revoked: new Set([...log.revoked, dv]) };
  }
  const cert = await certificate.verify(body["cert"] as string, log.ik);
  if (cert.id !== log.id) throw new LogInvalid("KLOG-004");
  if (devices.has(cert.dv) || log.revoked.has(cert.dv)) throw new LogInvalid("KLOG-004");
  if (devices.size >= roles.limits.devices_per_member) throw new LogInvalid("KLOG-004");
  if (iat > cert.exp) throw new Expired("KLOG-004");
  return { ...next, devices: devices.set(cert.dv, cert) };
}

/** A whole log from entry 0; with `pin`, one that continues what was seen (KLOG-008). */
export async function verifyChain(chain: string[], pin?: { seq: number; digest: Uint8Array }): Promise<KeyLog> {
  let log: KeyLog | undefined;
  let seen: string | undefined;
  for (const compact of chain) {
    log = await apply(log, compact);
    if (log.seq === pin?.seq) seen = b64e(log.digest);
  }
  if (log === undefined) throw new LogInvalid("KLOG-001");
  if (pin !== undefined && seen === undefined) throw new LogRollback("KLOG-008");
  if (pin !== undefined && seen !== b64e(pin.digest)) throw new LogFork("KLOG-008");
  return log;
}

/** The identity keys from the first of a handle to `ik` (KLOG-007). Throws LogInvalid and what reading throws. */
export async function prove(handle: string, ik: Jwk, rotations: string[]): Promise<Jwk[]> {
  const [start, ...rest] = rotations;
  if (start === undefined) {
    if (identityId(ik) !== handle) throw new LogInvalid("KLOG-007");
    return [ik];
  }
  const log = await first(start);
  if (log.id !== handle) throw new LogInvalid("KLOG-007");
  const keys = [log.ik];
  for (const compact of rest) {
    const present = keys[keys.length - 1]!;
    const envelope = decode(compact, "sph-klog+1");
    await signedBy(envelope, present);
    const payload = envelope.body as unknown as Payload;
    if (payload.id !== handle || payload.op !== "rotate") throw new LogInvalid("KLOG-007");
    keys.push(await countersigned(handle, present, bodyOf(payload)));
  }
  if (identityId(keys[keys.length - 1]!) !== identityId(ik)) throw new LogInvalid("KLOG-007");
  return keys;
}
