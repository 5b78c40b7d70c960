/**
 * The signed structures of grid-v2: decoded by closed lists, verified under the key that `kid` names.
 *
 * The same steps and the same order as the project's other envelopes (JWS-001 to JWS-005); kept beside them because these
 * are signed by people's own keys and may show them (`jwk`), which no other structure does. Spec: GRID-040.
 */

import wire from "../../../src/cloister/grid/wire.json" with { type: "json" };
import { type Bytes, es384Verify, sha256 } from "../crypto.ts";
import { FormatError, NotMember } from "../errors.ts";
import { type JsonObject, b64d, b64e, jsonEmit, jsonParse, textBytes } from "../protocol/encoding.ts";
import { type Jwk, identityId } from "../protocol/ids.ts";
import { MAX_HEADER } from "../protocol/jws.ts";
import { type Check, shape } from "../protocol/shape.ts";
import type { Identity } from "./keys.ts";

export const [INVITE, OPENING, REPLY] = ["sph-invite+1", "sph-reply2inv+1", "sph-reply+1"] as const;
export const [RECEIPT, AUTH] = ["sph-receipt+1", "sph-auth+1"] as const;
export const ALG = "ES384";

type Members = Record<string, string>;

export const CONTENTS = Object.fromEntries(
  Object.entries(wire.contents as unknown as Record<string, Members>).map(([name, members]) => [name, shape(members)]),
) as Record<keyof typeof wire.contents, Check>;

/** One row of wire.json; `payload` is undefined where it is bytes. */
export interface Row {
  limit: number;
  header: Check;
  payload: Check | undefined;
}

function row(name: string, from: { limit: number; header: Members; payload: string | Members }): Row {
  const header = shape({ alg: `enum:${ALG}`, typ: `enum:${name}`, ...from.header });
  return { limit: from.limit, header, payload: typeof from.payload === "string" ? undefined : shape(from.payload) };
}

export const TYPS: ReadonlyMap<string, Row> = new Map(
  Object.entries(wire.typs).map(([name, one]) => [name, row(name, one as unknown as Parameters<typeof row>[1])]),
);

/** What headers have; which of it stands there the typ decides. */
export interface Header extends JsonObject {
  kid: string;
  invite: string;
  epk: string;
  jti: string;
  th: string;
  seq: number;
  ph: string;
  rk: string;
  cs: number;
  iat: number;
  n: string;
  cm: string;
}

/** A decoded, not yet verified envelope. */
export class Envelope {
  #digest: Bytes | undefined;

  constructor(
    readonly compact: string,
    readonly typ: string,
    readonly header: Header,
    readonly payload: Bytes,
    readonly signature: Bytes,
  ) {}

  /** What is signed and hashed (JWS-004). */
  get signingInput(): Bytes {
    return textBytes(this.compact.slice(0, this.compact.lastIndexOf(".")));
  }

  /** ASCII b64(header), bound to the ciphertext (JWS-004). */
  get aad(): Bytes {
    return textBytes(this.compact.slice(0, this.compact.indexOf(".")));
  }

  /** H(SI), 32 bytes (JWS-005). */
  get digest(): Bytes {
    return (this.#digest ??= sha256(this.signingInput));
  }

  /** H(SI) as base64url text. */
  get link(): string {
    return b64e(this.digest);
  }

  /** The payload as JSON of the typ's shape. Throws FormatError. */
  get body(): JsonObject {
    const value = jsonParse(this.payload);
    TYPS.get(this.typ)!.payload!(value);
    return value;
  }
}

/** The `typ` a text shows, which decides how it is read; nothing is verified. Throws FormatError (GRID-040). */
export function peek(compact: string): string {
  const dot = compact.indexOf(".");
  if (dot < 0 || dot > MAX_HEADER) throw new FormatError("envelope does not have three parts");
  const { typ } = jsonParse(b64d(compact.slice(0, dot)));
  if (typeof typ !== "string" || !TYPS.has(typ)) throw new FormatError("envelope of no known typ");
  return typ;
}

/** Decode an envelope that must be of one of `typs` (GRID-040, JWS-003). Throws FormatError. */
export function decode(compact: string, ...typs: string[]): Envelope {
  const typ = typs.length === 1 ? typs[0]! : peek(compact);
  if (!typs.includes(typ)) throw new FormatError("envelope of another typ");
  const expected = TYPS.get(typ)!;
  if (compact.length > expected.limit) throw new FormatError("envelope too large");
  const [head, payload, signature, ...rest] = compact.split(".");
  if (head === undefined || payload === undefined || signature === undefined || rest.length > 0 || head.length > MAX_HEADER) {
    throw new FormatError("envelope does not have three parts");
  }
  const [raw, body, tail] = [b64d(head), b64d(payload), b64d(signature)];
  const header = jsonParse(raw);
  expected.header(header);
  return new Envelope(compact, typ, header as Header, body, tail);
}

/** H(SI) of a token's text as base64url text, without looking into it (JWS-005). */
export function linkOf(compact: string): string {
  const signed = compact.slice(0, Math.max(compact.lastIndexOf("."), 0));
  return b64e(sha256(textBytes(signed.replace(/[^\0-\x7f]/gu, "?"))));
}

/** Check the signature (JWS-007). Throws SignatureInvalid. */
export async function verify(envelope: Envelope, jwk: Jwk): Promise<void> {
  await es384Verify(b64d(jwk.x), b64d(jwk.y), envelope.signature, envelope.signingInput);
}

/**
 * The key an envelope shows, which is the one `kid` names and the one that signed (GRID-040).
 * Throws NotMember when it is another's name, SignatureInvalid.
 */
export async function verifyShown(envelope: Envelope): Promise<Jwk> {
  const jwk = envelope.header["jwk"] as unknown as Jwk;
  if (identityId(jwk) !== envelope.header.kid) {
    throw new NotMember("another is named than the one who signed", { data: { reason: "forged-sender" } });
  }
  await verify(envelope, jwk);
  return jwk;
}

/** A header as it is written: alg, typ, kid, then `members` in the order of the table. Throws FormatError. */
export function head(typ: string, identity: Identity, members: object): Header {
  const full = { alg: ALG, typ, kid: identity.id, ...members };
  TYPS.get(typ)!.header(full);
  return full as unknown as Header;
}

/** Make an envelope; what is made passes `decode` (JWS-008). Throws FormatError before anything is signed. */
export function sign(header: Header, payload: Bytes, identity: Identity): Envelope {
  const typ = header["typ"] as string;
  const { limit, header: check, payload: checkPayload } = TYPS.get(typ)!;
  check(header);
  checkPayload?.(jsonParse(payload));
  const shown = b64e(jsonEmit(header));
  const signingInput = `${shown}.${b64e(payload)}`;
  if (signingInput.length + 129 > limit || shown.length > MAX_HEADER) throw new FormatError("envelope too large");
  const signature = identity.signer(textBytes(signingInput));
  return new Envelope(`${signingInput}.${b64e(signature)}`, typ, header, payload, signature);
}
