/** Operations of vectors/grid_v1.json. */

import { CheckFailed } from "../../src/errors.ts";
import { Identity, thumbprint1 } from "../../src/grid/keys.ts";
import * as v1 from "../../src/grid/v1.ts";
import * as backup from "../../src/grid/v1_backup.ts";
import * as jws from "../../src/grid/v1_jws.ts";
import { dump, dumpHeld, heldName, load, loadHeld, missing } from "../../src/grid/v1_thread.ts";
import { b64e } from "../../src/protocol/encoding.ts";
import { drawing } from "./grid_draw.ts";
import { type Given, type Op, hex, unhex } from "./index.ts";

const me = (given: Given): Identity => Identity.load(given.me);

export const OPS: Record<string, Op> = {
  "grid1-name": ({ jwk }) => thumbprint1(jwk),
  "grid1-thread": ({ one, other }) => v1.threadName(one, other),
  "grid1-number": ({ text }) => v1.readNumber(text),
  "grid1-decode": ({ token }) => {
    const { kind, header, payload } = jws.decode(token);
    return { kind, header, payload: hex(payload) };
  },
  "grid1-open": ({ token, key }) => jws.open(unhex(key), jws.decode(token)),
  "grid1-read-invite": async ({ token }) => {
    const { compact: _compact, ...shown } = await v1.readInvite(token);
    return shown;
  },
  "grid1-invite": (given) =>
    drawing(given.drawn, (rng) => {
      const held = v1.invite(me(given), given.nickname, { note: given.note ?? "", now: given.now, rng });
      return { ...dumpHeld(held), name: heldName(held) };
    }),
  "grid1-answer": (given) =>
    drawing(given.drawn, async (rng) => {
      const making = { now: given.now, rng, relay: given.relay ?? "" };
      const [thread, token] = await v1.answer(me(given), given.invite, given.nickname, given.text, making);
      return { state: dump(thread), token };
    }),
  "grid1-accept": async (given) => {
    const [thread, message] = await v1.accept(me(given), given.held.map(loadHeld), given.token);
    return { state: dump(thread), message };
  },
  "grid1-write": (given) =>
    drawing(given.drawn, async (rng) => {
      const making = { now: given.now, rng, relay: given.relay ?? "" };
      const [thread, token] = await v1.write(load(given.state), me(given), given.text, making);
      return { state: dump(thread), token };
    }),
  "grid1-read": async ({ state, token }) => (await v1.read(load(state), token))[1],
  "grid1-walk": async ({ state, tokens }) => {
    let thread = load(state);
    const said: unknown[] = [];
    for (const token of tokens) {
      try {
        const [after, shown] = await v1.read(thread, token);
        thread = after;
        said.push([shown.status, shown.place, shown.text]);
      } catch (error) {
        if (!(error instanceof CheckFailed)) throw error;
        said.push([error.code]);
      }
    }
    return { said, missing: missing(thread), state: dump(thread) };
  },
  "grid1-proof": (given) => v1.loginProof(me(given), given.challenge, given.now, given.remove),
  "grid1-read-proof": ({ token, challenge, now, remove }) => v1.readLoginProof(token, challenge, now, remove),
  "grid1-lock": ({ scalar, password, ops, drawn }) =>
    drawing(drawn, (rng) => backup.lock(unhex(scalar), password, ops, rng)),
  "grid1-unlock": async ({ text, password }) => hex(await backup.unlock(text, password)),
  "grid1-keep": (given) =>
    drawing(given.drawn, (rng) => backup.keep(me(given), unhex(given.scalar), { now: given.now, rng })),
  "grid1-kept": async (given) => hex(await backup.kept(me(given), given.token)),
  "grid1-backup": async ({ token, password }) => {
    const found = await backup.read(token, password);
    return {
      id1: found.identity.id1,
      sign: b64e(found.identity.sign),
      invitations: found.invitations.map(dumpHeld),
      threads: found.threads.map(dump),
      tokens: Object.fromEntries([...found.tokens].map(([th, tokens]) => [th, tokens.length])),
      refused: found.refused.map(([, code]) => code),
    };
  },
  "grid1-write-backup": (given) =>
    drawing(given.drawn, (rng) => {
      const threads = given.threads.map(([state, tokens]: [unknown, string[]]) => [load(state), tokens] as const);
      return backup.write(me(given), given.password, given.held.map(loadHeld), threads, { now: given.now, rng });
    }),
};
