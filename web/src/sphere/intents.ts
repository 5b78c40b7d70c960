/**
 * What a member can want of a sphere's log: one form per operation, named by the words of roles.json.
 *
 * Plain values. `compose` turns them into entries; whether somebody may do it is the log's own decision.
 * Spec: EPO-007.
 */

import type { Jwk } from "../protocol/ids.ts";
import type { Policy } from "../protocol/state.ts";
import type { Text } from "./meta.ts";

/** A device's present receiving key, when newer than its certificate. */
export interface Renewal {
  readonly kem: string;
  readonly de: Uint8Array;
}

/** A new sphere. `name` is the owner's login, `cert` the signing device's certificate under `ik`. */
export interface Create {
  readonly op: "create";
  readonly name: string;
  readonly ik: Jwk;
  readonly cert: string;
  readonly mode?: string;
  readonly delivery?: string;
  readonly custody?: string;
  readonly policy?: Policy;
  readonly kind?: string;
  readonly org?: string;
  readonly renew?: Renewal | undefined;
  /** The account's rotate entries from its first identity key to `ik`. */
  readonly rotations?: readonly string[];
}

/** Open an invitation whose public key is `ipk` (`invitation.keyPair`). */
export interface Invite {
  readonly op: "invite";
  readonly jti: string;
  readonly ipk: Uint8Array;
  readonly exp: number;
  readonly role?: string;
  readonly uses?: number;
  readonly admit?: string;
}

export interface RevokeInvite {
  readonly op: "revoke-invite";
  readonly jti: string;
}

/** Admit the author of the join request `join` (compact); with `jti` it proves an invitation. */
export interface Add {
  readonly op: "add";
  readonly id: string;
  readonly join: string;
  readonly role?: string;
  readonly jti?: string | undefined;
}

export interface Remove {
  readonly op: "remove";
  readonly id: string;
  readonly ban?: boolean;
}

/** The author leaves; nothing else fits into the commit. */
export interface Leave {
  readonly op: "leave";
}

export interface SetRole {
  readonly op: "role";
  readonly id: string;
  readonly role: string;
}

/** The author's device introduces itself; `cert` under the member's present identity key. */
export interface DeviceAdd {
  readonly op: "device add";
  readonly cert: string;
  readonly renew?: Renewal | undefined;
}

export interface DeviceRenew extends Renewal {
  readonly op: "device renew";
}

export interface DeviceRevoke {
  readonly op: "device revoke";
  readonly dv: string;
}

export interface Mark {
  readonly op: "mark";
}

/** A new epoch, also when none is due. */
export interface Rotate {
  readonly op: "epoch";
}

export interface SetMeta {
  readonly op: "meta";
  readonly text: Text;
}

/** Sign the state before this entry; `heads` are message chains as (dv, seq, H). */
export interface Checkpoint {
  readonly op: "checkpoint";
  readonly heads?: readonly (readonly [dv: string, seq: number, h: string])[];
}

export interface SetMode {
  readonly op: "mode";
  readonly mode: string;
}

export interface SetDelivery {
  readonly op: "delivery";
  readonly delivery: string;
}

export interface SetCustody {
  readonly op: "custody";
  readonly custody: string;
}

export interface SetPolicy {
  readonly op: "policy";
  readonly policy: Policy;
}

export type Intent =
  | Create | Invite | RevokeInvite | Add | Remove | Leave | SetRole | DeviceAdd | DeviceRenew | DeviceRevoke | Mark
  | Rotate | SetMeta | Checkpoint | SetMode | SetDelivery | SetCustody | SetPolicy;

/** A sphere's rules when nobody said otherwise (ROLE-017). */
export const POLICY: Policy = {
  join: "approve", history: "all", retention: 0, plaintext: false, guests: "talk", T: 604_800, kem_min: "xwing",
};

/** Where the intent's entry stands in a commit (EPO-008). */
export function place({ op }: Intent): "before" | "epoch" | "meta" | "after" | "alone" {
  if (op === "epoch" || op === "meta") return op;
  if (op === "checkpoint") return "after";
  return op === "leave" || op === "mark" ? "alone" : "before";
}
