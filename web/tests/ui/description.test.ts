/**
 * What leaves a browser of a description, and what a browser is given of another: names of the local network, no address,
 * nothing else (LIVE-015, LIVE-016).
 */

import { readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

import ts from "typescript";
import { describe as group, expect, test } from "vitest";

import { describe, wayOf } from "../../src/ui/description.ts";

const NAME = "5992e309-f1cb-4f89-ae78-c0e528fbe1db";
const PRINT = Array.from({ length: 32 }, (_, n) => (n + 160).toString(16).toUpperCase()).join(":");
const PWD = "GHT1dGBPLm+X22wSnFF8XFwD";
const good = `candidate:3265184289 1 udp 2113937151 ${NAME}.local 43499 typ host generation 0 network-cost 999`;

const bytes = (name: string): number[] =>
  [...name.replaceAll("-", "").matchAll(/../g)].map(([two]) => Number.parseInt(two, 16));

/** A description as browsers write it, with these candidates. */
function written(...candidates: string[]): string {
  const lines = [
    "v=0", "o=- 6264234247300872366 2 IN IP4 127.0.0.1", "s=-", "t=0 0", "a=group:BUNDLE 0", "a=extmap-allow-mixed",
    "m=application 9 UDP/DTLS/SCTP webrtc-datachannel", "c=IN IP4 203.0.113.7", ...candidates.map((one) => `a=${one}`),
    "a=ice-ufrag:C8di", `a=ice-pwd:${PWD}`, "a=ice-options:trickle", `a=fingerprint:sha-256 ${PRINT}`, "a=setup:actpass",
    "a=mid:0", "a=sctp-port:5000", "a=max-message-size:262144",
  ];
  return lines.map((line) => `${line}\r\n`).join("");
}

/** Candidates that show, or could be made to show, where a machine is. */
const SHOWING = [
  "candidate:1 1 udp 2122260223 192.168.1.17 50000 typ host generation 0",
  "candidate:1 1 udp 2122260223 10.0.0.1 50000 typ host",
  "candidate:1 1 udp 2122260223 fe80::fc:ff:fe00:1 50000 typ host",
  "candidate:1 1 udp 2122260223 ::ffff:192.168.1.17 50000 typ host",
  "candidate:1 1 udp 2122260223 3232235793 50000 typ host",
  "candidate:1 1 udp 1686052607 198.51.100.4 50000 typ srflx raddr 192.168.1.17 rport 50000",
  `candidate:1 1 udp 1686052607 ${NAME}.local 50000 typ srflx raddr 192.168.1.17 rport 50000`,
  `candidate:1 1 udp 41885439 ${NAME}.local 50000 typ relay raddr 192.168.1.17 rport 50000`,
  `candidate:1 1 udp 1686052607 ${NAME}.local 50000 typ prflx`,
  "candidate:1 1 tcp 1518280447 192.168.1.17 9 typ host tcptype active",
  `candidate:1 1 tcp 1518280447 ${NAME}.local 9 typ host tcptype active`,
  `candidate:1 2 udp 2113937151 ${NAME}.local 43499 typ host`,
  "candidate:1 1 udp 2113937151 ada-laptop.local 43499 typ host",
  "candidate:1 1 udp 2113937151 ada.example.org 43499 typ host",
  `candidate:1 1 udp 2113937151 ${NAME}.local.example.org 43499 typ host`,
  `candidate:1 1 udp 2113937151 192.168.1.17.${NAME}.local 43499 typ host`,
  `candidate:1 1 udp 2113937151 192-168-1-17-${NAME.slice(9)}.local 43499 typ host`,
  `candidate:1 1 udp 2113937151 ${NAME}xlocal 43499 typ host`,
  `candidate:1 1 udp 2113937151 ${NAME}.local 0 typ host`,
  `candidate:1 1 udp 2113937151 ${NAME}.local 65536 typ host`,
  `candidate:1 1 udp 2113937151 ${NAME}.local 43499 typ hostile`,
  `candidate:192.168.1.17 1 udp 2113937151 ${NAME}.local 43499 typ host`,
  `candidate:1  1 udp 2113937151 ${NAME}.local 43499 typ host`,
  ` candidate:1 1 udp 2113937151 ${NAME}.local 43499 typ host`,
  "candidate:1 1 udp 2113937151  43499 typ host",
  "end-of-candidates",
];

group("what leaves a browser", () => {
  test("two names, the fingerprint and the place of a random name", () => {
    expect(wayOf(written(good))).toEqual({
      ufrag: "C8di", pwd: PWD, fp: Uint8Array.from({ length: 32 }, (_, n) => n + 160),
      at: [Uint8Array.of(...bytes(NAME), 169, 235)],
    });
  });

  test.each(SHOWING)("nothing is left of: %s", (candidate) => {
    expect(wayOf(written(candidate))).toBeUndefined();
    expect(wayOf(written(candidate, good))).toEqual(wayOf(written(good)));
  });

  test("what a browser draws from its address, and whatever else it adds, is left behind", () => {
    const other = good.replace("3265184289", "1876313031").replace("2113937151", "2122194687").replace("999", "10 network-id 3");
    expect(wayOf(written(other))).toEqual(wayOf(written(good)));
    expect(Object.keys(wayOf(written(good))!)).toEqual(["ufrag", "pwd", "fp", "at"]);
  });

  test("at most eight places, and none without names and a fingerprint", () => {
    const many = Array.from({ length: 20 }, (_, n) => good.replace("43499", `${n + 1}`));
    expect(wayOf(written(...many))?.at).toHaveLength(8);
    for (const line of [/a=ice-ufrag.*\r\n/, /a=ice-pwd.*\r\n/, /a=fingerprint.*\r\n/]) {
      expect(wayOf(written(good).replace(line, ""))).toBeUndefined();
    }
    expect(wayOf(written(good).replace("sha-256", "sha-1"))).toBeUndefined();
    for (const nothing of ["", "\r\n", "a=candidate:", "\0".repeat(100)]) expect(wayOf(nothing)).toBeUndefined();
  });

  test("control: a filter that believes every name lets addresses through", async () => {
    const path = join(dirname(fileURLToPath(import.meta.url)), "../../src/ui/description.ts");
    const source = readFileSync(path, "utf8");
    const weak = source.replace("[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}", "[0-9a-f.]+").replace(String.raw`\.local`, ".*");
    expect(weak.length).toBeLessThan(source.length);
    const compilerOptions = { module: ts.ModuleKind.ESNext, target: ts.ScriptTarget.ESNext };
    const { outputText } = ts.transpileModule(weak, { compilerOptions });
    const address = `data:text/javascript,${encodeURIComponent(outputText)}`;
    const built = (await import(/* @vite-ignore */ address)) as { wayOf: typeof wayOf };
    expect(SHOWING.filter((one) => built.wayOf(written(one)) !== undefined)).not.toEqual([]);
  });
});

group("what a browser is given", () => {
  const way = wayOf(written(good))!;

  test("comes back as it left", () => {
    for (const kind of ["offer", "answer"] as const) expect(wayOf(describe(way, kind))).toEqual(way);
  });

  test("is made of a way alone: every place is a name, whatever its bytes say", () => {
    const address = new TextEncoder().encode("192.168.1.17:50000");
    const text = describe({ ...way, at: [address, new Uint8Array(18).fill(255)] }, "offer");
    const places = text.split("\r\n").filter((line) => line.startsWith("a=candidate:"));
    expect(places).toHaveLength(2);
    for (const place of places) expect(place).toMatch(/ [0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}\.local \d+ typ host$/);
    expect(text).toContain("a=setup:actpass\r\n");
    expect(describe(way, "answer")).toContain("a=setup:active\r\n");
  });
});
