/**
 * Every state a screen can be in, by name: /?state=NAME&theme=dark&words=long#/route
 */

import { thrown, world } from "./fake.ts";
import { ACCOUNT, COMPARED, INVITATIONS, NOW, PENDING, SERVER, sphere } from "./records.ts";
import { HELD, RARE, RARE_OUTBOX, RARE_SPHERE, deep } from "./rooms.ts";
import type { World } from "./fake.ts";

const locked = { ...ACCOUNT, status: "locked" } as const;
const fresh = { ...ACCOUNT, status: "new", login: "", id: "", dv: "", deviceName: "" } as const;
const byPin = { password: false, pin: true, session: false, offline: false };
const offline = (seconds: number): World["events"] => [{ event: "Disconnected", sph: "", retryIn: seconds, code: "L_UNREACHABLE" }];
const down = Object.fromEntries(
  ["rows", "inbox", "people", "devices", "sessions", "admin", "keys", "log", "invites", "search", "send", "createSphere", "setMeta"]
    .map((name) => [name, thrown("L_UNREACHABLE")]),
);
const health = (bad: boolean): Record<string, unknown> => ({
  now: NOW, version: "0.1.0",
  checks: [{ name: "database", ok: true, says: "SQLite: ok" }, { name: "disk", ok: !bad, says: bad ? "97 % used" : "41 % used" }],
  counts: { accounts: 48, devices: 91, spheres: 16, rows: 128400, "spheres e2ee": 14, "spheres open": 2, sockets: 12 },
});
const users = ["ada", "bo", "cy", "di", "eve", "fay", "gus", "hal", "ida", "jo"].map((login, n) => ({
  id: `id-${login}`, login, admin: login === "di", suspended: login === "eve", created: NOW - n * 86400 * 3, devices: 1 + (n % 3),
}));
const settings = { "reminded.password": true, "reminded.store": true, users };

export const STATES: Readonly<Record<string, () => World>> = {
  open: () => world({ invitations: INVITATIONS, settings: { ...settings, health: health(false) } }),
  sick: () => world({ settings: { ...settings, health: health(true) } }),
  remind: () => world({ settings: { "reminded.due": true } }),
  bare: () => world({ spheres: [], requests: [], outbox: [] }),
  one: () => world({ spheres: [sphere("empty", "New pier", { members: 1, role: "owner", seq: 1, epoch: 1 })], requests: [], outbox: [] }),
  read: () => world({ spheres: [sphere("harbour", "Harbour plan"), sphere("board", "Board")], requests: [], outbox: [] }),
  deep: () => world({ rows: deep(10_000, 12), paged: "deep", spheres: [sphere("deep", "Ten thousand", { unread: 9 })], requests: [], outbox: [] }),
  live: () => world({ rows: deep(300), paged: "deep", spheres: [sphere("deep", "Live")], requests: [], outbox: [], arrives: 1500 }),
  rare: () => world({ rows: RARE, paged: "rare", spheres: [RARE_SPHERE], outbox: RARE_OUTBOX, requests: [] }),
  held: () => world({ rows: RARE, paged: "rare", spheres: [{ ...RARE_SPHERE, mode: "open" }], outbox: HELD("open"), requests: [] }),
  unsure: () => world({ rows: RARE, paged: "rare", spheres: [{ ...RARE_SPHERE, marked: true }], outbox: HELD("confirmed"), requests: [] }),
  wish: () => world({
    rows: RARE, paged: "rare", spheres: [RARE_SPHERE], outbox: [], requests: [],
    wishes: [{ sph: "rare", id: "id-bo", name: "Bo", ns: [1, 2, 3], at: NOW - 300 }],
  }),
  switched: () => world({
    rows: RARE, paged: "rare", spheres: [{ ...RARE_SPHERE, mode: "open", switched: { mode: "open", by: "Ada", at: NOW - 3600 } }],
    outbox: [], requests: [],
  }),
  removed: () => world({ rows: RARE, paged: "rare", spheres: [{ ...RARE_SPHERE, status: "removed" }], outbox: [], requests: [] }),
  slow: () => world({ delay: 3000, seconds: 12 }),
  loading: () => world({ never: ["rows", "inbox", "people", "devices", "sessions", "keys", "log", "admin", "search"] }),
  down: () => world({ faults: down, events: offline(20), settings: { ...settings, health: health(false) } }),
  new: () => world({ account: fresh, spheres: [], requests: [], outbox: [], seconds: 4 }),
  setup: () => world({ account: fresh, server: { ...SERVER, setup: true }, spheres: [] }),
  code: () => world({ account: fresh, server: { ...SERVER, signup: "invite" }, faults: { createAccount: thrown("E_AUTH") } }),
  closed: () => world({ account: fresh, server: { ...SERVER, signup: "closed" } }),
  taken: () => world({ account: fresh, faults: { createAccount: thrown("E_CONFLICT") } }),
  weak: () => world({ account: fresh, faults: { createAccount: thrown("L_PASSWORD", { reason: "common" }) } }),
  wrong: () => world({ account: fresh, faults: { signIn: thrown("E_AUTH") } }),
  rate: () => world({ account: fresh, faults: { signIn: thrown("E_RATE", {}, 30) } }),
  downgrade: () => world({ account: fresh, faults: { signIn: thrown("C_DOWNGRADE") } }),
  unreachable: () => world({ account: fresh, faults: { signIn: thrown("L_UNREACHABLE"), createAccount: thrown("L_UNREACHABLE") } }),
  giving: () => world({
    spheres: [sphere("harbour", "Harbour plan", { delivery: "live", custody: "device" })], requests: [], outbox: [],
    settings: { asks: [
      { event: "KeyAsked", sph: "harbour", name: "a", id: "id-bo", who: "Bo", digits: "418207", ns: [1, 2, 7], until: NOW + 106 },
    ] },
  }),
  locked: () => world({ account: locked }),
  wrongpassword: () => world({ account: locked, faults: { unlock: thrown("C_VAULT") } }),
  pin: () => world({ account: locked, openers: byPin }),
  wrongpin: () => world({ account: locked, openers: byPin, faults: { unlockWithPin: thrown("E_AUTH", { left: 3 }, 30) } }),
  lastpin: () => world({ account: locked, openers: byPin, faults: { unlockWithPin: thrown("E_AUTH", { left: 0 }) } }),
  pinset: () => world({ openers: byPin }),
  pending: () => world({ account: { ...ACCOUNT, status: "pending" } }),
  out: () => world({ account: { ...ACCOUNT, status: "signed-out" } }),
  unpublic: () => world({ account: fresh, faults: { readPublic: thrown("E_FORBIDDEN") } }),
  expired: () => world({ account: fresh, faults: { readLink: thrown("C_EXPIRED") } }),
  waiting: () => world({ spheres: [], pending: PENDING, requests: [], outbox: [] }),
  compare: () => world({ spheres: [], pending: COMPARED, requests: [], outbox: [] }),
  declined: () => world({ pending: [{ ...PENDING[0]!, state: "declined" }] }),
  othertab: () => world({ faults: { account: thrown("L_ONE_WRITER") } }),
  failed: () => world({ faults: { account: thrown("C_VAULT") } }),
};
