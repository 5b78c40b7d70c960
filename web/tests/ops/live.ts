import { ed25519Verify, rsaOpen } from "../../src/crypto.ts";
import { b64d } from "../../src/protocol/encoding.ts";
import type { History } from "../../src/protocol/history.ts";
import { decode, deviceSigner } from "../../src/protocol/jws.ts";
import * as live from "../../src/sphere/live.ts";
import type { Party } from "../../src/sphere/share.ts";
import { type Given, type Op, hex, unhex } from "./index.ts";
import { drawn } from "./keys.ts";
import { head, history } from "./log.ts";

const signer = (given: Given): ReturnType<typeof deviceSigner> => deviceSigner(unhex(given.seed));

/** The device of the log that signs with `seed`. */
async function device(given: Given): Promise<string> {
  const proof = await signer(given)(new Uint8Array(1));
  for (const one of (await head(given)).devices.values()) {
    const fits = await ed25519Verify(one.dk, proof, new Uint8Array(1)).then(() => true, () => false);
    if (fits) return one.dv;
  }
  throw new Error("no such device");
}

/** The log of the sphere that the last message names: another one than the ask's where there is an `elsewhere`. */
const here = (given: Given): Promise<History> => history((given.elsewhere as Given | undefined) ?? given);

async function askingOf(given: Given, log: History): Promise<live.Asking> {
  const asked = await live.read(given.ask, log);
  const unseal: live.Opener = (sealed) => rsaOpen(unhex(given.private), sealed);
  const { ns, exp } = asked.body as unknown as { ns: number[]; exp: number };
  return { sph: log.sph, me: asked.sender, unseal, sas: unhex(given.sas), digest: asked.digest, ns, exp };
}

/** The pair as the asker knows it after the open that it sent. */
async function pairOf(given: Given, log: History): Promise<{ asking: live.Asking; pair: live.Pair }> {
  const asking = await askingOf(given, log);
  const offered = await live.read(given.offer, log);
  const begun = asking.exp - live.SECONDS;
  const made = await live.openOffer(asking, offered, begun, () => new Uint8Array(64), drawn(new Uint8Array(16)));
  return { asking, pair: { ...made.pair, open: decode(given.open, live.TYP).digest } };
}

export const OPS: Record<string, Op> = {
  "live-ask": async (given) => {
    const me = { id: given.id, dv: await device(given) };
    const unseal: live.Opener = (sealed) => rsaOpen(unhex(given.private), sealed);
    const asked = { sph: given.sph, me, ns: given.ns, epk: unhex(given.epk), unseal, now: given.now };
    return (await live.ask(asked, signer(given), drawn(unhex(given.drawn)))).jws;
  },
  "live-asked": async (given) => {
    const log = await history(given);
    return live.checkAsk(await live.read(given.ask, log), log, given.now);
  },
  "live-offer": async (given) => {
    const me = { id: given.id, dv: await device(given) };
    const asked = await live.read(given.ask, await history(given));
    return (await live.offer(asked, me, given.ns, given.now, signer(given), drawn(unhex(given.drawn)))).jws;
  },
  "live-open": async (given) => {
    const log = await history(given);
    const offered = await live.read(given.offer, await here(given));
    const asking = await askingOf(given, log);
    const { pair, jws } = await live.openOffer(asking, offered, given.now, signer(given), drawn(unhex(given.drawn)));
    return { jws, digits: pair.digits, ns: pair.ns };
  },
  "live-opened": async (given) => {
    const log = await history(given);
    const [asked, offered] = [await live.read(given.ask, log), await live.read(given.offer, log)];
    const { epk, hs, exp } = asked.body as unknown as { epk: string; hs: string; exp: number };
    const { sas, ns } = offered.body as unknown as { sas: string; ns: number[] };
    const offering: live.Offering = {
      sph: log.sph, me: { id: log.ownerOf(given.me), dv: given.me }, asker: asked.sender, epk: b64d(epk), hs: b64d(hs),
      sas: b64d(sas), ask: asked.digest, digest: offered.digest, ns, exp,
    };
    return live.takeOpen(offering, await live.read(given.open, await here(given)), given.now).digits;
  },
  "live-take": async (given) => {
    const log = await here(given);
    const { asking, pair } = await pairOf(given, await history(given));
    const message = await live.read(given.give, log);
    const asked = { asking, pair, given: message, log, kem: given.kem, secrets: [unhex(given.secret)], now: given.now };
    const { keys, jws } = await live.take(asked, signer(given), drawn(unhex(given.drawn)));
    return { keys: keys.map(({ n, secret }) => ({ n, secret: hex(secret) })), jws };
  },
  "live-done": async (given) => {
    const log = await history(given);
    const { pair } = await pairOf(given, log);
    const { digest } = await live.read(given.give, log);
    const expected = live.mac(pair, unhex(given.z), unhex(given.x), digest);
    live.checkDone({ pair, digest, mac: expected }, await live.read(given.done, await here(given)), given.now);
    return true;
  },
  "live-way": async (given) => {
    const log = await history(given);
    const [me, other] = [given.me, given.other].map((dv: string) => ({ id: log.ownerOf(dv), dv })) as [Party, Party];
    const where = { ufrag: given.ufrag, pwd: given.pwd, fp: unhex(given.fp), at: given.at.map(unhex) };
    const made = { sph: log.sph, me, to: other, after: unhex(given.after), where, now: given.now };
    return live.way(made, signer(given), drawn(unhex(given.drawn)));
  },
  "live-way-heard": async (given) => {
    const log = await history(given);
    const [me, other] = [given.me, given.other].map((dv: string) => ({ id: log.ownerOf(dv), dv })) as [Party, Party];
    const waited = { sph: log.sph, me, other, after: unhex(given.after), exp: given.exp, now: given.now };
    const { ufrag, pwd, fp, at } = live.checkWay(await live.read(given.way, await here(given)), waited);
    return { ufrag, pwd, fp: hex(fp), at: at.map(hex) };
  },
};
