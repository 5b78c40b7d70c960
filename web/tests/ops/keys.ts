import { concat } from "../../src/crypto.ts";
import * as epoch from "../../src/sphere/epoch.ts";
import * as meta from "../../src/sphere/meta.ts";
import * as share from "../../src/sphere/share.ts";
import { type Given, type Op, hex, unhex } from "./index.ts";
import { history } from "./log.ts";

/** A source that gives these bytes in turn. */
export function drawn(...parts: Uint8Array[]): (length: number) => Uint8Array<ArrayBuffer> {
  let rest = concat(...parts);
  return (length) => {
    const out = rest.slice(0, length);
    rest = rest.slice(length);
    return out;
  };
}

export function key(given: Given): epoch.EpochKey | undefined {
  if (given === null || given === undefined) return undefined;
  return { sph: given.sph, n: given.n, secret: unhex(given.secret), prev: unhex(given.prev ?? "") };
}

const both = (made: epoch.EpochKey): unknown => {
  return { secret: hex(made.secret), kc: hex(epoch.commitment(made.secret, made.prev, made.sph, made.n)) };
};
const slotOf = (given: Given): meta.Slot => ({ ...given.slot, prev: unhex(given.slot.prev) });

export const OPS: Record<string, Op> = {
  "epoch-derive": ({ r, prev, sph, n }) => both(epoch.derive(unhex(r), unhex(prev), sph, n)),
  "epoch-org": ({ secret, m, prev, sph, n }) => both(epoch.deriveOrg({ n: m, secret: unhex(secret) }, unhex(prev), sph, n)),
  "epoch-check": ({ secret, n, kc, prev, sph }) => {
    epoch.check(unhex(secret), { n, kc: unhex(kc), prev: unhex(prev) }, sph);
    return true;
  },
  "link-seal": async ({ newer, older, nonce }) =>
    hex(await epoch.linkSeal(key(newer)!, { secret: unhex(older.secret) }, drawn(unhex(nonce)))),
  "link-open": async ({ newer, older, blob }) => {
    const entry = { n: older.n, kc: unhex(older.kc), prev: unhex(older.prev) };
    return hex((await epoch.linkOpen(unhex(blob), key(newer)!, entry)).secret);
  },
  "title-seal": async (given) => {
    const { title, topic, icon, blind, n16, nonce } = given;
    const opened = meta.prepare({ title, topic, icon }, drawn(unhex(blind)));
    return meta.seal(opened, slotOf(given), key(given.key)!, drawn(unhex(n16), unhex(nonce)));
  },
  "title-open": async (given) => (await meta.open(given.body, slotOf(given), key(given.key))).text,
  "share-open": async (given) => {
    const { sph, me, share: compact } = given;
    const log = await history(given);
    const opened = await share.open(compact, log, me, me.kem, [unhex(me.secret)], sph);
    return { n: opened.n, secret: hex(opened.secret) };
  },
  "rsa-share": async ({ private: secret, info, ct }) =>
    hex(await share.openAny("rsa4096", [unhex(secret)], unhex(info), unhex(ct))),
  "share-granted": async (given) => {
    const log = await history(given);
    return Object.fromEntries(given.dvs.map((dv: string) => [dv, share.granted(log, given.id, dv)]));
  },
};
