/**
 * Links as people paste them: whole ones are found, parts and others are refused, nothing is repaired (INV-003, INV-004, WEB-042).
 */

import { describe, expect, test } from "vitest";

import { parseLink, readLink } from "../../src/client/links.ts";
import { UsageError } from "../../src/errors.ts";
import { b64e } from "../../src/protocol/encoding.ts";
import { type Link, emit } from "../../src/sphere/invitation.ts";

const ORIGIN = "https://cloister.example";
const bytes = (length: number, from: number): Uint8Array<ArrayBuffer> => Uint8Array.from({ length }, (_, at) => (at * 37 + from) % 256);
const made: Link = {
  kind: "invite", origin: ORIGIN, sph: `sp-${b64e(bytes(32, 1))}`, jti: bytes(16, 2), seed: bytes(32, 3), seq: 7, pin: bytes(16, 4),
  label: "Harbour plan",
};
const url = emit(made);
const fragment = url.slice(url.indexOf("#"));

describe("a whole link is found", () => {
  test.each([
    ["as it is", url],
    ["with white space around", `  \n${url}\t `],
    ["in angle brackets", `<${url}>`],
    ["in quotes, with a full stop", `"${url}".`],
    ["broken by a mail program", `${url.slice(0, 72)}\r\n${url.slice(72, 144)}\r\n${url.slice(144)}`],
    ["broken and quoted in brackets", `<${url.slice(0, 60)}\n   ${url.slice(60)}>`],
    ["inside a sentence", `Come in by ${url} before Friday, please`],
    ["with a soft hyphen and a zero-width space", `${url.slice(0, 50)}\u200b${url.slice(50, 90)}\u00ad${url.slice(90)}`],
    ["the fragment alone", fragment],
    ["the fragment without its sign", fragment.slice(1)],
    ["the fragment in words", `the code is ${fragment} ok`],
  ])("%s", (_, text) => {
    expect(parseLink(ORIGIN, text)).toEqual(made);
  });

  test("one that only asks", () => {
    const ask = `${ORIGIN}/j#${made.sph}`;
    expect(parseLink(ORIGIN, ` ${ask} `)).toMatchObject({ kind: "ask", sph: made.sph });
    expect(readLink(ORIGIN, ask)).toEqual({ kind: "person", origin: ORIGIN, sph: made.sph, label: "" });
  });

  test("what the page learns holds no secret", () => {
    const info = readLink(ORIGIN, `<${url}>`);
    expect(info).toEqual({ kind: "invite", origin: ORIGIN, sph: made.sph, label: "Harbour plan" });
    expect(JSON.stringify(info)).not.toContain(b64e(made.seed));
  });
});

describe("refused", () => {
  const parts = fragment.split("~");
  test.each([
    ["nothing", ""],
    ["another text", "see you at the harbour"],
    ["a link cut off within its secret", url.slice(0, url.indexOf("~") + 40)],
    ["a part too short", `${ORIGIN}/j${[...parts.slice(0, 2), parts[2]!.slice(1), ...parts.slice(3)].join("~")}`],
    ["a changed sphere", `${ORIGIN}/j${fragment.replace("#sp-", "#sq-")}`],
    ["one to read by", `${ORIGIN}/p#${made.sph}~7~${b64e(made.pin)}`],
    ["another server's", url.replace("cloister.example", "cloister.test")],
    ["a flood", `${"x".repeat(200_000)}${url}`],
  ])("%s", (_, text) => {
    expect(() => parseLink(ORIGIN, text)).toThrow(UsageError);
  });
});
