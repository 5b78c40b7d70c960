/**
 * What anybody can check of grid-v2 without a secret: invitations, and who signs in at a relay.
 *
 * Spec: GRID-041, GRID-042, GRID-056.
 */

import { type Bytes, sha256 } from "../crypto.ts";
import { Expired, FormatError, LogInvalid } from "../errors.ts";
import { b64d, b64e, jsonEmit, lp } from "../protocol/encoding.ts";
import { type Jwk, thumbprint } from "../protocol/ids.ts";
import * as envelope from "./envelope.ts";
import { AUTH, INVITE } from "./envelope.ts";
import { type Identity, jwkOfPoint } from "./keys.ts";

const DAY = 86_400;
export const LIFE = 30 * DAY;
export const MAX_LIFE = 366 * DAY;
const MAX_PROOF = 60;
const CLOCK_SKEW = 600;

/** An invitation whose signature held. `name` is b64 of its H(SI), `epk` a point, `uses` 0 for any number. */
export interface Invitation {
  readonly compact: string;
  readonly name: string;
  readonly sender: string;
  readonly jwk: Jwk;
  readonly epk: Bytes;
  readonly iat: number;
  readonly exp: number;
  readonly uses: number;
  readonly nickname: string;
  readonly note: string;
  readonly relay: string;
}

interface Body {
  iat: number;
  exp: number;
  uses: number;
  epk: string;
  nickname: string;
  note?: string;
  relay?: string;
}

/**
 * Verify an invitation (GRID-041). With `now` it must not be over (GRID-042).
 * Throws NotMember, SignatureInvalid, FormatError, Expired.
 */
export async function readInvite(compact: string, now?: number): Promise<Invitation> {
  const read = envelope.decode(compact, INVITE);
  const jwk = await envelope.verifyShown(read);
  const { iat, exp, uses, epk, nickname, note = "", relay = "" } = read.body as unknown as Body;
  jwkOfPoint(b64d(epk));
  if (iat > exp || exp > iat + MAX_LIFE) throw new FormatError("an invitation ends within a year of its beginning");
  if (now !== undefined && now > exp) throw new Expired("invitation", { data: { reason: "invitation-over" } });
  return {
    compact, name: read.link, sender: read.header.kid, jwk, epk: b64d(epk), iat, exp, uses, nickname, note, relay,
  };
}

/** `th`: b64 of the first 16 bytes of H(LP("th", tp, tp)), the invitation's key first (GRID-044). */
export function threadName(inviteEpk: Uint8Array, replyEpk: Uint8Array): string {
  return b64e(sha256(lp("th", tp(inviteEpk), tp(replyEpk))).subarray(0, 16));
}

/** b64 of the RFC 7638 thumbprint of a conversation key (GRID-003). */
export function tp(point: Uint8Array): string {
  return b64e(thumbprint(jwkOfPoint(point)));
}

/** Answer a relay's nonce (32 bytes) for the origin `aud`; valid 60 seconds (GRID-056). */
export function makeAuth(identity: Identity, { aud, nonce, iat }: { aud: string; nonce: Uint8Array; iat: number }): string {
  const body = { aud, nonce: b64e(nonce), iat, exp: iat + MAX_PROOF };
  return envelope.sign(envelope.head(AUTH, identity, { jwk: identity.jwk }), jsonEmit(body), identity).compact;
}

/**
 * Who answered `nonce` for one of `origins` (GRID-056).
 * Throws NotMember, SignatureInvalid, FormatError, LogInvalid for another relay's or nonce's, Expired.
 */
export async function readAuth(
  compact: string,
  { origins, nonce, now }: { origins: readonly string[]; nonce: Uint8Array; now: number },
): Promise<[id: string, jwk: Jwk]> {
  const read = envelope.decode(compact, AUTH);
  const jwk = await envelope.verifyShown(read);
  const body = read.body as { aud: string; nonce: string; iat: number; exp: number };
  if (!origins.includes(body.aud) || body.nonce !== b64e(nonce)) {
    throw new LogInvalid("the answer is for another relay or challenge");
  }
  const { iat, exp } = body;
  if (iat > exp || exp > iat + MAX_PROOF || Math.abs(now - iat) > CLOCK_SKEW) throw new Expired("sign-in");
  return [read.header.kid, jwk];
}
