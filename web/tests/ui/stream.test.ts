/** Rows to lines: days, names, closed messages, acts told once; pages put together; own changes at once (WEB-061). */

import { describe, expect, test } from "vitest";

import type { LogLine, Message, Notice, OutboxItem, Row } from "../../src/client/records.ts";
import { choices, deeds } from "../../src/ui/sphere/choices.ts";
import { closedBy } from "../../src/ui/sphere/closed.ts";
import { linesOf } from "../../src/ui/sphere/lines.ts";
import type { Line } from "../../src/ui/sphere/lines.ts";
import { firstPos, keyOf, lastPos, tailPos, withNewer, withOlder, withRow, withTail, withWritten } from "../../src/ui/sphere/merge.ts";
import { byMessage, overlaid, reacted } from "../../src/ui/sphere/overlay.ts";
import { guessOf, nameOf, oddOf } from "../../src/ui/sphere/spoken.ts";
import { told } from "../../src/ui/sphere/told.ts";

const NOON = 1_700_000_000;

function message(pos: number, more: Partial<Message> = {}): Message {
  return {
    sph: "s", mid: `mid${pos}`, cid: `cid${pos}`, pos, author: "id-bo", name: "Bo", dv: "dv", seq: pos, epoch: 2, at: NOON + pos, kind: "msg",
    text: `text ${pos}`, re: "", edited: false, deleted: false, reactions: [], state: "sent", code: "", open: false, mine: false, unread: false, ...more,
  };
}
function row(pos: number, more: Partial<Message> = {}, comments = 0, news = 0): Row {
  const one = message(pos, more);
  return { row: "message", key: pos > 0 ? `m${pos}` : one.cid, message: one, comments, unreadComments: news };
}
function notice(pos: number, op: string, more: Partial<Notice> = {}): Row {
  const one: Notice = {
    sph: "s", pos, seq: pos, at: NOON + pos, op, by: "id-ada", byName: "Ada", who: "id-ada", whoName: "Ada", mine: false, epoch: 3, role: "",
    mode: "", why: [], ...more,
  };
  return { row: "notice", key: `e${pos}`, notice: one };
}
const heads = (lines: readonly Line[]): boolean[] => lines.map((line) => line.is === "message" && line.head);
const texts = (lines: readonly Line[]): string[] => lines.map((line) => (line.is === "notice" ? line.told.text : line.is));

describe("lines", () => {
  test("texts of one author within five minutes stand under one name", () => {
    const rows = [row(1), row(2), row(3, { author: "id-ada", name: "Ada" }), row(4), row(400), row(401, { state: "damaged" }), row(402)];
    expect(heads(linesOf(rows))).toEqual([true, false, true, true, true, true, true]);
  });

  test("a text in clear between encrypted ones has a name of its own", () => {
    expect(heads(linesOf([row(1), row(2, { open: true }), row(3, { open: true })]))).toEqual([true, true, false]);
  });

  test("each day is named once, the first of them too, and begins with a name", () => {
    const lines = linesOf([row(1), row(2), row(3, { at: NOON + 86_400 }), row(4, { at: NOON + 86_401 })]);
    expect(lines.map((line) => line.day !== undefined)).toEqual([true, false, true, false]);
    expect(heads(lines)).toEqual([true, false, true, false]);
  });

  test("the first one not read is marked and has a name", () => {
    const lines = linesOf([row(1), row(2), row(3)], { firstUnread: "m2" });
    expect(lines.map((line) => line.fresh)).toEqual([false, true, false]);
    expect(heads(lines)).toEqual([true, true, false]);
  });

  test("closed messages are one line for each reason, named by the last so that older ones may come", () => {
    const closed = (epoch: number) => (epoch < 2 ? "before" : "key") as "before" | "key";
    const shut = (pos: number, epoch: number) => row(pos, { state: "unreadable", epoch });
    const rows = [shut(2, 1), shut(3, 1), shut(4, 2), row(5), shut(6, 2)];
    const lines = linesOf(rows, { closed });
    expect(lines.map((line) => (line.is === "closed" ? [line.key, line.why, line.count] : line.is))).toEqual([
      ["m3", "before", 2], ["m4", "key", 1], "message", ["m6", "key", 1],
    ]);
    expect(linesOf([shut(1, 1), ...rows], { closed })[0]!.key).toBe("m3");
  });
});

test("a message without a good signature is damaged, and can be asked for; one of another history is set aside", () => {
  expect(oddOf(message(1, { state: "quarantined", code: "C_SIG" }))).toBe("damaged");
  expect(oddOf(message(1, { state: "quarantined", code: "C_LOG_FORK" }))).toBe("quarantined");
  expect(oddOf(message(1, { state: "damaged", code: "C_DECRYPT" }))).toBe("damaged");
  expect(oddOf(message(1))).toBeUndefined();
});

describe("notices", () => {
  test("one act of the log is told once", () => {
    const made = [notice(1, "create"), notice(1.5, "epoch", { why: ["first"], epoch: 1 }), notice(2, "meta")];
    expect(texts(linesOf(made))).toEqual(["Ada made this sphere."]);
    const removed = [notice(5, "remove", { whoName: "Cy", who: "id-cy" }), notice(6, "epoch", { why: ["removed"] })];
    const [text] = texts(linesOf(removed));
    expect(text).toContain("Ada removed Cy. A new key is in use");
    expect(linesOf(removed)).toHaveLength(1);
  });

  test("a new key of somebody else, or later, has its own line", () => {
    const rows = [notice(5, "remove", { whoName: "Cy", who: "id-cy" }), notice(90, "epoch", { why: ["period"], epoch: 4 })];
    expect(texts(linesOf(rows))[1]).toBe("New key 4: the usual change.");
    const other = [notice(5, "mode", { mode: "open" }), notice(6, "epoch", { by: "id-bo", byName: "Bo", why: ["asked"], epoch: 4 })];
    expect(texts(linesOf(other))[1]).toBe("Bo made key 4.");
  });

  test("the key made because somebody left says who", () => {
    const rows = [notice(1, "leave", { by: "id-cy", byName: "Cy", who: "id-cy", whoName: "Cy" }), row(2), notice(60, "epoch", { why: ["left"], epoch: 7 })];
    expect(texts(linesOf(rows))).toEqual(["Cy left.", "message", "New key 7: Cy left, and cannot read what follows."]);
    const removed = [notice(1, "leave", { byName: "Cy" }), notice(60, "epoch", { why: ["left", "removed"] })];
    expect(texts(linesOf(removed))[1]).toContain("somebody was removed");
  });

  test("where the keys come from an organisation's nothing is said about what somebody cannot read (CLT-062)", () => {
    const rows = [
      notice(1, "remove", { whoName: "Cy", who: "id-cy" }), row(2), notice(60, "epoch", { why: ["removed"], epoch: 4 }), row(61),
      notice(90, "leave", { by: "id-bo", byName: "Bo", who: "id-bo", whoName: "Bo" }), row(91), notice(150, "epoch", { why: ["left"], epoch: 5 }),
      row(151), notice(200, "epoch", { why: ["device"], epoch: 6 }),
    ];
    const promises = /cannot read|can read nothing|keeps what/;
    expect(texts(linesOf(rows, { org: true })).join(" ")).not.toMatch(promises);
    expect(texts(linesOf(rows)).filter((text) => promises.test(text))).toHaveLength(4);
  });

  test("every operation has words, own acts say you, and only the end of encryption has its colour", () => {
    const ops = ["create", "add", "remove", "leave", "role", "mode", "delivery", "custody", "policy", "meta", "epoch", "device add", "device revoke", "identity"];
    for (const op of ops) {
      const one = (notice(1, op, { who: "id-cy", whoName: "Cy", role: "admin", mode: "e2ee" }) as Row & { row: "notice" }).notice;
      expect(told(one).text).not.toBe("Ada changed something in this sphere.");
      expect(told({ ...one, mine: true, byName: "Di" }).text).not.toContain("Di ");
      expect(told({ ...one, mode: "open" }).open).toBe(op === "mode");
    }
    const odd = (notice(1, "complaint") as Row & { row: "notice" }).notice;
    expect(told(odd).text).toBe("Ada changed something in this sphere.");
  });
});

describe("why messages are closed", () => {
  const line = (seq: number, op: string, body: Record<string, unknown> = {}): LogLine => ({ seq, op, by: "", name: "", dv: "", at: 0, digest: "", body, what: op });
  const log = (history: string): LogLine[] => [
    line(0, "create", { policy: { history } }), line(1, "epoch", { n: 1 }), line(5, "add", { id: "me" }), line(6, "epoch", { n: 2 }), line(9, "epoch", { n: 3 }),
  ];

  test("from before somebody came in, where newcomers are not given what was", () => {
    expect([1, 2, 3, 9].map(closedBy(log("since-join"), "me"))).toEqual(["before", "key", "key", "key"]);
  });
  test("else the key is on its way", () => {
    expect([1, 2].map(closedBy(log("all"), "me"))).toEqual(["key", "key"]);
    expect([1, 2].map(closedBy(log("since-join"), "somebody"))).toEqual(["key", "key"]);
  });
  test("what counts is the rule of that moment", () => {
    const later = [...log("since-join"), line(10, "policy", { policy: { history: "all" } })];
    expect(closedBy(later, "me")(1)).toBe("before");
  });
});

describe("pages", () => {
  const waits = (cid: string): Row => row(0, { cid, mid: "", state: "waiting" });

  test("older and newer rows join without doubling any", () => {
    const rows = [row(3), row(4)];
    expect(withOlder(rows, [row(1), row(2), row(3)]).map((one) => one.key)).toEqual(["m1", "m2", "m3", "m4"]);
    expect(withNewer(rows, [row(4), row(5)]).map((one) => one.key)).toEqual(["m3", "m4", "m5"]);
    expect([firstPos(rows), lastPos(rows), lastPos([waits("a")])]).toEqual([3, 4, undefined]);
  });

  test("a text that waited keeps its key once it is sent, and stands where the relay put it", () => {
    const rows = [row(3), waits("mine")];
    const sent: Row = { ...(row(5, { mine: true }) as Row & { row: "message" }), key: "mine" };
    expect(withNewer(rows, [row(4), sent]).map((one) => one.key)).toEqual(["m3", "m4", "mine"]);
    expect(withNewer(rows, []).map((one) => one.key)).toEqual(["m3"]);
  });

  test("somebody's text that comes after an own one of a higher position stands before it", () => {
    const mine: Row = { ...(row(12, { mine: true }) as Row & { row: "message" }), key: "mine" };
    const rows = [row(8), row(9), row(10), mine];
    const after = tailPos(rows, 2);
    expect(after).toBe(9);
    expect(withTail(rows, after, [row(10), row(11), mine]).map((one) => one.key)).toEqual(["m8", "m9", "m10", "m11", "mine"]);
    expect(tailPos([row(8)], 24)).toBe(7);
    expect(tailPos([], 24)).toBe(0);
  });

  test("a written text is at the end at once, and only once", () => {
    const one = message(0, { cid: "new", state: "waiting" });
    expect(withWritten([row(1)], one).map((found) => found.key)).toEqual(["m1", "new"]);
    expect(withWritten([row(1), waits("new")], one)).toHaveLength(2);
  });

  test("one row changes or goes", () => {
    const rows = [row(1), row(2)];
    expect(withRow(rows, "m2", row(2, { text: "other" }))[1]).toMatchObject({ message: { text: "other" } });
    expect(withRow(rows, "m2", undefined)).toHaveLength(1);
    expect(withRow(rows, "m9", row(9))).toBe(rows);
    expect(keyOf(rows, "mid2")).toBe("m2");
  });
});

describe("own changes on their way", () => {
  const item = (more: Partial<OutboxItem>): OutboxItem => ({ id: "o1", sph: "s", kind: "msg", text: "", at: 0, state: "waiting", question: "", code: "", ...more });
  const laid = (one: Message, ...items: OutboxItem[]) => overlaid(one, byMessage(items, "s"), "Di");

  test("an edit, a deletion and a reaction show before they are sent", () => {
    const edit = laid(message(1), item({ kind: "edit", re: "mid1", text: "better" }));
    expect([edit.message.text, edit.message.edited, edit.item?.kind]).toEqual(["better", true, "edit"]);
    expect(laid(message(1), item({ kind: "delete", re: "mid1" })).going).toBe(true);
    expect(laid(message(1), item({ kind: "react", re: "mid1", text: "👍" })).message.reactions).toEqual([["👍", ["Di"]]]);
    const given = message(1, { reactions: [["👍", ["Bo", "Di"]], ["⚓", ["Di"]]] });
    expect(laid(given, item({ kind: "react", re: "mid1", text: "⚓" })).message.reactions).toEqual([["👍", ["Bo", "Di"]]]);
    expect(reacted(given.reactions, "👍", "Di")).toBe(true);
  });

  test("what failed is not shown as done, and says so", () => {
    const failed = laid(message(1), item({ kind: "edit", re: "mid1", text: "better", state: "failed" }));
    expect([failed.message.text, failed.item?.state]).toEqual(["text 1", "failed"]);
  });

  test("a waiting text finds its item; others and other spheres change nothing", () => {
    const one = message(0, { cid: "o1", mid: "", state: "waiting" });
    expect(laid(one, item({})).item?.id).toBe("o1");
    expect(laid(message(1), item({ kind: "comment", re: "mid1" })).item).toBeUndefined();
    expect(overlaid(message(1), byMessage([item({ kind: "delete", re: "mid1", sph: "t" })], "s"), "Di").going).toBe(false);
  });
});

describe("names of rows", () => {
  const line = (one: Row): Line => linesOf([one])[0]!;

  test("say who, when, what and what is special", () => {
    expect(nameOf(line(row(1, { edited: true, open: true, text: "charts" }, 3, 1)))).toMatch(/^Bo, \d\d:\d\d, charts, edited, open, 3 comments, 1 new$/);
    expect(nameOf(line(row(1, { deleted: true, text: "" })))).toMatch(/, deleted$/);
    expect(nameOf(line(row(1, { state: "damaged", text: "" })))).toContain("did not pass its check");
  });
  test("do not tell what is covered", () => {
    expect(nameOf(line(row(1, { text: "secret" })), true)).not.toContain("secret");
  });
  test("a longer text is guessed higher", () => {
    expect(guessOf(line(row(1, { text: "x".repeat(700) })))).toBeGreaterThan(guessOf(line(row(1))) + 8);
  });
});

describe("what can be done with a message", () => {
  const can = { thread: false, writes: true, moderates: false };

  test("follows who wrote it, who asks, and whether sending is open", () => {
    expect(deeds(message(1), can)).toEqual(["comment", "copy", "link", "server"]);
    expect(deeds(message(1, { mine: true }), can)).toEqual(["comment", "edit", "copy", "link", "server", "delete"]);
    expect(deeds(message(1), { ...can, moderates: true })).toContain("delete");
    expect(deeds(message(1), { ...can, moderates: true })).not.toContain("edit");
    expect(deeds(message(1, { mine: true }), { ...can, writes: false })).toEqual(["comment", "copy", "link", "server"]);
    expect(deeds(message(1), { ...can, thread: true })).not.toContain("comment");
    expect(deeds(message(1, { state: "damaged", mine: true }), can)).toEqual(["link", "server"]);
  });

  test("each has words, and only deleting looks like it", () => {
    const done: string[] = [];
    const found = choices(message(1, { mine: true }), can, (deed) => done.push(deed));
    expect(found.filter((one) => one.stop).map((one) => one.label)).toEqual(["Delete"]);
    found.forEach((one) => one.run());
    expect(done).toEqual(["comment", "edit", "copy", "link", "server", "delete"]);
  });
});
