/**
 * The slot `state`: what a new device could not otherwise know, signed by the device that wrote it, under MK.
 *
 * Decides by the memory of this device whether a state is an old one. Spec: SLOT-013 to SLOT-017.
 */

import type { Bytes, Rng } from "../crypto.ts";
import { FormatError, LogRollback, VaultError } from "../errors.ts";
import { type JsonObject, b64d, b64e, textBytes } from "../protocol/encoding.ts";
import { decode, deviceSigner, sign, verifyEd25519 } from "../protocol/jws.ts";
import { openBox, sealBox, sealed } from "./box.ts";
import type { DeviceKeys } from "./keys.ts";
import { slotAad, slotKey } from "./slots.ts";

const TYP = "sph-state+1";
const NONE = new Uint8Array(0);
/** Bytes of the sealed slot the relay takes (SLOT-014). */
const LIMIT = 262_144;

/** Counter and H(SI) of the highest state this device has accepted or written (SLOT-016). */
export interface Pin {
  ctr: number;
  digest: Uint8Array;
}

export interface State extends Pin {
  digest: Bytes;
  /** H(SI) of the state before, empty at counter 1. */
  prev: Bytes;
  dv: string;
  content: JsonObject;
  /** Nothing here tells this state from an old one (SLOT-017). */
  provisional: boolean;
}

const key = (mk: Uint8Array, account: string): Bytes => slotKey(mk, account, "state");
const aad = (account: string, ctr: number): Bytes => slotAad(account, "state", NONE, ctr);

/** The next state after `prev`, signed and sealed (SLOT-013, SLOT-014). */
export async function seal(
  mk: Uint8Array,
  account: string,
  author: DeviceKeys,
  prev: Pin | undefined,
  content: JsonObject,
  rng: Rng,
): Promise<{ slot: Bytes; pin: Pin }> {
  const ctr = (prev?.ctr ?? 0) + 1;
  const link: { prev?: string } = prev === undefined ? {} : { prev: b64e(prev.digest) };
  const body = { id: account, ctr, ...link, content };
  const compact = await sign(TYP, { kid: author.dv }, body, deviceSigner(author.dkSeed));
  const slot = await sealBox(key(mk, account), textBytes(compact), aad(account, ctr), rng);
  if (slot.length > LIMIT) throw new FormatError("SLOT-014");
  return { slot, pin: { ctr, digest: decode(compact, TYP).digest } };
}

/** A state that stands against what this device remembers is an old or a rival one (SLOT-016). Throws LogRollback. */
export function agree(state: State, pin: Pin): void {
  const known = b64e(pin.digest);
  const rolledBack = state.ctr < pin.ctr;
  const rival = state.ctr === pin.ctr && b64e(state.digest) !== known;
  const onRival = state.ctr === pin.ctr + 1 && b64e(state.prev) !== known;
  if (rolledBack || rival || onRival) throw new LogRollback("SLOT-016");
}

/** Open the slot at the counter the relay names (SLOT-015, SLOT-016). Throws VaultError, LogRollback. */
export async function openState(
  mk: Uint8Array,
  account: string,
  ctr: number,
  slot: Uint8Array,
  devices: ReadonlyMap<string, Uint8Array>,
  pin: Pin | undefined,
): Promise<State> {
  const text = await openBox(key(mk, account), slot, aad(account, ctr));
  const state = await sealed(async () => {
    const envelope = decode(new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(text), TYP);
    const dv = envelope.header["kid"] as string;
    const dk = devices.get(dv);
    if (dk === undefined) throw new VaultError();
    await verifyEd25519(envelope, dk);
    const body = envelope.body as { id: string; ctr: number; prev?: string; content: JsonObject };
    const first = body.prev === undefined;
    if (body.id !== account || body.ctr !== ctr || ctr < 1 || first !== (ctr === 1)) throw new VaultError();
    const prev = b64d(body.prev ?? "");
    return { ctr, digest: envelope.digest, prev, dv, content: body.content, provisional: pin === undefined };
  });
  if (pin !== undefined) agree(state, pin);
  return state;
}
