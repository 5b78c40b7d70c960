/** Operations of vectors/grid_v2.json. */

import { CheckFailed } from "../../src/errors.ts";
import * as envelope from "../../src/grid/envelope.ts";
import { Identity } from "../../src/grid/keys.ts";
import * as open from "../../src/grid/public.ts";
import * as ratchets from "../../src/grid/ratchet.ts";
import { order } from "../../src/grid/timeline.ts";
import * as v2 from "../../src/grid/v2.ts";
import {
  breaks, dump, dumpHeld, load, loadHeld, missing, readReport, reportContent, reportOf,
} from "../../src/grid/v2_thread.ts";
import { drawing } from "./grid_draw.ts";
import { type Given, type Op, hex, unhex } from "./index.ts";

const me = (given: Given): Identity => Identity.load(given.me);

/** A message or receipt as vectors show it. */
function shown(one: v2.Message | v2.Receipt): unknown {
  return "place" in one ? one : { ...one, report: one.report === undefined ? {} : reportContent(one.report) };
}

export const OPS: Record<string, Op> = {
  "grid2-decode": ({ token, typ }) => {
    const { header, payload, digest } = envelope.decode(token, typ);
    return { header, payload: hex(payload), digest: hex(digest) };
  },
  "grid2-peek": ({ token }) => envelope.peek(token),
  "grid2-read-invite": async ({ token, now }) => {
    const { compact: _compact, ...found } = await open.readInvite(token, now);
    return { ...found, epk: hex(found.epk) };
  },
  "grid2-invite": (given) =>
    drawing(given.drawn, (rng) => {
      const { now, note, relay, life, uses } = given;
      return dumpHeld(v2.invite(me(given), given.nickname, { now, rng, note, relay, life, uses }));
    }),
  "grid2-over": async ({ held, now }) => dumpHeld(await v2.over(loadHeld(held), now)),
  "grid2-thread": ({ invite, reply }) => open.threadName(unhex(invite), unhex(reply)),
  "grid2-root": ({ shared, invite, inviter, replier, tpI, tpR }) =>
    hex(v2.rootOf(unhex(shared), unhex(invite), [inviter, replier, tpI, tpR])),
  "grid2-begin": ({ side, th, root, mine, theirs }) => {
    const begin = side === "inviter" ? ratchets.beginInviter : ratchets.beginReplier;
    return ratchets.dump(begin(unhex(root), unhex(th), unhex(mine), unhex(theirs)));
  },
  "grid2-receive": ({ ratchet, rk, cs, place, now }) => {
    const [state, secret] = ratchets.receive(ratchets.load(ratchet), unhex(rk), cs, place, now);
    const kept = state.spare.map((one) => one.place);
    return { secret: hex(secret), next: state.next, kept: kept.slice(0, 3), keys: kept.length };
  },
  "grid2-answer": (given) =>
    drawing(given.drawn, async (rng) => {
      const making = { now: given.now, rng, relay: given.relay ?? "" };
      const [thread, token] = await v2.answer(me(given), given.invite, given.nickname, given.text, making);
      return { state: dump(thread), token };
    }),
  "grid2-accept": async (given) => {
    const [held, thread, message] = await v2.accept(me(given), given.held.map(loadHeld), given.token, given.now);
    return { held: dumpHeld(held), state: dump(thread), message: shown(message) };
  },
  "grid2-write": (given) =>
    drawing(given.drawn, async (rng) => {
      const making = { now: given.now, rng, relay: given.relay ?? "" };
      const [thread, token] = await v2.write(load(given.state), me(given), given.text, making);
      return { state: dump(thread), token };
    }),
  "grid2-receipt": (given) =>
    drawing(given.drawn, (rng) => v2.receipt(load(given.state), me(given), { now: given.now, rng })),
  "grid2-read": async ({ state, token, now }) => {
    const [thread, message] = await v2.read(load(state), token, now);
    return { state: dump(thread), message: shown(message) };
  },
  "grid2-walk": async ({ state, tokens, now }) => {
    let thread = load(state);
    const said: unknown[] = [];
    for (const token of tokens) {
      try {
        const [after, one] = await v2.read(thread, token, now);
        thread = after;
        said.push([one.status, "place" in one ? one.place : -1]);
      } catch (error) {
        if (!(error instanceof CheckFailed)) throw error;
        said.push([error.code]);
      }
    }
    return {
      said, missing: missing(thread), breaks: breaks(thread), report: reportContent(reportOf(thread)),
      outstanding: v2.outstanding(thread), behind: thread.behind,
    };
  },
  "grid2-heard": ({ state, report, iat }) => {
    const thread = v2.heard(load(state), readReport(report), iat);
    return { arrived: reportContent(thread.arrived), behind: thread.behind, outstanding: v2.outstanding(thread) };
  },
  "grid2-auth": (given) =>
    open.makeAuth(me(given), { aud: given.aud, nonce: unhex(given.nonce), iat: given.now }),
  "grid2-read-auth": async ({ token, origins, nonce, now }) =>
    (await open.readAuth(token, { origins, nonce: unhex(nonce), now }))[0],
  "grid2-order": ({ items }) => {
    const rows = items.map(([sender, place, after, iat]: [string, number, number, number]) => ({ sender, place, after, iat }));
    return order<{ sender: string; place: number; after: number; iat: number }>(rows).map((one) => [one.sender, one.place]);
  },
};
