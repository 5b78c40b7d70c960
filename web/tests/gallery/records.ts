/**
 * Records as the worker would hand them out, for looking at screens.
 */

import type {
  AccountInfo, DeviceInfo, Invitation, InviteInfo, LogLine, Message, Notice, OutboxItem, Pending, Person, Request, Row, ServerInfo, SessionInfo,
  SphereInfo, Stop,
} from "../../src/client/records.ts";

export const NOW = Math.floor(Date.now() / 1000);
const HOUR = 3600;
const DAY = 86400;

export const ACCOUNT: AccountInfo = {
  status: "open", server: "http://localhost:8420", login: "di", id: "id-di", dv: "dv-here", deviceName: "Firefox on Linux", admin: true,
};
export const SERVER: ServerInfo = {
  url: "http://localhost:8420", realm: "r", version: "0.1.0", signup: "open", origins: [], skew: 0, setup: false,
};

export function stop(sph: string, code: string): Stop {
  return { sph, code, detail: "", at: NOW - HOUR, acknowledgeable: code === "C_KEY_CHANGED", data: {} };
}

export function sphere(sph: string, title: string, more: Partial<SphereInfo> = {}): SphereInfo {
  return {
    sph, title, topic: "", icon: "", status: "active", mode: "e2ee", delivery: "pairwise", custody: "synced", epoch: 7, haveKey: true,
    members: 4, role: "member", unread: 0, waiting: 0, requests: 0, seq: 118, marked: false, confirmedByInviter: true, stop: undefined,
    label: "", provisional: false, switched: undefined, onlyHere: false, saved: 0,
    kind: "sphere", org: "", kemMin: "xwing", tooWeak: false, ...more,
  };
}

export const SPHERES: readonly SphereInfo[] = [
  sphere("harbour", "Harbour plan", { unread: 4, role: "owner", topic: "Which port, which boat, when" }),
  sphere("board", "Board", { requests: 1, role: "admin", members: 3 }),
  sphere("canteen", "Canteen", { mode: "open", unread: 2, members: 12 }),
  sphere("square", "Square", { mode: "public", members: 12, role: "owner" }),
  sphere("firm", "Firm", { kind: "org", role: "owner", members: 9 }),
  sphere("works", "Works council", { org: "firm", role: "owner", members: 4 }),
  sphere("stopped", "Night watch", { stop: stop("stopped", "C_LOG_FORK") }),
  sphere("changed", "Rope and tackle", { stop: stop("changed", "C_KEY_CHANGED") }),
  sphere("waiting", "Charts", { waiting: 2, marked: true }),
  sphere("empty", "New pier", { members: 1, role: "owner", seq: 1, epoch: 1 }),
  sphere("rtl", "خطة الميناء", { members: 2 }),
  sphere("long", "A sphere whose title somebody wrote without thinking of narrow panes and small telephones at all", { unread: 1200 }),
];

export const PEOPLE: readonly Person[] = [
  person("di", "Di", { me: true, role: "owner", known: "confirmed in person" }),
  person("ada", "Ada", { role: "owner", known: "confirmed in person" }),
  person("bo", "Bo", { role: "admin", known: "came by a link" }),
  person("eve", "Eve", { changed: true }),
  person("eve2", "Eve", { login: "evе", role: "guest" }),
];

export function person(id: string, name: string, more: Partial<Person> = {}): Person {
  return {
    id: `id-${id}`, name, login: id, petname: "", nickname: "", role: "member", devices: ["dv-1"], known: "not confirmed", me: false, changed: false,
    ...more,
  };
}

let made = 0;
export function message(sph: string, author: string, text: string, more: Partial<Message> = {}): Message {
  made += 1;
  return {
    sph, mid: `m${made}`, cid: `c${made}`, pos: made, author: `id-${author.toLowerCase()}`, name: author, dv: "dv-x", seq: made, epoch: 7,
    at: NOW - HOUR + made * 60, kind: "text", text, re: "", edited: false, deleted: false, reactions: [], state: "sent", code: "", open: false,
    mine: author === "Di", unread: false, ...more,
  };
}

export function row(message: Message, comments = 0, unreadComments = 0): Row {
  return { row: "message", key: message.cid, message, comments, unreadComments };
}

export function notice(sph: string, op: string, more: Partial<Notice> = {}): Row {
  made += 1;
  const one: Notice = {
    sph, pos: made, seq: made, at: NOW - HOUR + made * 60, op, by: "id-ada", byName: "Ada", who: "", whoName: "", mine: false, epoch: 0, role: "",
    mode: "", why: [], ...more,
  };
  return { row: "notice", key: `n${made}`, notice: one };
}

const LONG = `Three things before Friday:

1. **Which port**, north or south
2. Who brings the \`rope\`
3. Whether _Noor_ comes

> The north one has a crane.

See https://tides.example/harbour?day=friday and [the plan](https://plan.example/x), @Di.

\`\`\`
low   04:12
high  10:31
\`\`\``;

export const ROWS: readonly Row[] = [
  row(message("harbour", "Ada", "Which port do we use?", { at: NOW - 2 * DAY }), 3, 1),
  row(message("harbour", "Bo", "I looked at both. The charts are old.", { at: NOW - 2 * DAY + 300, reactions: [["👍", ["id-ada", "id-di"]], ["⚓", ["id-bo"]]] })),
  notice("harbour", "remove", { who: "id-cy", whoName: "Cy", epoch: 7, why: ["left"] }),
  row(message("harbour", "Ada", "", { state: "unreadable", code: "C_KEY_UNKNOWN", epoch: 3 })),
  row(message("harbour", "Bo", "", { state: "damaged", code: "C_DECRYPT" })),
  { row: "gap", key: "g1", gap: { sph: "harbour", pos: 7, dv: "dv-x", name: "Bo", missing: 2 } },
  row(message("harbour", "Di", LONG)),
  row(message("harbour", "Ada", "", { deleted: true })),
  row(message("harbour", "נועה", "שלום, מה שלומך? See you at 10.", { unread: true })),
  row(message("harbour", "Bo", "Agreed.", { edited: true, unread: true })),
  row(message("harbour", "Di", "On my way.", { state: "waiting", pos: 0 })),
];

const ferry = message("square", "Ada", "**Ferry at nine**, from the north quay. Bring the charts.", { open: true, at: NOW - DAY });
export const PUBLIC: readonly Message[] = [
  ferry,
  message("square", "Bo", "And back?", { open: true, re: ferry.mid, at: NOW - DAY + 300 }),
  message("square", "Eve", "Soup or stew?", { open: true, edited: true, at: NOW - HOUR }),
];
export const OUTBOX: readonly OutboxItem[] = [
  { id: "o1", sph: "harbour", kind: "text", text: "On my way.", at: NOW - 60, state: "waiting", question: "", code: "" },
  { id: "o2", sph: "canteen", kind: "text", text: "The soup was good.", at: NOW - 300, state: "held", question: "open", code: "" },
  { id: "o3", sph: "board", kind: "text", text: "A text that was too long.", at: NOW - 900, state: "failed", question: "", code: "E_TOO_LARGE" },
];

const SAFETY = "41982 77310 05526 90314 66201 18847 22095 31178 64520 73361 50944 08812";
export const REQUESTS: readonly Request[] = [
  { hash: "h1", sph: "board", name: "Fay", id: "id-fay", byLink: true, role: "member", at: NOW - 600, exp: NOW + DAY, safety: SAFETY, code: "" },
  { hash: "h2", sph: "board", name: "Gus", id: "id-gus", byLink: false, role: "member", at: NOW - 400, exp: NOW + DAY, safety: SAFETY, code: "" },
];
export const PENDING: readonly Pending[] = [{ hash: "p1", sph: "harbour", label: "Harbour plan", state: "asked", safety: "" }];
export const COMPARED: readonly Pending[] = [{ hash: "p1", sph: "harbour", label: "", state: "asked", safety: SAFETY }];
export const INVITES: readonly InviteInfo[] = [
  { jti: "j1", by: "id-di", role: "member", usesLeft: 2, exp: NOW + 3 * DAY, admit: "ask", mine: true },
  { jti: "j2", by: "id-bo", role: "guest", usesLeft: 1, exp: NOW + HOUR, admit: "auto", mine: false },
];
export const INVITATIONS: readonly Invitation[] = [
  { id: "i1", sph: "sp-pier", label: "Pier repairs", by: "id-bo", name: "Bo", via: "harbour", at: NOW - 1800 },
];
export const CANDIDATES: readonly Person[] = [person("hal", "Hal"), person("ida", "Ida", { known: "confirmed in person" })];
export const DEVICES: readonly DeviceInfo[] = [
  { dv: "dv-here", name: "Firefox on Linux", active: true, here: true, since: NOW - 40 * DAY },
  { dv: "dv-phone", name: "Chrome on Android", active: true, here: false, since: NOW - 3 * DAY },
  { dv: "dv-old", name: "The laptop that was stolen", active: false, here: false, since: NOW - 400 * DAY },
];
export const SESSIONS: readonly SessionInfo[] = [
  { n: "1", dv: "dv-here", since: NOW - DAY, seen: NOW, here: true },
  { n: "2", dv: "dv-phone", since: NOW - 3 * DAY, seen: NOW - 2 * HOUR, here: false },
];
export const LOG: readonly LogLine[] = ["create", "add", "invite", "epoch", "role", "remove"].map((op, n) => ({
  seq: 118 - n, op, by: "id-ada", name: "Ada", dv: "dv-x", at: NOW - n * DAY, digest: "9f2c71e0aa31bb52", body: { op, who: "id-cy" }, what: op,
}));
