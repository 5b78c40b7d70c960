/**
 * What the client hands out: plain records about accounts, spheres, people, messages and faults, already verified.
 *
 * They cross from the worker to the page as they are. Nothing here holds a key, a token or a password. Times are unix
 * seconds; names are what should be shown (petname first). As `src/cloister/client/records.py`. Spec: CLT-001.
 */

export type Status = "new" | "pending" | "locked" | "open" | "signed-out";

export type Known = "confirmed in person" | "came by a link" | "not confirmed";

export type MessageState = "sent" | "waiting" | "unreadable" | "quarantined" | "damaged";

export type OutboxState = "waiting" | "sealed" | "held" | "failed";

export type SphereStatus = "active" | "asked" | "left" | "removed" | "closed";

/** This profile's account and device. Before sign-up only `status` and `server` are filled. */
export interface AccountInfo {
  readonly status: Status;
  readonly server: string;
  readonly login: string;
  readonly id: string;
  readonly dv: string;
  readonly deviceName: string;
  readonly admin: boolean;
}

/** One device of the own account as its key log lists it. */
export interface DeviceInfo {
  readonly dv: string;
  readonly name: string;
  readonly active: boolean;
  readonly here: boolean;
  readonly since: number;
}

/**
 * A persistent stop: sending in `sph` is refused until it is resolved. `code` is a C_* code (CLT-021).
 *
 * `acknowledgeable` tells whether `Sphere.acknowledge` may lift it (a changed key, a downgrade announced by the
 * owner); a fork, a rollback and a broken log cannot be clicked away.
 */
export interface Stop {
  readonly sph: string;
  readonly code: string;
  readonly detail: string;
  readonly at: number;
  readonly acknowledgeable: boolean;
  readonly data: Record<string, unknown>;
}

/**
 * `by` made the sphere readable for the server (`mode` open or public) at unix seconds `at`, and this person has not said
 * yet that it was seen: the first text is asked about (CLT-016, CLT-042).
 */
export interface Switch {
  readonly mode: SphereInfo["mode"];
  readonly by: string;
  readonly at: number;
}

/**
 * A sphere as this device knows it. `epoch` 0 means no key yet; `have_key` whether the current one is here.
 *
 * `provisional`: what this new device was told about people and heads rests on the relay alone until another
 * member's message agrees (CLT-005).
 */
export interface SphereInfo {
  readonly sph: string;
  readonly title: string;
  readonly topic: string;
  readonly icon: string;
  readonly status: SphereStatus;
  readonly mode: "e2ee" | "open" | "public";
  readonly delivery: string;
  readonly custody: string;
  readonly epoch: number;
  readonly haveKey: boolean;
  readonly members: number;
  readonly role: string;
  readonly unread: number;
  readonly waiting: number;
  readonly requests: number;
  readonly seq: number;
  readonly marked: boolean;
  readonly confirmedByInviter: boolean;
  readonly stop: Stop | undefined;
  readonly label: string;
  readonly provisional: boolean;
  readonly switched: Switch | undefined;
  /** Keys of this sphere are kept on own devices only, by this person's choice. */
  readonly onlyHere: boolean;
  /** The newest key that a saved and checked text holds, 0 for never; while it is lower than `epoch`, a reminder (CLT-060). */
  readonly saved: number;
  /** `org`: the organisation whose key this sphere's come from, "" without one (CLT-062). */
  readonly kind: string;
  readonly org: string;
  /** The weakest kind of receiving key that is let in; `tooWeak`: this device's is weaker (CLT-061). */
  readonly kemMin: string;
  readonly tooWeak: boolean;
}

/**
 * Keys `keys` of a sphere as a text to keep, and the code that opens it: to be kept apart from it. `code` is empty when a
 * passphrase opens it. Both are secrets.
 */
export interface SavedKeys {
  readonly sph: string;
  readonly text: string;
  readonly code: string;
  readonly keys: readonly number[];
}

/** What a saved text says of itself; nothing of it is proven before it is opened. `known`: the sphere is here. */
export interface SavedInfo {
  readonly sph: string;
  readonly by: "code" | "words";
  readonly keys: readonly number[];
  readonly at: number;
  readonly known: boolean;
}

/**
 * A public sphere as its link shows it, and what was said since it is public, oldest first, comments after their message.
 * `title` is empty while none was set in clear.
 */
export interface PublicPage {
  readonly sph: string;
  readonly title: string;
  readonly topic: string;
  readonly members: number;
  readonly seq: number;
  readonly messages: readonly Message[];
}

/**
 * Keys of a text: `new` here now, `had` before, `waiting` for the log to reach them, `refused` as not the sphere's, `letGo`:
 * of messages that the sphere's retention has emptied (CLT-060).
 */
export interface Imported {
  readonly sph: string;
  readonly new: readonly number[];
  readonly had: readonly number[];
  readonly waiting: readonly number[];
  readonly refused: readonly number[];
  readonly letGo: readonly number[];
}

/** A member, now or formerly. `name` is what to show; `known` says who this is, not how strong anything is. */
export interface Person {
  readonly id: string;
  readonly name: string;
  readonly login: string;
  readonly petname: string;
  readonly nickname: string;
  readonly role: string;
  readonly devices: readonly string[];
  readonly known: Known;
  readonly me: boolean;
  readonly changed: boolean;
}

/**
 * One message with its edits, deletion and reactions applied.
 *
 * `state`: `sent` verified and readable; `waiting` in the outbox; `unreadable` verified but the key is not
 * here (`code` C_KEY_UNKNOWN); `quarantined` its sender claims another history; `damaged` a check failed.
 * `pos` is the relay's position (0 while waiting). `re` is the mid answered to. `open` marks clear text.
 */
export interface Message {
  readonly sph: string;
  readonly mid: string;
  readonly cid: string;
  readonly pos: number;
  readonly author: string;
  readonly name: string;
  readonly dv: string;
  readonly seq: number;
  readonly epoch: number;
  readonly at: number;
  readonly kind: string;
  readonly text: string;
  readonly re: string;
  readonly edited: boolean;
  readonly deleted: boolean;
  readonly reactions: readonly (readonly [string, readonly string[]])[];
  readonly state: MessageState;
  readonly code: string;
  readonly open: boolean;
  readonly mine: boolean;
  readonly unread: boolean;
}

/** A queued intent. `held` items wait for `Client.retry(id, anyway=True)`: `question` says why (CLT-016). */
export interface OutboxItem {
  readonly id: string;
  readonly sph: string;
  readonly kind: string;
  readonly text: string;
  readonly at: number;
  readonly state: OutboxState;
  readonly question: string;
  readonly code: string;
  /** The mid answered to or changed, if any. */
  readonly re?: string;
}

/** An invitation just made. `url` is a secret: whoever has it can ask to be let in. */
export interface InviteLink {
  readonly url: string;
  readonly sph: string;
  readonly jti: string;
  readonly uses: number;
  readonly exp: number;
  readonly role: string;
  readonly admit: "ask" | "auto";
}

/** An open invitation as the log shows it (without its secret). */
export interface InviteInfo {
  readonly jti: string;
  readonly by: string;
  readonly role: string;
  readonly usesLeft: number;
  readonly exp: number;
  readonly admit: string;
  readonly mine: boolean;
}

/** Somebody asks to be let in. `by_link`: the proof under the invite's key holds, so the keys are the asker's. */
export interface Request {
  readonly hash: string;
  readonly sph: string;
  readonly name: string;
  readonly id: string;
  readonly byLink: boolean;
  readonly role: string;
  readonly at: number;
  readonly exp: number;
  readonly safety: string;
  /** Why it fails its check; C_NOT_MEMBER: it names a revoked device, and nobody lets it in (CLT-007). */
  readonly code: string;
  /** A device of theirs has a weaker receiving key than the policy allows, so nobody can let it in (CLT-061). */
  readonly weak?: boolean;
}

/** A member asks for keys `ns` from before the history policy's reach, and waits for a person's yes (CLT-041). */
export interface KeyWish {
  readonly sph: string;
  readonly id: string;
  readonly name: string;
  readonly ns: readonly number[];
  readonly at: number;
}

/** A join request on its way. `safety`: digits to compare, once an approver shows up. */
export interface Pending {
  readonly hash: string;
  readonly sph: string;
  readonly label: string;
  readonly state: "asked" | "admitted" | "declined" | "expired";
  readonly safety: string;
}

/** The relay's row for one message, decoded, beside what this device reads (the server's-eye view). */
export interface SeenRow {
  readonly pos: number;
  readonly stored: string;
  readonly header: Record<string, unknown>;
  readonly size: number;
  readonly digest: string;
  readonly youSee: Message | undefined;
}

/** One signed entry of a sphere's log in words and in bytes. */
export interface LogLine {
  readonly seq: number;
  readonly op: string;
  readonly by: string;
  readonly name: string;
  readonly dv: string;
  readonly at: number;
  readonly digest: string;
  readonly body: Record<string, unknown>;
  readonly what: string;
}

/** What one `Client.sync` did. `offline` means the relay could not be reached; nothing was lost. */
export interface SyncReport {
  readonly offline: boolean;
  readonly messages: number;
  readonly entries: number;
  readonly sent: number;
  readonly waiting: number;
  readonly faults: readonly string[];
}

/** One line of `Client.doctor`: `ok` or a code from the catalogue with its object. */
export interface Finding {
  readonly topic: string;
  readonly ok: boolean;
  readonly text: string;
  readonly code: string;
  readonly sph: string;
}

/** What the relay says about itself (GET /server) and what this profile pinned. */
export interface ServerInfo {
  readonly url: string;
  readonly realm: string;
  readonly version: string;
  readonly signup: string;
  readonly origins: readonly string[];
  readonly skew: number;
  readonly setup: boolean;
}

/**
 * One line of a sphere's history that is shown between messages: who came, went, changed what, and new keys.
 *
 * Made from a verified log entry at the relay's position `pos`; `why` holds the reasons of a new key (`period`, `left`,
 * `removed`, `device`, `count`, `asked`, `first`).
 */
export interface Notice {
  readonly sph: string;
  readonly pos: number;
  readonly seq: number;
  readonly at: number;
  readonly op: string;
  readonly by: string;
  readonly byName: string;
  readonly who: string;
  readonly whoName: string;
  readonly mine: boolean;
  readonly epoch: number;
  readonly role: string;
  readonly mode: string;
  readonly why: readonly string[];
}

/** `missing` messages of one device that the relay has not shown, placed before the message that names them. */
export interface GapLine {
  readonly sph: string;
  readonly pos: number;
  readonly dv: string;
  readonly name: string;
  readonly missing: number;
}

/** One row of a sphere as it is read. `key` is stable while the row lives (a waiting text keeps it once sent). */
export type Row =
  | {
      readonly row: "message"; readonly key: string; readonly message: Message; readonly comments: number;
      readonly unreadComments: number;
    }
  | { readonly row: "notice"; readonly key: string; readonly notice: Notice }
  | { readonly row: "gap"; readonly key: string; readonly gap: GapLine };

/** A page of rows, oldest first. `more` says whether older and newer rows are here (in this browser's store). */
export interface Rows {
  readonly rows: readonly Row[];
  readonly more: { readonly before: boolean; readonly after: boolean };
  /** Key of the first row not read yet, if it is known. */
  readonly firstUnread: string | undefined;
}

/** A session the relay keeps for this account. */
export interface SessionInfo {
  readonly n: string;
  readonly dv: string;
  readonly since: number;
  readonly seen: number;
  readonly here: boolean;
}

/** Somebody of a common sphere (`via`) invites this account; `label` is what they call the sphere (CLT-053). */
export interface Invitation {
  readonly id: string;
  readonly sph: string;
  readonly label: string;
  readonly by: string;
  readonly name: string;
  readonly via: string;
  readonly at: number;
}
