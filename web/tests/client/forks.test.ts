/**
 * Two histories and chains shown short: who proves a fork shows it to the other half, who signed both is named, and what a
 * checkpoint says of a chain is held against what was shown here (CLT-020, CLT-037, LOG-028).
 */

import { beforeEach, describe, expect, test, vi } from "vitest";

import * as commits from "../../src/client/commits.ts";
import { now, replica } from "../../src/client/context.ts";
import * as doctor from "../../src/client/doctor.ts";
import { known } from "../../src/client/replica.ts";
import * as spheres from "../../src/client/sphere.ts";
import { type Member, say, sync, texts } from "./members.ts";
import { type Pair, hand, pair } from "./pair.ts";

vi.mock("../../src/crypto/argon2.ts", async (real) => (await import("../cheap.ts")).cheap(real));

let { ada, bo, sph } = {} as Pair;
const fresh = pair();

beforeEach(async () => {
  ({ ada, bo, sph } = await fresh());
});

/** Entries that the relay never gets: a second history from here on, signed by ada. */
async function rival(): Promise<string[]> {
  const { state, history } = known(await replica(ada.ctx, sph));
  const draft = await commits.composed(state, history, commits.author(ada.ctx), [{ op: "mark" }], { now: now(ada.ctx), rng: ada.ctx.rng });
  return draft.commit.entries;
}

const told = (k: string, members: Record<string, unknown>): Promise<void> => hand(ada, bo, sph, k, members);

const posts = (): number => bo.wire.seen.filter((one) => one === "POST /inbox").length;
const stopOf = async (one: Member): Promise<string | undefined> => (await spheres.sphere(one.ctx, sph)).stop?.code;

describe("a second history nobody asked for", () => {
  test("is judged, stops the sphere, names who signed both, and is told once to the other half", async () => {
    const entries = await rival();
    await spheres.rotate(ada.ctx, sph, "");
    await sync(bo);
    const from = known(await replica(ada.ctx, sph)).history.seq - 1;
    await told("head-proof", { from, entries });
    expect(await stopOf(bo)).toBe("C_LOG_FORK");
    const found = await spheres.evidence(bo.ctx, sph);
    expect(found).toMatchObject({ by: ada.vault.account, who: "ada", theirs: entries, common: from - 1 });
    const before = posts();
    await sync(bo);
    expect(posts()).toBe(before + 1);
    await sync(bo);
    expect(posts()).toBe(before + 1);
    await say(bo, sph, "nothing goes out");
    expect(await spheres.outbox(bo.ctx)).toMatchObject([{ code: "C_LOG_FORK" }]);
  });

  test("proves nothing when it does not follow, is not signed, or is the same", async () => {
    const [entry] = await rival();
    await spheres.rotate(ada.ctx, sph, "");
    await sync(bo);
    const { history } = known(await replica(bo.ctx, sph));
    const from = history.seq - 1;
    const [head, body, signature] = entry!.split(".") as [string, string, string];
    const forged = `${head}.${body}.${signature.slice(0, 10)}${signature[10] === "A" ? "B" : "A"}${signature.slice(11)}`;
    const held = (await bo.ctx.store.get<{ jws: string }>("entry", [sph, from]))!.jws;
    await told("head-proof", { from, entries: [forged] });
    await told("head-proof", { from: from - 1, entries: [entry!] });
    await told("head-proof", { from, entries: [held] });
    await told("head-proof", { from, entries: [] });
    expect(await stopOf(bo)).toBeUndefined();
    await told("head-proof", { from, entries: [entry!] });
    expect(await stopOf(bo)).toBe("C_LOG_FORK");
  });
});

describe("a checkpoint (CLT-037)", () => {
  const findings = async (): Promise<string[]> => (await doctor.examine(bo.ctx, bo.vault, sph)).filter((one) => !one.ok).map((one) => one.code);

  test("shows that the end of a chain was kept back", async () => {
    await say(ada, sph, "first");
    await say(ada, sph, "second");
    const last = Math.max(...(await ada.ctx.store.by<{ pos: number }>("message", "pos", { prefix: [sph] })).map(([, row]) => row.pos));
    bo.wire.alter = (sent, answer) => {
      if (!/\/items\?/.test(sent.path) || !sent.path.includes(sph)) return answer;
      const body = JSON.parse(new TextDecoder().decode(answer.body)) as { items: { pos: number }[]; head: number };
      const items = body.items.map((one) => (one.pos === last ? { pos: one.pos, k: "gone" } : one));
      return { ...answer, body: new TextEncoder().encode(JSON.stringify({ ...body, items })) };
    };
    await sync(bo);
    expect(await findings()).toEqual([]);
    await spheres.checkpoint(ada.ctx, sph);
    bo.events.length = 0;
    await sync(bo);
    await sync(bo);
    expect(bo.events.filter((one) => one.event === "GapFound")).toMatchObject([{ dv: ada.vault.dv, name: "ada", missing: 1 }]);
    expect(await findings()).toEqual(["C_GAP"]);
    await say(bo, sph, "a word of mine stops nobody");
    expect(await texts(bo, sph)).toEqual(["first", "a word of mine stops nobody"]);
  });

  test("control: one that agrees is forgotten", async () => {
    await say(ada, sph, "first");
    await spheres.checkpoint(ada.ctx, sph);
    await sync(bo);
    await sync(bo);
    expect(await findings()).toEqual([]);
    expect((await replica(bo.ctx, sph)).note["heads"]).toEqual({});
  });
});
