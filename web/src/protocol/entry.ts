/**
 * Entries of a sphere's log as they are read: the header's form and position, nothing about rights.
 *
 * Spec: LOG-001, LOG-002, ID-004.
 */

import type { Bytes } from "../crypto.ts";
import { FormatError } from "../errors.ts";
import { type JsonObject, b64d, b64e } from "./encoding.ts";
import { sphereId } from "./ids.ts";
import { Envelope, type Signer, decode as decodeEnvelope, sign } from "./jws.ts";

const TYP = "sph-log+1";

export class Entry {
  constructor(
    readonly envelope: Envelope,
    readonly kid: string,
    readonly sph: string,
    readonly seq: number,
    /** H(SI) of the entry before; empty at entry 0. */
    readonly prev: Bytes,
    /** Number of the epoch after this entry (LOG-005). */
    readonly ep: number,
  ) {}

  get compact(): string {
    return this.envelope.compact;
  }

  get digest(): Bytes {
    return this.envelope.digest;
  }

  get op(): string {
    return this.envelope.body["op"] as string;
  }

  get body(): JsonObject {
    return this.envelope.body["body"] as JsonObject;
  }

  get iat(): number {
    return this.envelope.body["iat"] as number;
  }
}

/** Read an entry's header (LOG-002); the payload is read after the signature. Throws FormatError. */
export function decode(compact: string): Entry {
  const envelope = decodeEnvelope(compact, TYP);
  const { kid, seq, sph, prev, ep } = envelope.header as { kid: string; seq: number; sph?: string; prev?: string; ep?: number };
  const later = seq > 0;
  if ((sph !== undefined) !== later || (prev !== undefined) !== later || (ep !== undefined) !== later) {
    throw new FormatError("LOG-002");
  }
  return new Entry(envelope, kid, sph ?? sphereId(envelope.digest), seq, b64d(prev ?? ""), ep ?? 0);
}

export interface Place {
  sph: string;
  seq: number;
  prev: Uint8Array;
  ep: number;
}

/** Make an entry: entry 0 without `place`, every other one at its place. */
export function make(signer: Signer, kid: string, op: string, body: JsonObject, iat: number, place?: Place): Promise<string> {
  const { seq = 0 } = place ?? {};
  const rest: JsonObject = place === undefined ? {} : { sph: place.sph, prev: b64e(place.prev), ep: place.ep };
  return sign(TYP, { kid, ...rest, seq }, { op, body, iat }, signer);
}
