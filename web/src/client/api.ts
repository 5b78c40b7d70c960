/**
 * What the page may ask of the worker, and nothing else: plain data in, plain records out, no key in either direction.
 *
 * A password, PIN or invitation link goes in and never comes out again. Every method throws a `CloisterError` (its code,
 * detail and data cross the border); names are those of `src/cloister/client/`. Spec: CLT-001, WEB-003.
 */

import type { Policy } from "../protocol/state.ts";
import type { Event, KeyAsked } from "./events.ts";
import type {
  AccountInfo, DeviceInfo, Finding, Imported, Invitation, InviteInfo, InviteLink, KeyWish, LogLine, Message, OutboxItem, Pending,
  Person, PublicPage, Request, Row, Rows, SavedInfo, SavedKeys, SeenRow, ServerInfo, SessionInfo, SphereInfo, SyncReport,
} from "./records.ts";

/** A named step of long work (key derivation, first sync), for the line under the button. `of` 0: unknown. */
export interface Progress {
  readonly event: "Progress";
  readonly sph: string;
  readonly work: "signup" | "signin" | "unlock" | "password" | "sync";
  readonly step: "keys" | "proof" | "account" | "opening" | "spheres" | "messages" | "done";
  readonly done: number;
  readonly of: number;
}

/** Another tab writes, or this one does. `persisted`: the browser promised not to evict the store. */
export interface Place {
  readonly event: "Place";
  readonly sph: string;
  readonly leader: boolean;
  readonly persisted: boolean;
}

/** The profile was locked (here, in another tab, or by time); everything shown is to be dropped. */
export interface LockedNow {
  readonly event: "LockedNow";
  readonly sph: string;
}

export type PageEvent = Event | Progress | Place | LockedNow;

/** How this device is opened, and what is left of the tries. `offline`: whether it can be opened without the server. */
export interface Openers {
  readonly password: boolean;
  readonly pin: boolean;
  readonly session: boolean;
  readonly offline: boolean;
}

/** What the link in the address says, read without any server. `label` is quoted as "the link says". */
export interface LinkInfo {
  readonly kind: "invite" | "person";
  readonly origin: string;
  readonly sph: string;
  readonly label: string;
}

/** What a search found; `whole` when every message here was looked through. */
export interface Found {
  readonly found: readonly Message[];
  readonly searched: number;
  readonly whole: boolean;
}

/** One epoch: whether its key is here, when, by whom and why it was made (reasons as in `Notice.why`). */
export interface KeyLine {
  readonly n: number;
  readonly here: boolean;
  readonly at: number;
  readonly byName: string;
  readonly why: readonly string[];
  /** Whether the history policy gives it to this device; who can supply it and when it was asked for, while it is missing. */
  readonly granted: boolean;
  readonly holders: readonly string[];
  readonly asked: number;
}

/** What a new sphere is to be; the policy's members as in the log, others as usual (ROLE-017). */
export interface NewSphere {
  readonly mode?: "e2ee" | "open" | "public";
  readonly custody?: "synced" | "device";
  readonly delivery?: "pairwise" | "live";
  readonly topic?: string;
  readonly policy?: Readonly<Partial<Policy>>;
  /** An organisation, or (with the sph of one as `org`) a sphere whose keys come from it (CLT-062). */
  readonly kind?: "sphere" | "org";
  readonly org?: string;
}

/** How a text goes: `re` is the message it answers, `openly` sends it in clear where the policy lets members choose. */
export interface Sent {
  readonly re?: string;
  readonly openly?: boolean;
}

export interface Api {
  // the account ---------------------------------------------------------------------------------------------------
  account(): Promise<AccountInfo>;
  openers(): Promise<Openers>;
  serverInfo(): Promise<ServerInfo>;
  /** Sign up with a set-up code or ticket, or with an invitation link (then returns the request to join). */
  createAccount(
    login: string, password: string, options: { ticket?: string; link?: string; deviceName?: string },
  ): Promise<Pending | undefined>;
  signIn(login: string, password: string, deviceName: string): Promise<void>;
  /** Stops the running sign-up, sign-in, unlocking or password change where nothing is lost by it. */
  cancel(): Promise<void>;
  unlock(password: string): Promise<void>;
  unlockWithPin(pin: string): Promise<void>;
  /** Take over a session another tab or the last page left open; false when there is none. */
  resume(): Promise<boolean>;
  lock(): Promise<void>;
  signOut(wipe: boolean): Promise<void>;
  changePassword(old: string, fresh: string): Promise<void>;
  /** Throws WeakPin. Afterwards the password alone no longer opens this device offline (answer of VLT-009). */
  setPin(password: string, pin: string): Promise<void>;
  removePin(password: string): Promise<void>;
  guesses(login: string, password: string): Promise<{ readonly bits: number; readonly enough: boolean }>;
  makePassword(): Promise<string>;
  devices(): Promise<readonly DeviceInfo[]>;
  revokeDevice(dv: string, password: string, fresh?: string): Promise<void>;
  sessions(): Promise<readonly SessionInfo[]>;
  endSession(n: string): Promise<void>;
  /** A setting of this person, synced encrypted (display, density, keys on or off, language). */
  setting(key: string): Promise<unknown>;
  setSetting(key: string, value: unknown): Promise<void>;
  draft(sph: string, thread: string): Promise<string>;
  setDraft(sph: string, thread: string, text: string): Promise<void>;

  // spheres -------------------------------------------------------------------------------------------------------
  spheres(past?: boolean): Promise<readonly SphereInfo[]>;
  sphere(sph: string): Promise<SphereInfo>;
  createSphere(title: string, options: NewSphere): Promise<SphereInfo>;
  setMeta(sph: string, changes: { title?: string; topic?: string; icon?: string }): Promise<void>;
  policy(sph: string): Promise<Policy>;
  setPolicy(sph: string, changes: Readonly<Partial<Policy>>): Promise<void>;
  /**
   * Owner only. A title in `title` is one for everybody to read; without it what was sealed stays sealed. `seen`: the mode
   * that was shown; a stronger one that came meanwhile is not weakened (CLT-042, Conflict).
   */
  setMode(sph: string, mode: SphereInfo["mode"], title?: string, seen?: SphereInfo["mode"]): Promise<void>;
  /** The link by which anybody reads a public sphere. No secret. */
  publicLink(sph: string): Promise<string>;
  /** What such a link shows, to anybody: read, verified, not kept (CLT-044). Throws UsageError, Forbidden, LogFork. */
  readPublic(link: string, limit: number): Promise<PublicPage>;
  /** The person has seen that the sphere is in `mode` now (`SphereInfo.switched`). */
  acceptMode(sph: string, mode: SphereInfo["mode"]): Promise<void>;
  leave(sph: string): Promise<void>;
  forget(sph: string): Promise<void>;

  // reading -------------------------------------------------------------------------------------------------------
  /** Rows of a sphere or (with `thread`) of one message and its comments. Without bounds: around the first unread. */
  rows(
    sph: string, options: { thread?: string; before?: number; after?: number; around?: string; limit: number },
  ): Promise<Rows>;
  /** The row as it is now; undefined when it is no more. */
  row(sph: string, key: string): Promise<Row | undefined>;
  /** Unread of all spheres with their newest lines, for the inbox. */
  inbox(limit: number): Promise<readonly { readonly sphere: SphereInfo; readonly rows: readonly Row[] }[]>;
  markRead(sph: string, pos: number): Promise<void>;
  search(words: string, limit: number): Promise<Found>;

  // writing -------------------------------------------------------------------------------------------------------
  /** Queued durably, then sent; the row is there as soon as this answers. */
  send(sph: string, text: string, options: Sent): Promise<OutboxItem>;
  edit(sph: string, mid: string, text: string): Promise<OutboxItem>;
  remove(sph: string, mid: string): Promise<OutboxItem>;
  react(sph: string, mid: string, emoji: string, on: boolean): Promise<OutboxItem>;
  outbox(): Promise<readonly OutboxItem[]>;
  /** `anyway`: the question answered with yes, as it was shown; "" for an item that asks nothing (CLT-016). */
  retry(id: string, anyway: string): Promise<void>;
  drop(id: string): Promise<void>;

  // people --------------------------------------------------------------------------------------------------------
  people(sph: string, past?: boolean): Promise<readonly Person[]>;
  setRole(sph: string, id: string, role: string): Promise<void>;
  removePerson(sph: string, id: string, ban: boolean): Promise<void>;
  setNickname(sph: string, nickname: string): Promise<void>;
  setPetname(sph: string, id: string, petname: string): Promise<void>;
  safetyNumber(sph: string, id: string): Promise<string>;
  confirm(sph: string, id: string, confirmed: boolean): Promise<void>;
  /** With `to`, the handle of one of `candidates`, the link is sent to that person's devices. */
  invite(
    sph: string, options: { uses: number; seconds: number; role: string; admit: "ask" | "auto"; to?: string },
  ): Promise<InviteLink>;
  /** People of other spheres who can be invited. */
  candidates(sph: string): Promise<readonly Person[]>;
  /** Invitations that people of common spheres sent to this account. */
  invitations(): Promise<readonly Invitation[]>;
  acceptInvitation(id: string): Promise<Pending>;
  declineInvitation(id: string): Promise<void>;
  invites(sph: string): Promise<readonly InviteInfo[]>;
  link(sph: string, jti: string): Promise<string>;
  withdraw(sph: string, jti: string): Promise<void>;
  readLink(link: string): Promise<LinkInfo>;
  join(link: string): Promise<Pending>;
  pending(): Promise<readonly Pending[]>;
  cancelJoin(hash: string): Promise<void>;
  requests(sph?: string): Promise<readonly Request[]>;
  admit(sph: string, hash: string, options: { confirmed: boolean; role: string }): Promise<Person>;
  decline(sph: string, hash: string): Promise<void>;
  /** Let the asker see the digits too, before they are compared; the 60 digits. Admits nobody. */
  showCard(sph: string, hash: string): Promise<string>;

  // security ------------------------------------------------------------------------------------------------------
  rotate(sph: string, why: string): Promise<number>;
  /** Epochs from 1 with whether the key is here. */
  keys(sph: string): Promise<readonly KeyLine[]>;
  askKeys(sph: string): Promise<readonly string[]>;
  /** How many messages are missing, by the name of who wrote them, and asking members for them; names of those asked. */
  missing(sph: string): Promise<Readonly<Record<string, number>>>;
  askMessages(sph: string): Promise<readonly string[]>;
  /** Epochs of unreadable rows that the history policy does not give; asked of people, who say yes or no (CLT-041). */
  olderKeys(sph: string): Promise<readonly number[]>;
  askOlder(sph: string): Promise<readonly string[]>;
  wishes(sph: string): Promise<readonly KeyWish[]>;
  shareOlder(sph: string, id: string, ns: readonly number[]): Promise<number>;
  declineOlder(sph: string, id: string): Promise<void>;
  /** Ask whoever is connected for missing keys: `KeyOffered` with digits follows, then `KeyReceived` or `TransferEnded`. */
  askLive(sph: string): Promise<{ readonly name: string; readonly reached: number }>;
  /** Asks of others that wait for this person's word. */
  transfers(sph: string): Promise<readonly KeyAsked[]>;
  giveLive(sph: string, name: string): Promise<void>;
  endLive(sph: string, name: string, why: "different" | "refused"): Promise<void>;
  /** Whether this device gives keys of the sphere without asking (LIVE-012). */
  provides(sph: string): Promise<boolean>;
  setProvides(sph: string, on: boolean): Promise<void>;
  setCustody(sph: string, custody: "synced" | "device"): Promise<void>;
  keepOnlyHere(sph: string, only: boolean): Promise<void>;
  /**
   * Keys of a sphere as a sealed text and its code: the one answer that carries what opens a key, and only for who has just
   * typed what opens this device (`unlock`: its PIN, else the password). Throws AuthFailed, VaultError, WeakPassword.
   */
  saveKeys(sph: string, unlock: string, passphrase: string): Promise<SavedKeys>;
  checkSaved(sph: string, text: string, code: string): Promise<number>;
  readSaved(text: string): Promise<SavedInfo>;
  importKeys(text: string, code: string): Promise<Imported>;
  log(sph: string, start: number, limit: number): Promise<readonly LogLine[]>;
  headCode(sph: string): Promise<string>;
  checkpoint(sph: string): Promise<number>;
  /** The relay's row beside what is shown here; without `mid` the newest message. */
  seen(sph: string, mid?: string): Promise<SeenRow>;
  evidence(sph: string): Promise<Record<string, unknown>>;
  acknowledge(sph: string, code: string): Promise<void>;
  doctor(sph?: string): Promise<readonly Finding[]>;

  // the relay -----------------------------------------------------------------------------------------------------
  sync(): Promise<SyncReport>;
  /** An administrator's request; refused by the relay for everybody else. */
  admin(
    method: "GET" | "POST" | "PUT" | "DELETE", path: string, body?: Record<string, unknown>,
  ): Promise<Record<string, unknown>>;
}

export type Method = keyof Api;

/** Page to worker. */
export interface Call {
  readonly n: number;
  readonly method: Method;
  readonly values: readonly unknown[];
}

/** A fault as it crosses the border. */
export interface Fault {
  readonly code: string;
  readonly detail: string;
  readonly retryAfter: number | undefined;
  readonly data: Record<string, unknown>;
}

/** Worker to page: an answer, a fault or an event. */
export type Reply =
  | { readonly n: number; readonly value: unknown }
  | { readonly n: number; readonly fault: Fault }
  | { readonly n: 0; readonly event: PageEvent };
