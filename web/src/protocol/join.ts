/**
 * Join requests: a person asks to be let in, with all own devices, perhaps under an invitation.
 *
 * Judges a request at a given time; who may admit is the log's matter. Spec: JOIN-001 to JOIN-007, JOIN-009.
 */

import { type Bytes, ed25519Verify } from "../crypto.ts";
import { Expired, FormatError, KeyUnknown, LogInvalid } from "../errors.ts";
import * as certificate from "./certificate.ts";
import { type JsonObject, b64d, b64e, lp } from "./encoding.ts";
import type { Jwk } from "./ids.ts";
import { type Signer, decode, sign, verifyEd25519 } from "./jws.ts";
import * as keylog from "./keylog.ts";
import { LIMITS } from "./roles.ts";

const TYP = "sph-join+1";
const LONGEST = LIMITS.join_days * 86_400;

export interface JoinRequest {
  compact: string;
  /** H(SI), base64url. */
  digest: string;
  id: string;
  name: string;
  ik: Jwk;
  /** Identity keys from the first of the handle to `ik` (JOIN-006). */
  iks: Jwk[];
  kid: string;
  certs: certificate.Certificate[];
  /** The receiving key of each device, a renewed one included (JOIN-007). */
  kems: ReadonlyMap<string, { kem: string; de: Bytes }>;
  jti: string | undefined;
  /** Judged under an invitation and proved by its key. */
  byLink: boolean;
  iat: number;
  exp: number;
}

/** What a request under an invitation is judged by. */
export interface Invitation {
  jti: string;
  ipk: Uint8Array;
  exp: number;
  left?: number;
}

/** What the holder of an invitation signs with its key (JOIN-005). */
export function linkMessage(sph: string, jti: Uint8Array, joiner: string, certDigest: Uint8Array, nonce: Uint8Array): Bytes {
  return lp("sph/1 join", sph, jti, joiner, certDigest, nonce);
}

export interface Ask {
  sph: string;
  name: string;
  ik: Jwk;
  certs: string[];
  nonce: Uint8Array;
  iat: number;
  exp: number;
  link?: { jti: Uint8Array; signer: Signer };
  renew?: { kem: string; de: Uint8Array };
  rotations?: string[];
}

/** Make a request of device `kid` (JOIN-001). */
export async function make(signer: Signer, kid: string, ask: Ask): Promise<string> {
  const { sph, name, ik, certs, nonce, iat, exp, link, renew, rotations } = ask;
  const body: JsonObject = { sph, name, ik: { ...ik }, certs, nonce: b64e(nonce), iat, exp };
  if (link !== undefined) {
    const own = await ownCertificate(certs, kid, ik);
    body["jti"] = b64e(link.jti);
    body["ivs"] = b64e(await link.signer(linkMessage(sph, link.jti, own.id, own.digest, nonce)));
  }
  if (renew !== undefined) body["renew"] = { kem: renew.kem, de: b64e(renew.de) };
  if (rotations !== undefined && rotations.length > 0) body["rot"] = rotations;
  return sign(TYP, { kid }, body, signer);
}

async function ownCertificate(certs: string[], kid: string, ik: Jwk): Promise<certificate.Certificate> {
  for (const compact of certs) {
    const cert = await certificate.verify(compact, ik);
    if (cert.dv === kid) return cert;
  }
  throw new KeyUnknown("JOIN-002");
}

interface Payload {
  sph: string;
  jti?: string;
  name: string;
  ik: Jwk;
  certs: string[];
  nonce: string;
  ivs?: string;
  renew?: JsonObject;
  rot?: string[];
  iat: number;
  exp: number;
}

/** Judge a request at time `at`, under an invitation when one is given (JOIN-002 to JOIN-007). */
export async function verify(
  compact: string,
  sph: string,
  invite: Invitation | undefined,
  at: number,
): Promise<JoinRequest> {
  const envelope = decode(compact, TYP);
  const body = envelope.body as unknown as Payload;
  const kid = envelope.header["kid"] as string;
  const certs: certificate.Certificate[] = [];
  for (const one of body.certs) certs.push(await certificate.verify(one, body.ik));
  const own = certs.find((one) => one.dv === kid);
  if (own === undefined) throw new KeyUnknown("JOIN-002");
  await verifyEd25519(envelope, own.dk);
  if (body.sph !== sph) throw new LogInvalid("JOIN-002");
  const devices = new Set(certs.map((one) => one.dv));
  if (devices.size !== certs.length || certs.some((one) => one.id !== own.id)) throw new FormatError("JOIN-003");
  if (body.exp < body.iat || body.exp > body.iat + LONGEST) throw new FormatError("JOIN-004");
  if (body.ivs !== undefined && body.jti === undefined) throw new FormatError("JOIN-005");
  const kems = new Map(certs.map(({ dv, kem, de }) => [dv, { kem, de }]));
  if (body.renew !== undefined) kems.set(kid, certificate.renewal(body.renew));
  if (at > body.exp || certs.some((one) => at > one.exp)) throw new Expired("JOIN-004");
  const iks = await keylog.prove(own.id, body.ik, body.rot ?? []);
  if (invite !== undefined) {
    if (body.jti !== invite.jti || body.ivs === undefined) throw new LogInvalid("JOIN-005");
    const message = linkMessage(sph, b64d(body.jti), own.id, own.digest, b64d(body.nonce));
    await ed25519Verify(invite.ipk, b64d(body.ivs), message);
  }
  const { name, ik, jti, iat, exp } = body;
  const digest = b64e(envelope.digest);
  return { compact, digest, id: own.id, name, ik, iks, kid, certs, kems, jti, byLink: invite !== undefined, iat, exp };
}

/** What a relay asks of a link holder: a request that is good now, under an open invitation (JOIN-009). */
export async function checkIvs(compact: string, sph: string, invite: Invitation, now: number): Promise<JoinRequest> {
  if (now > invite.exp || invite.left === 0) throw new Expired("JOIN-009");
  return verify(compact, sph, invite, now);
}
