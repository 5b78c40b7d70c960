/**
 * Signed envelopes: JWS compact serialisation with a closed list of members for every `typ`.
 *
 * The received text is what is hashed, signed and stored; the signature is never part of a hash.
 * Spec: JWS-001 to JWS-009.
 */

import wire from "../../../src/cloister/protocol/wire.json" with { type: "json" };
import { type Bytes, ed25519Sign, ed25519Verify, es384Sign, es384Verify, sha256 } from "../crypto.ts";
import { FormatError } from "../errors.ts";
import { type JsonObject, b64d, b64e, jsonEmit, jsonParse, textBytes } from "./encoding.ts";
import type { Jwk } from "./ids.ts";
import { type Check, shape } from "./shape.ts";

export const MAX_HEADER = 4096;

/** One row of wire.json (JWS-002). */
export interface Typ {
  name: string;
  alg: string;
  limit: number;
  header: Check;
  payload: Check | undefined;
  free: boolean;
}

interface Row {
  alg: string;
  limit: number;
  header: Record<string, string>;
  payload: string | Record<string, string>;
}

function row(name: string, from: Row): Typ {
  const header = shape({ alg: `enum:${from.alg}`, typ: `enum:${name}`, ...from.header });
  if (typeof from.payload === "string") {
    return { name, alg: from.alg, limit: from.limit, header, payload: undefined, free: false };
  }
  const free = "*" in from.payload || Object.values(from.payload).includes("object");
  return { name, alg: from.alg, limit: from.limit, header, payload: shape(from.payload), free };
}

export const TYPS: ReadonlyMap<string, Typ> = new Map(
  Object.entries(wire.typs as unknown as Record<string, Row>).map(([name, one]) => [name, row(name, one)]),
);

function kinds(rows: unknown): ReadonlyMap<string, Check> {
  const common = { sph: "sph", iat: "int", jti: "bytes:16" };
  return new Map(
    Object.entries(rows as Record<string, Record<string, string>>).map(([k, members]) => [
      k,
      shape({ k: `enum:${k}`, ...common, ...members }),
    ]),
  );
}

export const P2P = kinds(wire.p2p);
export const LIVE = kinds(wire.live);
const BY_K: ReadonlyMap<string, ReadonlyMap<string, Check>> = new Map([["sph-p2p+1", P2P], ["sph-live+1", LIVE]]);

function typOf(typ: string): Typ {
  const found = TYPS.get(typ);
  if (found === undefined) throw new Error(`no such typ: ${typ}`);
  return found;
}

function checkPayload(typ: Typ, value: JsonObject): void {
  typ.payload?.(value);
  BY_K.get(typ.name)?.get(value["k"] as string)?.(value);
}

/** A decoded, not yet verified envelope. `payload` is raw; `body` is its JSON form where the typ has one. */
export class Envelope {
  #digest: Bytes | undefined;
  #body: JsonObject | undefined;

  constructor(
    readonly compact: string,
    readonly typ: string,
    readonly header: JsonObject,
    readonly payload: Bytes,
    readonly signature: Bytes,
  ) {}

  /** ASCII(b64(header) . b64(payload)): what is signed and hashed (JWS-004). */
  get signingInput(): Bytes {
    return textBytes(this.compact.slice(0, this.compact.lastIndexOf(".")));
  }

  /** ASCII b64(header): the AAD of encrypted payloads (JWS-004). */
  get headerPart(): Bytes {
    return textBytes(this.compact.slice(0, this.compact.indexOf(".")));
  }

  /** H(SI), 32 bytes (JWS-005). */
  get digest(): Bytes {
    return (this.#digest ??= sha256(this.signingInput));
  }

  /** The payload parsed and checked; separate because the signature comes before the payload (JWS-003). */
  get body(): JsonObject {
    if (this.#body === undefined) {
      const value = jsonParse(this.payload);
      checkPayload(typOf(this.typ), value);
      this.#body = value;
    }
    return this.#body;
  }
}

/** Decode an envelope that must be of `typ` (JWS-001, JWS-003, JWS-009). Throws FormatError. */
export function decode(compact: string, typ: string): Envelope {
  const expected = typOf(typ);
  if (compact.length > expected.limit) throw new FormatError("envelope too large");
  const parts = compact.split(".");
  const [head, body, tail] = parts;
  if (parts.length !== 3 || head === undefined || body === undefined || tail === undefined || head.length > MAX_HEADER) {
    throw new FormatError("envelope does not have three parts");
  }
  const [headerBytes, payload, signature] = [b64d(head), b64d(body), b64d(tail)];
  const header = jsonParse(headerBytes);
  expected.header(header);
  return new Envelope(compact, typ, header, payload, signature);
}

/** Check a device key's signature (JWS-006). Throws SignatureInvalid, or FormatError for a key that is none. */
export async function verifyEd25519(envelope: Envelope, key: Uint8Array): Promise<void> {
  await ed25519Verify(key, envelope.signature, envelope.signingInput);
}

/** Check an identity key's signature (JWS-007). Throws SignatureInvalid. */
export async function verifyEs384(envelope: Envelope, jwk: Jwk): Promise<void> {
  await es384Verify(b64d(jwk.x), b64d(jwk.y), envelope.signature, envelope.signingInput);
}

export type Signer = (message: Bytes) => Bytes | Promise<Bytes>;

/** Make an envelope: `header` without alg and typ; the maker checks itself before anything is signed (JWS-008). */
export async function sign(
  typ: string,
  header: JsonObject,
  payload: JsonObject | Uint8Array,
  signer: Signer,
): Promise<string> {
  const wanted = typOf(typ);
  const full: JsonObject = { alg: wanted.alg, typ, ...header };
  wanted.header(full);
  let raw: Uint8Array;
  if (payload instanceof Uint8Array) {
    raw = payload;
  } else {
    checkPayload(wanted, payload);
    raw = jsonEmit(payload);
    if (wanted.free) jsonParse(raw);
  }
  const head = b64e(jsonEmit(full));
  const signingInput = `${head}.${b64e(raw)}`;
  const compact = `${signingInput}.${b64e(await signer(textBytes(signingInput)))}`;
  if (compact.length > wanted.limit || head.length > MAX_HEADER) throw new FormatError("envelope too large");
  return compact;
}

/** A signer for device typs from an Ed25519 seed. */
export function deviceSigner(seed: Uint8Array): Signer {
  return (message) => ed25519Sign(seed, message);
}

/** A signer for identity typs from a P-384 scalar. */
export function identitySigner(scalar: Uint8Array): Signer {
  return (message) => es384Sign(scalar, message);
}
