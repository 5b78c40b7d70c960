/**
 * The chains messages form, and whether one could be read under the log's head, as a relay asks before it takes it.
 *
 * Signatures come last because they cost most. Spec: CHN-001 to CHN-008.
 */

import { BadFormat, Conflict, FormatError, Forbidden, SignatureInvalid, StaleEpoch, StaleHead } from "../errors.ts";
import { b64e } from "./encoding.ts";
import { type Envelope, verifyEd25519 } from "./jws.ts";
import { type Device, type Member, type SphereState, author, epochNumber } from "./state.ts";

/** Whatever knows H(SI) of the entries of a log; a History does. */
export interface Digests {
  digest(seq: number): Uint8Array;
}

/** The last message of a chain: its seq, H(SI) in base64url, ls. */
export interface ChainHead {
  seq: number;
  digest: string;
  ls: number;
}

/** The members of a message's header that count here. */
export interface Header {
  kid: string;
  sph: string;
  ep: number;
  seq: number;
  ph: string;
  lh: string;
  ls: number;
  enc: string;
  n?: string;
  cm?: string;
}

/** CHN-003; without a log only its head is known. */
function position(state: SphereState, log: Digests | undefined, { ls, lh }: Header): void {
  const held = ls === state.seq ? state.digest : ls < state.seq ? log?.digest(ls) : undefined;
  if (held === undefined || b64e(held) !== lh) {
    throw new StaleHead("CHN-003", { data: { seq: state.seq, h: b64e(state.digest) } });
  }
}

/** Nothing after ls changed how readers judge the message (CHN-005). */
function fresh(state: SphereState, { ls, enc }: Header, device: Device, member: Member): void {
  const sealed = state.mode === "e2ee";
  if (sealed && state.hard) throw new StaleEpoch("CHN-005");
  const since = [device.since, member.since, state.modeAt];
  if (sealed) since.push(state.epoch?.seq ?? 0);
  if (member.role === "guest" || (sealed && enc === "none")) since.push(state.policyAt);
  if (ls < Math.max(...since)) throw new StaleEpoch("CHN-005");
}

/** CHN-007. Throws Conflict. */
export function linked({ seq, ph, ls }: Header, head: ChainHead | undefined): void {
  const fits = head === undefined ? seq === 1 && ph === "" : seq === head.seq + 1 && ph === head.digest && ls >= head.ls;
  if (!fits) throw new Conflict("CHN-007", { data: { seq: head?.seq ?? 0, h: head?.digest ?? "" } });
}

/** Admit a message all but its signature; `head` is `"any"` where chains are not known here. */
export function place(
  state: SphereState,
  log: Digests | undefined,
  envelope: Envelope,
  head: ChainHead | undefined | "any",
): ChainHead {
  const header = envelope.header as unknown as Header;
  const member = author(state, header.kid);
  if (header.sph !== state.sph || state.closed || member === undefined) throw new Forbidden("CHN-001");
  if (member.role === "guest" && state.policy.guests !== "talk") throw new Forbidden("CHN-002");
  position(state, log, header);
  const sealed = header.enc !== "none";
  if ((header.n !== undefined) !== sealed || (header.cm !== undefined) !== sealed) throw new BadFormat("CHN-004");
  fresh(state, header, state.devices.get(header.kid)!, member);
  if (state.mode === "e2ee" ? !sealed && !state.policy.plaintext : sealed) throw new BadFormat("CHN-004");
  if (header.ep !== epochNumber(state)) throw new StaleEpoch("CHN-006");
  if (head !== "any") linked(header, head);
  return { seq: header.seq, digest: b64e(envelope.digest), ls: header.ls };
}

/** CHN-008. Throws BadFormat. */
export async function checkSignature(state: SphereState, envelope: Envelope): Promise<void> {
  try {
    await verifyEd25519(envelope, state.devices.get(envelope.header["kid"] as string)!.dk);
  } catch (error) {
    if (error instanceof SignatureInvalid || error instanceof FormatError) throw new BadFormat("CHN-008");
    throw error;
  }
}

/** The chain's new head when the message is taken (CHN-001 to CHN-008). Throws RelayErrors. */
export async function admit(
  state: SphereState,
  log: Digests | undefined,
  envelope: Envelope,
  head: ChainHead | undefined | "any",
): Promise<ChainHead> {
  const next = place(state, log, envelope, head);
  await checkSignature(state, envelope);
  return next;
}

/** The wire form [dv, seq, H] of a chain head, for `tails` and `heads` (LOG-017). */
export function tailOf(dv: string, head: ChainHead | undefined): [dv: string, seq: number, h: string] {
  return head === undefined ? [dv, 0, ""] : [dv, head.seq, head.digest];
}
