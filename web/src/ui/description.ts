/**
 * The description of a connection, out of what a browser writes and into what it reads (RFC 8866, RFC 8839, RFC 8864).
 *
 * Only a way comes out (LIVE-015): two names, a fingerprint, and places that stand under a random name of the local network.
 * A line with an address, and whatever else a browser adds, is left behind. What goes in is composed here, of a way alone.
 */

import type { Way } from "../client/pipe.ts";

const MAX_PLACES = 8;
/** A name that a browser drew (a UUID), and a place of this machine under it: over UDP, with its port. */
const NAME = "[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}";
const PLACE = new RegExp(
  String.raw`^a=candidate:[A-Za-z0-9+/]{1,32} 1 udp \d{1,10} (${NAME})\.local (\d{1,5}) typ host(?: |$)`, "i",
);
const UFRAG = /^a=ice-ufrag:([A-Za-z0-9+/]{4,32})$/;
const PWD = /^a=ice-pwd:([A-Za-z0-9+/]{22,64})$/;
const PRINT = /^a=fingerprint:sha-256 ((?:[0-9A-F]{2}:){31}[0-9A-F]{2})$/i;

const unhex = (text: string): Uint8Array => Uint8Array.from(text.match(/../g)!, (two) => Number.parseInt(two, 16));
const hex = (bytes: Uint8Array): string[] => [...bytes].map((byte) => byte.toString(16).padStart(2, "0"));

function placeOf(line: string): Uint8Array[] {
  const [, name, digits] = PLACE.exec(line) ?? [];
  const port = Number(digits);
  if (name === undefined || port < 1 || port > 65_535) return [];
  return [Uint8Array.of(...unhex(name.replaceAll("-", "")), port >> 8, port & 255)];
}

/** Where a browser can be met by its own description; undefined when nowhere but at an address (LIVE-016). */
export function wayOf(description: string): Way | undefined {
  const lines = description.split(/\r?\n/);
  const found = (form: RegExp): string | undefined => lines.map((line) => form.exec(line)?.[1]).find((one) => one !== undefined);
  const [ufrag, pwd, print] = [found(UFRAG), found(PWD), found(PRINT)];
  const at = lines.flatMap(placeOf).slice(0, MAX_PLACES);
  if (ufrag === undefined || pwd === undefined || print === undefined || at.length === 0) return undefined;
  return { ufrag, pwd, fp: unhex(print.replaceAll(":", "")), at };
}

/** The description that a browser is given of the other side. The answering side begins the encryption. */
export function describe({ ufrag, pwd, fp, at }: Way, kind: "offer" | "answer"): string {
  const places = at.map((place, n) => {
    const name = hex(place.subarray(0, 16)).join("").replace(/^(.{8})(.{4})(.{4})(.{4})/, "$1-$2-$3-$4-");
    return `a=candidate:${n + 1} 1 udp ${2_113_937_151 - n} ${name}.local ${place[16]! * 256 + place[17]!} typ host`;
  });
  const lines = [
    "v=0", "o=- 1 1 IN IP4 0.0.0.0", "s=-", "t=0 0", "a=group:BUNDLE 0",
    "m=application 9 UDP/DTLS/SCTP webrtc-datachannel", "c=IN IP4 0.0.0.0", ...places,
    `a=ice-ufrag:${ufrag}`, `a=ice-pwd:${pwd}`, `a=fingerprint:sha-256 ${hex(fp).join(":").toUpperCase()}`,
    `a=setup:${kind === "offer" ? "actpass" : "active"}`, "a=mid:0", "a=sctp-port:5000", "a=max-message-size:16384",
  ];
  return `${lines.join("\r\n")}\r\n`;
}
