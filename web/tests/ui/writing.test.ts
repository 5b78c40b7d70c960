/** Keys of the composer, mentions, how encrypted and open differ, what a stop offers; the inbox in order (WEB-062, WEB-063, WEB-064). */

import { describe, expect, test } from "vitest";

import type { Message, OutboxItem, Person, Row, SphereInfo, Stop } from "../../src/client/records.ts";
import { around } from "../../src/ui/inbox/hits.ts";
import { groupsOf, stale, waitingOf } from "../../src/ui/inbox/waiting.ts";
import { wordsOf } from "../../src/ui/faults.ts";
import { notesOf } from "../../src/ui/sphere/notes.ts";
import { hasEvidence, stopWords } from "../../src/ui/sphere/stops.ts";
import { actOf, carriers, handle, heldOf, meant, mentionAt, mentioned, sendable } from "../../src/ui/sphere/writing.ts";

const press = (key: string, more: Record<string, boolean> = {}) => ({
  key, ctrlKey: false, metaKey: false, shiftKey: false, altKey: false, isComposing: false, ...more,
});
const person = (name: string, more: Partial<Person> = {}): Person => ({
  id: `id-${name}`, name, login: name.toLowerCase().replace(/\W/g, ""), petname: "", nickname: "", role: "member", devices: [], known: "not confirmed",
  me: false, changed: false, ...more,
});
const sphere = (more: Partial<SphereInfo> = {}): SphereInfo => ({
  sph: "s", title: "Harbour", topic: "", icon: "", status: "active", mode: "e2ee", delivery: "pairwise", custody: "synced", epoch: 1, haveKey: true,
  members: 4, role: "member", unread: 0, waiting: 0, requests: 0, seq: 1, marked: false, confirmedByInviter: true, stop: undefined, label: "",
  provisional: false, switched: undefined, onlyHere: false, saved: 0,
  kind: "sphere", org: "", kemMin: "xwing", tooWeak: false, ...more,
});

describe("keys in the composer", () => {
  test("Enter sends or begins a line, as it is set; Ctrl Enter always sends", () => {
    expect(actOf(press("Enter"), "x", true, false)).toBe("send");
    expect(actOf(press("Enter", { shiftKey: true }), "x", true, false)).toBe("line");
    expect(actOf(press("Enter"), "x", false, false)).toBe("line");
    expect(actOf(press("Enter", { ctrlKey: true }), "x", false, false)).toBe("send");
    expect(actOf(press("Enter", { metaKey: true }), "x", false, false)).toBe("send");
  });
  test("nothing happens while a word is being composed", () => {
    expect(actOf(press("Enter", { isComposing: true }), "x", true, false)).toBeUndefined();
  });
  test("the arrow changes the last own text only from an empty field, and Esc leaves it", () => {
    expect(actOf(press("ArrowUp"), "", true, false)).toBe("edit-last");
    expect(actOf(press("ArrowUp"), "x", true, false)).toBeUndefined();
    expect(actOf(press("ArrowUp"), "", true, true)).toBeUndefined();
    expect(actOf(press("ArrowUp", { altKey: true }), "", true, false)).toBeUndefined();
    expect(actOf(press("Escape"), "x", true, true)).toBe("leave");
    expect(actOf(press("Escape"), "x", true, false)).toBeUndefined();
  });
  test("empty lines around a text do not go, spaces before its first word do", () => {
    expect(sendable("\n  \n  one\ntwo \n\n")).toBe("  one\ntwo");
    expect(sendable(" \n\t ")).toBe("");
  });
});

describe("mentions", () => {
  const people = [person("Ada"), person("Bo"), person("Adam Smith"), person("Di", { me: true })];

  test("begin at an @ that begins a word", () => {
    expect(mentionAt("hello @Ad", 9)).toEqual({ at: 6, typed: "Ad" });
    expect(mentionAt("@", 1)).toEqual({ at: 0, typed: "" });
    expect(mentionAt("me@example", 10)).toBeUndefined();
    expect(mentionAt("@Ada went", 9)).toBeUndefined();
    expect(mentionAt("@Ada went", 3)).toEqual({ at: 0, typed: "Ad" });
  });
  test("offer others by name or login, and put one word", () => {
    expect(meant(people, "ad").map((one) => one.name)).toEqual(["Ada", "Adam Smith"]);
    expect(meant(people, "")).toHaveLength(3);
    expect([handle(people[0]!), handle(people[2]!)]).toEqual(["Ada", "adamsmith"]);
    expect(mentioned("hi @Ad, you", { at: 3, typed: "Ad" }, 6, people[0]!)).toEqual({ text: "hi @Ada , you", caret: 8 });
    expect(mentioned("@a b", { at: 0, typed: "a" }, 2, people[0]!)).toEqual({ text: "@Ada b", caret: 5 });
  });
});

describe("encrypted and open differ", () => {
  test("in the words of field and button at once, for messages and comments", () => {
    const closed = carriers(sphere(), false, false);
    const open = carriers(sphere({ mode: "open" }), false, false);
    expect(closed).toEqual({ open: false, placeholder: "Message, encrypted for 4 people", short: "Message, encrypted", send: "Send" });
    expect(open).toEqual({ open: true, placeholder: "Open message, the server can read it", short: "Open message", send: "Send openly" });
    expect(carriers(sphere({ org: "firm" }), false, false, "Firm").placeholder).toBe("Message, encrypted for those in Firm");
    expect(carriers(sphere({ org: "firm", mode: "open" }), false, false, "Firm").placeholder).toBe(open.placeholder);
    expect(carriers(sphere({ members: 1 }), true, false).placeholder).toContain("Comment");
    expect(carriers(sphere({ mode: "public" }), true, false).open).toBe(true);
    expect(carriers(sphere(), false, true).send).toBe("Save");
  });
});

describe("stops", () => {
  const stop = (code: string, more: Partial<Stop> = {}): Stop => ({ sph: "s", code, detail: "", at: 0, acknowledgeable: false, data: {}, ...more });

  test("a changed person is named, and may be carried on with", () => {
    const found = stopWords(stop("C_KEY_CHANGED", { detail: "Eve: of: identity", acknowledgeable: true }));
    expect(found).toEqual({ code: "stop.key-changed", values: { name: "Eve: of" } });
    expect(wordsOf(found.code, found.values).actions).toEqual(["Compare", "Carry on"]);
    expect(stopWords(stop("C_KEY_CHANGED")).code).toBe("C_KEY_CHANGED");
  });
  test("a fork is never offered to be clicked away; a rollback only once it healed", () => {
    expect(stopWords(stop("C_LOG_FORK", { acknowledgeable: true })).code).toBe("C_LOG_FORK");
    expect(wordsOf("C_LOG_FORK").actions).not.toContain("Go on");
    expect(wordsOf(stopWords(stop("C_LOG_ROLLBACK")).code).actions).not.toContain("Go on");
    expect(wordsOf(stopWords(stop("C_LOG_ROLLBACK", { acknowledgeable: true })).code).actions).toContain("Go on");
    expect([hasEvidence(stop("C_LOG_FORK")), hasEvidence(stop("C_KEY_CHANGED"))]).toEqual([true, false]);
  });
  test("the list says the weightiest first, and nothing where all is well", () => {
    expect(notesOf(sphere())).toEqual([]);
    expect(notesOf(sphere({ kind: "org" })).concat(notesOf(sphere({ org: "firm" }), "Firm")).map((one) => one.text)).toEqual(["organisation", "Firm"]);
    const many = notesOf(sphere({ stop: stop("C_LOG_FORK"), mode: "open", requests: 1, waiting: 2 }));
    expect(many.map((one) => one.kind)).toEqual(["stop", "", "", "open"]);
  });
});

describe("the inbox", () => {
  const item = (id: string, state: OutboxItem["state"]): OutboxItem => ({ id, sph: "s", kind: "msg", text: "", at: 0, state, question: "", code: "" });
  const message = (pos: number, more: Partial<Message> = {}): Message => ({
    sph: "s", mid: `mid${pos}`, cid: "", pos, author: "", name: "Bo", dv: "", seq: 0, epoch: 0, at: pos, kind: "msg", text: "", re: "", edited: false,
    deleted: false, reactions: [], state: "sent", code: "", open: false, mine: false, unread: true, ...more,
  });
  const row = (pos: number, news = 0, more: Partial<Message> = {}): Row =>
    ({ row: "message", key: `m${pos}`, message: message(pos, more), comments: news, unreadComments: news });

  test("is by sphere, then by thread", () => {
    const [group] = groupsOf([{ sphere: sphere({ unread: 7 }), rows: [row(1, 2, { unread: false }), row(2), row(3), row(4), row(5)] }]);
    expect(group!.entries.map((one) => [one.thread, one.count, one.messages.map((found) => found.pos)])).toEqual([
      ["", 5, [2, 3, 4]], ["mid1", 2, [1]],
    ]);
  });
  test("new comments of a message that is not in the page count for the sphere", () => {
    const [group] = groupsOf([{ sphere: sphere({ unread: 1 }), rows: [row(9, 0, { unread: false })] }]);
    expect(group!.entries).toMatchObject([{ thread: "", count: 1, messages: [] }]);
  });
  test("what asks comes first in the outbox, then what failed", () => {
    expect(waitingOf([item("a", "waiting"), item("b", "failed"), item("c", "held"), item("d", "waiting")]).map((one) => one.id)).toEqual(["c", "b", "a", "d"]);
    expect(heldOf([item("a", "waiting"), item("c", "held")], "s")?.id).toBe("c");
    expect(heldOf([item("c", "held")], "t")).toBeUndefined();
  });
  test("many old ones are offered to be marked", () => {
    const now = 30 * 86_400;
    const of = (unread: number, at: number) => groupsOf([{ sphere: sphere({ unread }), rows: [row(1, 0, { at })] }]);
    expect(stale(of(300, now - 8 * 86_400), now)).toHaveLength(1);
    expect(stale(of(300, now - 86_400), now)).toEqual([]);
    expect(stale(of(20, now - 8 * 86_400), now)).toEqual([]);
  });
});

describe("found texts", () => {
  const shown = (text: string, words: string): string => around(text, words).map((one) => (one.hit ? `[${one.text}]` : one.text)).join("");

  test("show the words as they are found, whatever their case and accents", () => {
    expect(shown("Which PORT do we use?", "port")).toBe("Which [PORT] do we use?");
    expect(shown("Café at the café", "cafe the")).toBe("[Café] at [the] [café]");
    expect(shown("nothing", "zzz")).toBe("nothing");
  });
  test("show the place where they stand in a long text", () => {
    const found = shown(`${"word ".repeat(80)}port ahead ${"word ".repeat(80)}`, "port");
    expect(found.startsWith("… ")).toBe(true);
    expect(found).toContain("[port] ahead");
    expect(found.length).toBeLessThan(200);
  });
});
