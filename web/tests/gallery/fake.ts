/**
 * A stand-in for the worker: the whole of `Api` over records in memory. Nothing is encrypted, stored or sent.
 */

import { CloisterError, NotFound, relayError } from "../../src/errors.ts";
import * as errors from "../../src/errors.ts";
import {
  ACCOUNT, CANDIDATES, DEVICES, INVITES, LOG, NOW, OUTBOX, PEOPLE, PUBLIC, REQUESTS, ROWS, SERVER, SESSIONS, SPHERES, message, row, sphere,
} from "./records.ts";
import { page } from "./rooms.ts";
import type { Api, Openers, PageEvent, Progress } from "../../src/client/api.ts";
import type { KeyAsked } from "../../src/client/events.ts";
import type {
  AccountInfo, Invitation, KeyWish, OutboxItem, Pending, Person, Request, Row, ServerInfo, SphereInfo,
} from "../../src/client/records.ts";

export interface World {
  account: AccountInfo;
  openers: Openers;
  server: ServerInfo;
  spheres: readonly SphereInfo[];
  people: readonly Person[];
  requests: readonly Request[];
  invitations: readonly Invitation[];
  wishes: readonly KeyWish[];
  pending: readonly Pending[];
  outbox: readonly OutboxItem[];
  rows: readonly Row[];
  /** The sphere whose rows come in pages. */
  paged: string;
  /** Milliseconds after which Bo writes there, again and again; 0: never. */
  arrives: number;
  settings: Record<string, unknown>;
  /** Milliseconds each answer takes; reads that never answer wait for ever. */
  delay: number;
  never: readonly string[];
  /** What these methods throw. */
  faults: Readonly<Record<string, () => Error>>;
  /** Events told once the page listens. */
  events: readonly PageEvent[];
  seconds: number;
}

export function world(more: Partial<World> = {}): World {
  return {
    account: ACCOUNT, openers: { password: true, pin: false, session: false, offline: true }, server: SERVER, spheres: SPHERES, people: PEOPLE,
    requests: REQUESTS, invitations: [], wishes: [], pending: [], outbox: OUTBOX, rows: ROWS, paged: "", arrives: 0, settings: { "reminded.password": true, "reminded.store": true }, delay: 30,
    never: [], faults: {}, events: [{ event: "Connected", sph: "" }, { event: "Place", sph: "", leader: true, persisted: true }], seconds: 1.2, ...more,
  };
}

/** An error of the taxonomy by its code. */
export function thrown(code: string, data: Record<string, unknown> = {}, retryAfter?: number): () => Error {
  return () => {
    if (code.startsWith("E_")) return relayError({ code, ...data, ...(retryAfter === undefined ? {} : { retry_after: retryAfter }) });
    const kind = Object.values(errors).find((one) => typeof one === "function" && (one as { code?: string }).code === code);
    return new (kind as unknown as typeof CloisterError)("", { data });
  };
}

export function fake(w: World): { api: Api; subscribe: (hear: (event: PageEvent) => void) => void } {
  const ears: ((event: PageEvent) => void)[] = [];
  const tell = (event: PageEvent): void => ears.forEach((ear) => ear(event));
  const wait = (ms: number): Promise<void> => new Promise((done) => setTimeout(done, ms));
  let cancelled = false;
  let made = 20_000;
  const threads = new Map<string, readonly Row[]>();

  async function long(work: Progress["work"], steps: readonly Progress["step"][]): Promise<void> {
    cancelled = false;
    for (const step of steps) {
      tell({ event: "Progress", sph: "", work, step, done: 0, of: 0 });
      await wait((w.seconds * 1000) / steps.length);
      if (cancelled) throw new CloisterError("cancelled");
    }
    tell({ event: "Progress", sph: "", work, step: "done", done: 1, of: 1 });
  }
  function open(login = w.account.login): void {
    w.account = { ...w.account, status: "open", login };
  }
  const find = (sph: string): SphereInfo => {
    const found = w.spheres.find((one) => one.sph === sph);
    if (!found) throw new NotFound("sphere");
    return found;
  };
  const item = (sph: string, kind: string, text: string): OutboxItem =>
    ({ id: `o${(made += 1)}`, sph, kind, text, at: NOW, state: "waiting", question: "", code: "" });
  const change = (sph: string, changes: Partial<SphereInfo>): void => {
    w.spheres = w.spheres.map((one) => (one.sph === sph ? { ...one, ...changes } : one));
    tell({ event: "SphereChanged", sph, what: "meta", by: "" });
  };

  const api: Api = {
    account: async () => w.account,
    openers: async () => w.openers,
    serverInfo: async () => w.server,
    createAccount: async (login, _password, { link }) => {
      await long("signup", ["keys", "proof", "account"]);
      open(login);
      w.spheres = [];
      if (link === undefined) return undefined;
      const pending: Pending = { hash: "p9", sph: "harbour", label: "Harbour plan", state: "asked", safety: "" };
      w.pending = [pending];
      return pending;
    },
    signIn: async () => {
      await long("signin", ["proof", "opening"]);
      open();
    },
    cancel: async () => void (cancelled = true),
    unlock: async () => {
      await long("unlock", ["opening"]);
      open();
    },
    unlockWithPin: async () => {
      await long("unlock", ["opening"]);
      open();
    },
    resume: async () => false,
    lock: async () => {
      w.account = { ...w.account, status: "locked" };
      tell({ event: "LockedNow", sph: "" });
    },
    signOut: async (wipe) => {
      w.account = { ...w.account, status: wipe ? "new" : "signed-out" };
    },
    changePassword: async () => long("password", ["keys", "proof", "account"]),
    setPin: async () => void (w.openers = { ...w.openers, pin: true, password: false }),
    removePin: async () => void (w.openers = { ...w.openers, pin: false, password: true }),
    guesses: async (_login, password) => ({ bits: 40, enough: new Set(password).size > 6 }),
    makePassword: async () => "cobalt-otter-lantern-forty-pier",
    devices: async () => DEVICES,
    revokeDevice: async () => wait(600),
    sessions: async () => SESSIONS,
    endSession: async () => wait(300),
    setting: async (key) => w.settings[key],
    setSetting: async (key, value) => void (w.settings[key] = value),
    draft: async () => "",
    setDraft: async () => undefined,
    spheres: async () => w.spheres,
    sphere: async (sph) => find(sph),
    createSphere: async (title, { mode = "e2ee" }) => {
      const one = sphere(`s${(made += 1)}`, title, { mode, role: "owner", members: 1, seq: 1, epoch: 1 });
      w.spheres = [one, ...w.spheres];
      tell({ event: "SphereChanged", sph: one.sph, what: "create", by: "" });
      return one;
    },
    setMeta: async (sph, changes) => change(sph, changes),
    policy: async (sph) => ({ join: "approve", history: "all", retention: 0, plaintext: sph === "harbour", guests: "talk", T: 604_800, kem_min: "xwing" }),
    setPolicy: async () => wait(300),
    setMode: async (sph, mode) => change(sph, { mode }),
    acceptMode: async (sph) => change(sph, { switched: undefined }),
    leave: async (sph) => change(sph, { status: "left" }),
    forget: async (sph) => void (w.spheres = w.spheres.filter((one) => one.sph !== sph)),
    rows: async (sph, options) => {
      const { thread } = options;
      if (thread !== undefined) {
        const known = threads.get(thread) ?? [row(message(sph, "Bo", "The north one.", { re: thread })), row(message(sph, "Di", "Agreed.", { re: thread }))];
        threads.set(thread, known);
        const found = page(known, options);
        const top = found.more.before ? [] : w.rows.filter((one) => one.row === "message" && one.message.mid === thread);
        return { ...found, rows: [...top, ...found.rows] };
      }
      if (sph === w.paged && thread === undefined) return page(w.rows, options);
      const rows = sph === "empty" || sph.startsWith("s1") ? [] : w.rows;
      const first = rows.find((one) => one.row === "message" && one.message.unread);
      return { rows, more: { before: false, after: false }, firstUnread: first?.key };
    },
    row: async (_sph, key) => w.rows.find((one) => one.key === key),
    inbox: async () => w.spheres.filter((one) => one.unread > 0).map((one) => ({
      sphere: one, rows: w.rows.filter((found) => found.row === "message" && found.message.unread),
    })),
    markRead: async (sph) => change(sph, { unread: 0 }),
    search: async (words) => ({
      found: w.rows.flatMap((one) => (one.row === "message" && one.message.text.includes(words) ? [one.message] : [])), searched: 12400, whole: false,
    }),
    send: async (sph, text, { re }) => {
      const sent = { ...item(sph, re === undefined ? "msg" : "comment", text), ...(re === undefined ? {} : { re }) };
      const one = message(sph, "Di", text, { re: re ?? "", state: "waiting", pos: 0, cid: sent.id, at: NOW });
      const keep = (now: Message): void => {
        const change = (all: readonly Row[]): readonly Row[] => [...all.filter((found) => found.key !== now.cid), row(now)];
        if (re === undefined) w.rows = change(w.rows);
        else threads.set(re, change(threads.get(re) ?? []));
      };
      keep(one);
      w.outbox = [...w.outbox, sent];
      tell({ event: "ItemChanged", sph, id: sent.id, item: sent });
      setTimeout(() => {
        const later: Message = { ...one, mid: `m${sent.id}`, state: "sent", pos: made };
        keep(later);
        w.outbox = w.outbox.filter((found) => found.id !== sent.id);
        tell({ event: "MessageSent", sph, item: sent, message: later });
      }, 700);
      return sent;
    },
    edit: async (sph, _mid, text) => item(sph, "edit", text),
    remove: async (sph) => item(sph, "delete", ""),
    react: async (sph, _mid, emoji) => item(sph, "react", emoji),
    outbox: async () => w.outbox,
    retry: async (id) => void (w.outbox = w.outbox.filter((one) => one.id !== id)),
    drop: async (id) => void (w.outbox = w.outbox.filter((one) => one.id !== id)),
    people: async () => w.people,
    setRole: async () => wait(300),
    removePerson: async () => wait(300),
    setNickname: async () => undefined,
    setPetname: async () => undefined,
    safetyNumber: async () => REQUESTS[0]!.safety,
    confirm: async () => undefined,
    invite: async (sph, options) => ({ url: "https://harbour.example/j#sp-4kTabcdefgh~9fQ~id-x~y", sph, jti: "j1", exp: NOW + options.seconds, ...options }),
    invites: async () => INVITES,
    link: async () => "https://harbour.example/j#sp-4kTabcdefgh~9fQ~id-x~y",
    withdraw: async () => undefined,
    readLink: async (link) => {
      if (!link.includes("#")) throw thrown("C_FORMAT")();
      return { kind: "invite", origin: new URL(link).origin, sph: "elsewhere", label: "Harbour plan" };
    },
    join: async () => {
      const pending: Pending = { hash: "p9", sph: "harbour", label: "Harbour plan", state: "asked", safety: "" };
      w.pending = [pending];
      return pending;
    },
    pending: async () => w.pending,
    cancelJoin: async (hash) => void (w.pending = w.pending.filter((one) => one.hash !== hash)),
    requests: async (sph) => w.requests.filter((one) => sph === undefined || one.sph === sph),
    admit: async (_sph, hash) => {
      w.requests = w.requests.filter((one) => one.hash !== hash);
      return w.people[2]!;
    },
    decline: async (_sph, hash) => void (w.requests = w.requests.filter((one) => one.hash !== hash)),
    showCard: async () => REQUESTS[0]!.safety,
    rotate: async () => 8,
    keys: async () => [1, 2, 3, 4, 5, 6, 7].map((n) => ({ n, here: n !== 3, at: NOW - (8 - n) * 86400, byName: "Ada", why: n === 7 ? ["left"] : ["period"],
      granted: true, holders: n === 3 ? ["Ada", "Bo"] : [], asked: n === 3 ? NOW - 900 : 0 })),
    missing: async () => ({}),
    askMessages: async () => ["Ada", "Bo"],
    candidates: async () => CANDIDATES,
    invitations: async () => w.invitations,
    acceptInvitation: async (id) => {
      const { sph, label } = w.invitations.find((one) => one.id === id)!;
      w.invitations = w.invitations.filter((one) => one.id !== id);
      w.pending = [{ hash: "p9", sph, label, state: "asked", safety: "" }];
      return w.pending[0]!;
    },
    declineInvitation: async (id) => void (w.invitations = w.invitations.filter((one) => one.id !== id)),
    askKeys: async () => ["Ada"],
    olderKeys: async () => [],
    askOlder: async () => ["Ada"],
    wishes: async () => w.wishes,
    shareOlder: async (_sph, id) => {
      w.wishes = w.wishes.filter((one) => one.id !== id);
      return 2;
    },
    declineOlder: async (_sph, id) => void (w.wishes = w.wishes.filter((one) => one.id !== id)),
    askLive: async (sph) => {
      setTimeout(() => tell({ event: "KeyOffered", sph, name: "ask", id: "id-bo", who: "Bo", digits: "418207" }), w.delay);
      return { name: "ask", reached: 1 };
    },
    transfers: async () => (w.settings["asks"] as readonly KeyAsked[] | undefined) ?? [],
    giveLive: async () => undefined,
    endLive: async () => undefined,
    provides: async () => false,
    setProvides: async () => undefined,
    setCustody: async (sph, custody) => change(sph, { custody }),
    keepOnlyHere: async () => undefined,
    saveKeys: async (sph) => ({ sph, text: "sphsec1.eyJ2Ijo.QkJC", code: "4k7t-9fqc-2m8p-0x3r-6w1d-5n7a-h2k9", keys: [1, 2, 4, 5, 6, 7] }),
    checkSaved: async () => 7,
    readSaved: async () => ({ sph: "harbour", by: "code", keys: [1, 2, 3], at: NOW, known: true }),
    importKeys: async () => ({ sph: "harbour", new: [3], had: [1, 2], waiting: [], refused: [], letGo: [] }),
    readPublic: async () => ({ sph: "canteen", title: "Canteen", topic: "Soup and news", members: 12, seq: 40, messages: PUBLIC }),
    publicLink: async () => "https://harbour.example/p#sp-4kTabcdefgh~12~x9fQ",
    log: async () => LOG,
    headCode: async () => "41982 77310 05526 90314 66201 18847",
    checkpoint: async () => 119,
    seen: async () => ({
      pos: 12, stored: "9f2c71e0aa31bb52", header: { kid: "dv-9c2e71e0aa31", ep: 7 }, size: 512, digest: "9f2c71e0aa31bb52",
      youSee: w.rows.flatMap((one) => (one.row === "message" ? [one.message] : []))[0],
    }),
    evidence: async () => ({ v: 1 }),
    acknowledge: async (sph) => change(sph, { stop: undefined }),
    doctor: async () => [],
    sync: async () => ({ offline: false, messages: 0, entries: 0, sent: 0, waiting: 0, faults: [] }),
    admin: async (_method, path) => {
      if (path.endsWith("health")) return w.settings["health"] as Record<string, unknown>;
      if (path.endsWith("users")) return { users: w.settings["users"] };
      if (path.endsWith("signup")) return { signup: "invite", by_sphere: true };
      if (_method === "POST") return { n: "t9", uses: 1, exp: NOW + 7 * 86400, code: "7QK4-M2XD-9FQ2-K7QD" };
      return { tickets: [{ n: "t1", uses: 3, exp: NOW + 86400 }] };
    },
  };

  // Each call takes its time, throws what the state wants, or never answers.
  const quick = ["account", "openers", "cancel", "setting"];
  const slow = new Proxy(api, {
    get(target, name: keyof Api) {
      return async (...values: unknown[]) => {
        if (w.never.includes(name)) await new Promise(() => undefined);
        if (!quick.includes(name)) await wait(w.delay);
        const fault = w.faults[name];
        if (fault) {
          if (["createAccount", "signIn", "unlock", "unlockWithPin"].includes(name)) await wait(400);
          throw fault();
        }
        return (target[name] as (...all: unknown[]) => unknown)(...values);
      };
    },
  });
  if (w.arrives > 0) {
    setInterval(() => {
      const one = message(w.paged, "Bo", `Word ${(made += 1)} from the pier.`, { pos: made, at: NOW, unread: true });
      w.rows = [...w.rows, row(one)];
      tell({ event: "MessageReceived", sph: w.paged, message: one });
    }, w.arrives);
  }
  return {
    api: slow,
    subscribe: (hear) => {
      ears.push(hear);
      setTimeout(() => w.events.forEach(hear), 5);
    },
  };
}

type Message = import("../../src/client/records.ts").Message;
