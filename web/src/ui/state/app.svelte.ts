/**
 * What the page knows at this moment, told by the worker: the account, spheres, what waits, the connection.
 *
 * Records only, as they crossed the border; everything is dropped when the profile locks. Screens read `app`, call
 * `api()` and listen with `on()`. Spec: WEB-003, WEB-024.
 */

import type { Api, Openers, PageEvent, Place, Progress } from "../../client/api.ts";
import type { AccountInfo, Invitation, OutboxItem, Pending, Request, ServerInfo, SphereInfo } from "../../client/records.ts";
import { codeOf } from "../faults.ts";
import { aside, report } from "./aside.ts";
import { read } from "./clock.svelte.ts";
import { display } from "./display.svelte.ts";
import { expected, note } from "./door.ts";
import { stale } from "./idle.ts";

export interface Connection {
  /** Undefined until the first word of it. */
  readonly online: boolean | undefined;
  readonly since: number;
  readonly retryAt: number;
  /** The server answers and takes this device no more, though no signed entry shows a removal (CLT-038). */
  readonly refused?: boolean;
}

export interface App {
  /** `starting`, or `expected` behind a door that can be foreseen, until the first answer; `failed` without a worker. */
  phase: "starting" | "expected" | "ready" | "failed";
  failure: unknown;
  account: AccountInfo | undefined;
  openers: Openers | undefined;
  server: ServerInfo | undefined;
  spheres: readonly SphereInfo[];
  /** Spheres this account is no longer in, whose messages are still here. */
  past: readonly SphereInfo[];
  pending: readonly Pending[];
  requests: readonly Request[];
  /** What people of common spheres invite this account to. */
  invitations: readonly Invitation[];
  outbox: readonly OutboxItem[];
  /** Lists have been read at least once since unlocking. */
  loaded: boolean;
  connection: Connection;
  progress: Progress | undefined;
  place: Place | undefined;
  /** Why this device was locked, when it was not the person; said on the lock screen. */
  ended: { readonly code: string } | undefined;
}

function empty(): Omit<App, "phase" | "failure" | "openers" | "server" | "place" | "ended"> {
  return {
    account: undefined, spheres: [], past: [], pending: [], requests: [], invitations: [], outbox: [], loaded: false,
    connection: { online: undefined, since: 0, retryAt: 0 }, progress: undefined,
  };
}

export const app = $state<App>({
  phase: "starting", failure: undefined, openers: undefined, server: undefined, place: undefined, ended: undefined, ...empty(),
});

type Hear = (event: PageEvent) => void;
const ears = new Set<Hear>();
let behind: Api | undefined;

/** The worker's methods. */
export function api(): Api {
  if (behind === undefined) throw new Error("not started");
  return behind;
}

/** Hears events of one sphere (with those of the account), or with "" all of them; returns what ends it. */
export function on(sph: string, hear: Hear): () => void {
  const ear: Hear = (event) => (sph === "" || event.sph === "" || event.sph === sph) && hear(event);
  ears.add(ear);
  return () => ears.delete(ear);
}

/** Before anything answers: the door that most likely stands here, ready to be typed into. */
export function expect(): void {
  const door = expected(stale(display.lockAfter, read()));
  app.phase = door === undefined ? "starting" : "expected";
  if (door?.status !== "locked") return;
  app.account = { status: "locked", server: "", login: "", id: "", dv: "", deviceName: "", admin: false };
  app.openers = door.openers;
}

/** Connects the page with its worker and reads how things stand. */
export async function start(worker: Api, subscribe: (hear: Hear) => void): Promise<void> {
  behind = worker;
  subscribe(heard);
  try {
    await look();
    app.phase = "ready";
  } catch (thrown) {
    app.failure = thrown;
    app.phase = "failed";
  }
}

let looking: Promise<void> = Promise.resolve();

/** Reads the account again, and what it holds when it is open. One look after another: the last one saw how things stand. */
export function look(): Promise<void> {
  const next = looking.then(lookNow, lookNow);
  looking = next;
  return next;
}

async function lookNow(): Promise<void> {
  let account = await api().account();
  if (account.status === "locked") {
    if (stale(display.lockAfter, read())) await api().lock();
    else if (await api().resume()) account = await api().account();
  }
  app.openers = await api().openers();
  note(account.status, app.openers);
  if (account.status !== "open") forget();
  else app.ended = undefined;
  app.account = account;
  if (account.status === "open") await lists();
}

/** What only an open profile may show. */
function forget(): void {
  Object.assign(app, empty());
}

/** Asks the server about itself; silent when it cannot be reached. */
export async function lookServer(): Promise<void> {
  try {
    app.server = await api().serverInfo();
  } catch (thrown) {
    if (codeOf(thrown) === "L_UNREACHABLE") app.connection = { online: false, since: read(), retryAt: 0 };
  }
}

/** Runs `read` at once; calls while it runs lead to one more run, not to many. */
function once(read: () => Promise<void>): () => Promise<void> {
  let running = false;
  let again = false;
  return async () => {
    again = true;
    if (running) return;
    running = true;
    try {
      while (again) {
        again = false;
        await read();
      }
    } finally {
      running = false;
    }
  };
}

const stored = once(async () => {
  const [all, pending, outbox, invitations] = await Promise.all([
    api().spheres(true), api().pending(), api().outbox(), api().invitations(),
  ]);
  if (app.account?.status !== "open") return;
  const present = (one: SphereInfo): boolean => one.status === "active" || one.status === "asked";
  const [spheres, past] = [all.filter(present), all.filter((one) => !present(one))];
  Object.assign(app, { spheres, past, pending, outbox, invitations, loaded: true });
});

const asking = once(async () => {
  const requests = await api().requests();
  if (app.account?.status === "open") app.requests = requests;
});

/** Reads the lists. Who asks to join is asked of the server, and nothing else waits for that. */
export function lists(): Promise<void> {
  aside(asking(), failed);
  return stored();
}

function heard(event: PageEvent): void {
  switch (event.event) {
    case "Progress":
      app.progress = event.step === "done" ? undefined : event;
      break;
    case "Place":
      app.place = event;
      break;
    case "Revoked":
      app.ended = { code: "L_REVOKED" };
      forget();
      aside(look(), failed);
      break;
    case "LockedNow":
      forget();
      aside(look(), failed);
      break;
    case "Connected":
      app.connection = { online: true, since: read(), retryAt: 0 };
      aside(news(), failed);
      break;
    case "Disconnected": {
      const since = app.connection.online === false ? app.connection.since : read();
      app.connection = { online: false, since, retryAt: read() + Math.ceil(event.retryIn), refused: event.code === "E_AUTH" };
      break;
    }
    // No list holds them.
    case "NoticesPlaced":
      break;
    default:
      aside(news(), failed);
  }
  for (const ear of [...ears]) ear(event);
}

/** Something happened in an open profile; if it is not open here, another tab opened it. */
async function news(): Promise<void> {
  if (app.phase !== "ready") return;
  await (app.account?.status === "open" ? lists() : look());
}

function failed(thrown: unknown): void {
  if (codeOf(thrown) === "L_LOCKED") forget();
  else if (codeOf(thrown) !== "L_UNREACHABLE") report(thrown);
}

/** The sphere as listed, if it is. */
export function sphereOf(sph: string): SphereInfo | undefined {
  return app.spheres.find((one) => one.sph === sph) ?? app.past.find((one) => one.sph === sph);
}
