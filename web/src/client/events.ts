/**
 * What changed, told after it is safely stored. Each event names its sphere (empty for the account) and carries
 * finished records. As `src/cloister/client/events.py`. Spec: CLT-009, CLT-010.
 */

import type { Invitation, Message, OutboxItem, Request, Stop } from "./records.ts";

/** A new message (also own ones from other devices). `message.state` may be unreadable or quarantined. */
export interface MessageReceived {
  readonly event: "MessageReceived";
  readonly sph: string;
  readonly message: Message;
}

/** An edit, deletion, reaction, release from quarantine, or a key that made it readable. */
export interface MessageChanged {
  readonly event: "MessageChanged";
  readonly sph: string;
  readonly message: Message;
}

/** Many messages were stored at once (a long absence, a first sync) or emptied (CLT-039): not told one by one. */
export interface Backlog {
  readonly event: "Backlog";
  readonly sph: string;
  readonly messages: number;
}

/** An outbox item was accepted by the relay. */
export interface MessageSent {
  readonly event: "MessageSent";
  readonly sph: string;
  readonly item: OutboxItem;
  readonly message: Message | undefined;
}

/** An outbox item would go out weaker than it was written and waits for an answer (CLT-016). */
export interface ItemHeld {
  readonly event: "ItemHeld";
  readonly sph: string;
  readonly item: OutboxItem;
}

/** An outbox item came, changed its state, or was dropped unsent (`item` undefined). */
export interface ItemChanged {
  readonly event: "ItemChanged";
  readonly sph: string;
  readonly id: string;
  readonly item: OutboxItem | undefined;
}

export interface MemberAdded {
  readonly event: "MemberAdded";
  readonly sph: string;
  readonly id: string;
  readonly name: string;
  readonly by: string;
  readonly byLink: boolean;
}

/** `left` when the member went on its own, `ban` when it may only be added again by an owner. */
export interface MemberRemoved {
  readonly event: "MemberRemoved";
  readonly sph: string;
  readonly id: string;
  readonly name: string;
  readonly by: string;
  readonly left: boolean;
  readonly ban: boolean;
}

export interface RoleChanged {
  readonly event: "RoleChanged";
  readonly sph: string;
  readonly id: string;
  readonly name: string;
  readonly role: string;
  readonly by: string;
}

/** A member's device was added, renewed or revoked (`what`). */
export interface DeviceChanged {
  readonly event: "DeviceChanged";
  readonly sph: string;
  readonly id: string;
  readonly name: string;
  readonly dv: string;
  readonly what: string;
}

/** Epoch `n` began; `here` whether its key is on this device already. */
export interface NewKey {
  readonly event: "NewKey";
  readonly sph: string;
  readonly n: number;
  readonly by: string;
  readonly why: string;
  readonly here: boolean;
}

/** Keys of these epochs arrived late and made `messages` rows readable. */
export interface KeysArrived {
  readonly event: "KeysArrived";
  readonly sph: string;
  readonly ns: readonly number[];
  readonly messages: number;
}

/** Somebody with the keys answered the ask `name`: `digits` to compare with `who` while they decide (LIVE-005). */
export interface KeyOffered {
  readonly event: "KeyOffered";
  readonly sph: string;
  readonly name: string;
  readonly id: string;
  readonly who: string;
  readonly digits: string;
}

/** Keys of the epochs `ns` came by live transfer and fit the log. */
export interface KeyReceived {
  readonly event: "KeyReceived";
  readonly sph: string;
  readonly name: string;
  readonly who: string;
  readonly ns: readonly number[];
}

/** `who` asks for the keys of the epochs `ns` until `until` (Unix seconds); a person decides (LIVE-012). */
export interface KeyAsked {
  readonly event: "KeyAsked";
  readonly sph: string;
  readonly name: string;
  readonly id: string;
  readonly who: string;
  readonly digits: string;
  readonly ns: readonly number[];
  readonly until: number;
}

/** The other side has the keys that were given. */
export interface KeyGiven {
  readonly event: "KeyGiven";
  readonly sph: string;
  readonly name: string;
  readonly id: string;
  readonly who: string;
  readonly ns: readonly number[];
}

/** Nothing more comes of it: different digits, refused, failed or expired. `own`: this device had asked. */
export interface TransferEnded {
  readonly event: "TransferEnded";
  readonly sph: string;
  readonly name: string;
  readonly why: "different" | "refused" | "failed" | "expired";
  readonly own: boolean;
}

/** A member asks for keys `ns` that the history policy does not give; somebody has to say yes (CLT-041). */
export interface KeysWished {
  readonly event: "KeysWished";
  readonly sph: string;
  readonly id: string;
  readonly name: string;
  readonly ns: readonly number[];
}

/**
 * The sphere is encrypted, open or public from now on (CLT-042). `since`: when encryption is on again, when it was turned
 * off; messages from `since` to `at` stay readable for the relay. Else 0.
 */
export interface ModeChanged {
  readonly event: "ModeChanged";
  readonly sph: string;
  readonly mode: string;
  readonly by: string;
  readonly at: number;
  readonly since: number;
}

/** Title, topic, icon, policy or another setting (`what`: the op). */
export interface SphereChanged {
  readonly event: "SphereChanged";
  readonly sph: string;
  readonly what: string;
  readonly by: string;
}

/** Lines of the log have got their place between messages (WEB-032); what they say was told before. */
export interface NoticesPlaced {
  readonly event: "NoticesPlaced";
  readonly sph: string;
}

export interface JoinRequested {
  readonly event: "JoinRequested";
  readonly sph: string;
  readonly request: Request;
}

/** Somebody known invites this account to a sphere. `sph` is empty: this account is not in it (CLT-053). */
export interface Invited {
  readonly event: "Invited";
  readonly sph: string;
  readonly invitation: Invitation;
}

/** This account is a member now and can read. */
export interface Admitted {
  readonly event: "Admitted";
  readonly sph: string;
  readonly title: string;
}

/** This account is no longer a member; what was received stays. */
export interface Removed {
  readonly event: "Removed";
  readonly sph: string;
  readonly by: string;
}

/** `missing` messages of one device have not been shown by the relay. */
export interface GapFound {
  readonly event: "GapFound";
  readonly sph: string;
  readonly dv: string;
  readonly name: string;
  readonly missing: number;
}

/** A known person appears with another identity. `confirmed` ones also raise a Stop. */
export interface IdentityChanged {
  readonly event: "IdentityChanged";
  readonly sph: string;
  readonly id: string;
  readonly name: string;
  readonly confirmed: boolean;
}

/** Sending in this sphere stopped (CLT-021). */
export interface Stopped {
  readonly event: "Stopped";
  readonly sph: string;
  readonly stop: Stop;
}

/** This device was revoked; it locks and its session is over. `sph` is empty. */
export interface Revoked {
  readonly event: "Revoked";
  readonly sph: string;
  readonly by: string;
}

/** The live connection stands and the backlog is in. `sph` is empty. */
export interface Connected {
  readonly event: "Connected";
  readonly sph: string;
}

/** The connection broke; the next attempt is in `retry_in` seconds. `sph` is empty. */
export interface Disconnected {
  readonly event: "Disconnected";
  readonly sph: string;
  readonly retryIn: number;
  readonly code: string;
}


export type Event =
  | MessageReceived
  | MessageChanged
  | Backlog
  | MessageSent
  | ItemHeld
  | ItemChanged
  | MemberAdded
  | MemberRemoved
  | RoleChanged
  | DeviceChanged
  | NewKey
  | KeysArrived
  | KeysWished
  | KeyOffered
  | KeyReceived
  | KeyAsked
  | KeyGiven
  | TransferEnded
  | ModeChanged
  | SphereChanged
  | NoticesPlaced
  | JoinRequested
  | Invited
  | Admitted
  | Removed
  | GapFound
  | IdentityChanged
  | Stopped
  | Revoked
  | Connected
  | Disconnected;
