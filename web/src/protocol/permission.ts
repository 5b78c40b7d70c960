/**
 * The permission words of roles.json. Spec: ROLE-003, ROLE-007.
 */

import { LogInvalid } from "../errors.ts";
import { type Json, type JsonObject, b64e } from "./encoding.ts";
import type { Entry } from "./entry.ts";
import { KEMS, type Row } from "./roles.ts";
import type { Device, Member, Policy, SphereState } from "./state.ts";

/** One entry on its way into the log: signature, form and time are already checked. */
export interface Step {
  state: SphereState;
  entry: Entry;
  body: JsonObject;
  row: Row;
  /** The author, and the author's device, which the state may not know yet. */
  me: Member;
  device: Device;
  /** H(SI) in base64url -> join request. */
  attachments: ReadonlyMap<string, string>;
}

/** Refuse an entry by a rule. `forbidden` tells a relay that a right is missing (COM-012). */
export function refuse(rule: string, forbidden = false): never {
  throw new LogInvalid(rule, { data: { rule, forbidden } });
}

/** ROLE-007. */
export function checkKem(policy: Policy, kem: string): void {
  if (KEMS.indexOf(kem) < KEMS.indexOf(policy.kem_min)) refuse("ROLE-007");
}

const TARGETS: Record<string, (s: Step) => boolean> = {
  "revoke-invite": (s) => s.state.invites.get(s.body["jti"] as string)?.by === s.me.id,
  "device revoke": (s) => s.state.devices.get(s.body["dv"] as string)?.owner === s.me.id,
};

function roleOfTarget(s: Step): string {
  return s.state.members.get(s.body["id"] as string)?.role ?? "none";
}

const simple = (role: Json | undefined): boolean => role === "member" || role === "guest";

/** A smaller limit, 0 being none. */
const tighter = (next: number, now: number): boolean => next === now || (next !== 0 && (now === 0 || next < now));

function tightens(s: Step): boolean {
  const now = s.state.policy;
  const next = s.body["policy"] as unknown as Policy;
  return (
    tighter(next.retention, now.retention) && tighter(next.T, now.T) &&
    (next.join === now.join || next.join === "approve") &&
    KEMS.indexOf(next.kem_min) >= KEMS.indexOf(now.kem_min) &&
    next.history === now.history && next.plaintext === now.plaintext && next.guests === now.guests
  );
}

function rewraps(s: Step): boolean {
  const { epoch, meta, seq, digest } = s.state;
  const own = epoch !== undefined && epoch.seq === seq && epoch.by === s.entry.kid && b64e(epoch.digest) === b64e(digest);
  return own && meta !== undefined && meta.mh !== "" && s.body["mh"] === meta.mh;
}

export const WORDS: Record<string, (s: Step) => boolean> = {
  no: () => false,
  yes: () => true,
  own: (s) => TARGETS[s.row.op]?.(s) ?? true,
  any: (s) => s.state.policy.join === "any",
  below: (s) => simple(roleOfTarget(s)),
  swap: (s) => simple(roleOfTarget(s)) && simple(s.body["role"]),
  tighten: tightens,
  rewrap: rewraps,
};
