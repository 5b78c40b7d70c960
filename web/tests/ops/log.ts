import { CloisterError } from "../../src/errors.ts";
import { b64d } from "../../src/protocol/encoding.ts";
import { decode } from "../../src/protocol/entry.ts";
import { prove, replay } from "../../src/protocol/fork.ts";
import { History } from "../../src/protocol/history.ts";
import * as machine from "../../src/protocol/machine.ts";
import * as p2p from "../../src/protocol/p2p.ts";
import {
  type Epoch, type SphereState, type Tail, activeDevices, epochNumber, recipientsHash, stateHash,
} from "../../src/protocol/state.ts";
import { type Given, type Op, hex } from "./index.ts";

export const attachments = (given: Given): Map<string, string> => new Map(Object.entries(given.attach ?? {}));

const replayed = new Map<string, Promise<SphereState[]>>();

/** The states of `entries`; many cases share a log. */
export function states(given: Given): Promise<SphereState[]> {
  const name = JSON.stringify([given.entries, given.attach]);
  const known = replayed.get(name) ?? replay(given.entries, attachments(given));
  replayed.set(name, known);
  return known;
}

export async function head(given: Given): Promise<SphereState> {
  return (await states(given)).at(-1)!;
}

export async function history(given: Given): Promise<History> {
  const [first, ...rest] = await states(given);
  const made = new History(first!);
  for (const one of rest) made.append(one);
  return made;
}

export function summary(state: SphereState): unknown {
  const members = [...state.members.values()].map((one) => [one.id, one.role]);
  const { hard, due, mode } = state;
  const devices = activeDevices(state).map((one) => one.dv);
  return { sh: hex(stateHash(state)), ep: epochNumber(state), hard, due, mode, members: Object.fromEntries(members), devices };
}

const tailRow = (one: Tail): unknown[] => [one.seq, hex(b64d(one.digest)), one.at, one.end];
const QUESTIONS: Record<string, (past: History, a: any, b: any) => unknown> = {
  digest: (past, seq) => hex(past.digest(seq)),
  epoch: (past, n) => past.epoch(n).n,
  epoch_at: (past, seq): number => (past.epochAt(seq) as Epoch | undefined)?.n ?? 0,
  hard_between: (past, after, upto) => past.hardBetween(after, upto),
  active: (past, dv, seq) => past.active(dv, seq),
  active_since: (past, dv) => past.activeSince(dv) ?? null,
  owner_of: (past, dv) => past.ownerOf(dv),
  key_of: (past, dv) => hex(past.keyOf(dv)),
  role_at: (past, id, seq) => past.roleAt(id, seq),
  mode_at: (past, seq) => past.modeAt(seq),
  policy_at: (past, seq) => past.policyAt(seq),
  tails: (past, dv) => past.tails(dv).map(tailRow),
  tail: (past, dv) => {
    const found = past.tail(dv);
    return found === undefined ? null : tailRow(found);
  },
};

export const OPS: Record<string, Op> = {
  "log-apply": async (given) => {
    const entry = decode(given.next);
    if (given.entries.length === 0) return summary(await machine.genesis(entry));
    return summary(await machine.apply(await head(given), entry, attachments(given)));
  },
  "log-table": async (given) => {
    const state = await head(given);
    const verdicts: string[] = [];
    for (const compact of given.tries) {
      try {
        verdicts.push(hex(stateHash(await machine.apply(state, decode(compact), attachments(given)))));
      } catch (error) {
        if (!(error instanceof CloisterError)) throw error;
        verdicts.push(error.code);
      }
    }
    return verdicts;
  },
  "log-recipients": async (given) => hex(recipientsHash(activeDevices(await head(given)))),
  "log-past": async (given) => {
    const past = await history(given);
    return given.ask.map(([name, a, b]: [string, any, any]) => QUESTIONS[name]!(past, a, b));
  },
  "log-fork": async (given) => {
    const common = (await states(given))[given.common]!;
    return (await prove(await history(given), common, given.rival, attachments(given))).seq;
  },
  letter: async (given) => {
    const letter = p2p.decode(given.letter);
    const state = await head(given);
    p2p.checkPair(state, letter.kid, letter.to ?? given.to);
    await p2p.verify(letter, state.devices.get(letter.kid));
    return { k: letter.k, kid: letter.kid, to: letter.to ?? null, jti: hex(b64d(letter.jti)) };
  },
  "identity-message": ({ sph, id, old, new: next, cert_digest: digest }) =>
    hex(machine.identityMessage(sph, id, old, next, b64d(digest))),
};
