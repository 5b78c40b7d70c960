/**
 * The keys of a sphere one by one: made by whom, here or not, and who could supply one that is missing.
 *
 * Says what the log and this device's own notes show; that somebody still has a key is likely, not known.
 * As `src/cloister/client/holders.py`. Spec: CLT-017, CLT-043.
 */

import { CheckFailed } from "../errors.ts";
import * as p2p from "../protocol/p2p.ts";
import { activeDevices, ascending } from "../protocol/state.ts";
import type { KeyLine } from "./api.ts";
import type { Context } from "./context.ts";
import * as keys from "./keys.ts";
import type { EntryRow } from "./notices.ts";
import * as people from "./people.ts";
import { type Replica, known } from "./replica.ts";

const OUT = ["none", "banned"];

/** One row for each epoch of the log, oldest first. */
export async function rows(ctx: Context, rep: Replica): Promise<KeyLine[]> {
  const { state, history } = known(rep);
  const called = people.namesOf(ctx.store, state);
  const given = keys.granted(rep, ctx.dv);
  const asked = (rep.note["asked"] as Record<number, keys.Asked> | undefined) ?? {};
  return Promise.all(history.epochs().map(async ({ n, seq, iat, by }): Promise<KeyLine> => {
    const row = await ctx.store.get<EntryRow>("entry", [rep.sph, seq]);
    const here = rep.keys.has(n);
    return {
      n, here, at: iat, byName: await called(history.ownerOf(by)), why: row?.fact?.why ?? [], granted: given.has(n),
      holders: here ? [] : await names(ctx, rep, n), asked: here ? 0 : (asked[n]?.at ?? 0),
    };
  }));
}

/** Members who were in when epoch `n` began and are still, its author first: they can supply its key. */
export async function names(ctx: Context, rep: Replica, n: number): Promise<string[]> {
  const { state, history } = known(rep);
  const { by, seq } = history.epoch(n);
  const author = history.ownerOf(by);
  const members = new Set(activeDevices(state).filter((one) => one.dv !== ctx.dv).map((one) => one.owner));
  const held = [...members].filter((id) => !OUT.includes(history.roleAt(id, seq)));
  const called = people.namesOf(ctx.store, state);
  const rank = (id: string): number => (id === ctx.id ? 0 : id === author ? 1 : 2);
  const all = await Promise.all(held.map(async (id) => ({ rank: rank(id), name: await called(id) })));
  return all.sort((one, other) => one.rank - other.rank || ascending(one.name, other.name)).map(({ name }) => name);
}

/** Signed shares that held another secret than epoch n's: kept here as proof (CLT-017). */
export async function wrong(ctx: Context, rep: Replica): Promise<{ name: string; n: number }[]> {
  const { state, history } = known(rep);
  const found = new Map<string, { name: string; n: number }>();
  for (const compact of await wrongShares(ctx, rep)) {
    const letter = p2p.decode(compact);
    const name = await people.nameOf(ctx.store, state, history.ownerOf(letter.kid));
    const n = letter.body["n"] as number;
    found.set(`${n} ${name}`, { name, n });
  }
  return [...found.values()].sort((one, other) => one.n - other.n || ascending(one.name, other.name));
}

/** Those shares as they came, of devices that the log knows (CLT-017). */
export async function wrongShares(ctx: Context, rep: Replica): Promise<string[]> {
  const { history } = known(rep);
  const found: string[] = [];
  for (const [, row] of await ctx.store.list<{ jws?: string; sph: string }>("todo", { prefix: "evidence/" })) {
    if (row.sph !== rep.sph || row.jws === undefined) continue; // other evidence is about messages (CLT-037)
    try {
      history.ownerOf(p2p.decode(row.jws).kid);
      found.push(row.jws);
    } catch (error) {
      if (!(error instanceof CheckFailed)) throw error;
    }
  }
  return found.sort(ascending);
}
