import type { Chain } from "../../src/sphere/chains.ts";
import { gaps } from "../../src/sphere/chains.ts";
import { History } from "../../src/protocol/history.ts";
import * as run from "../../src/sphere/run.ts";
import * as errors from "../../src/errors.ts";
import { type Given, type Op, unhex } from "./index.ts";
import { states } from "./log.ts";

async function historyUpTo(given: Given, upto?: number): Promise<History> {
  const [first, ...rest] = (await states(given)).slice(0, upto === undefined ? undefined : upto + 1);
  const made = new History(first!);
  for (const one of rest) made.append(one);
  return made;
}

const ERRORS = Object.values(errors).filter((one) => typeof one === "function" && "code" in one) as unknown as {
  new (): Error;
  code: string;
}[];

function raise(code: string): never {
  const kind = ERRORS.find((one) => one.code === code)!;
  throw new kind();
}

async function judgePages(given: Given): Promise<unknown> {
  let chains = new Map<string, Chain>();
  const held = new Map<string, string>();
  const pages: unknown[] = [];
  const ahead: number[] = [];
  let named: unknown = [];
  for (const [at, frames] of (given.pages as string[][]).entries()) {
    const log = await historyUpTo(given, given.grow?.[at]?.upto);
    const page = await run.verifyPage(frames, log, chains, given.sph, held);
    ({ chains, named } = page);
    pages.push(page.verdicts.map((one) => [one.status, one.code]));
    ahead.push(page.ahead);
    for (const { status, message } of page.verdicts) {
      if (status === "authentic") held.set(run.known(message!.head.kid, message!.head.seq), message!.link);
    }
  }
  const { policy } = (await states(given)).at(-1)!;
  const each = (show: (chain: Chain) => unknown): unknown =>
    Object.fromEntries([...chains].map(([dv, chain]) => [dv, show(chain)]));
  return {
    pages, ahead, named,
    runs: each((chain) => chain.runs.map((one) => [one.first, one.last, one.link])),
    gaps: each((chain) => gaps(chain, policy, given.now).map((one) => [one.first, one.last, one.silent])),
  };
}

async function judgeWalks(given: Given): Promise<unknown> {
  const outcome: unknown[] = [];
  for (const { pages, grow } of given.walks as { pages: number[][]; grow: number[] }[]) {
    const feed = pages.map((page) => page.map((index) => given.messages[index]));
    const value = (await judgePages({ ...given, pages: feed, grow: grow.map((upto) => ({ upto })) })) as any;
    const verdicts = value.pages.map((page: string[][]) => page.map((words) => words.join(" ").trim()));
    const short = (rows: [number, number, string][]): unknown => rows.map(([first, last, h]) => [first, last, h.slice(0, 8)]);
    const some = Object.entries(value.runs).filter(([, rows]) => (rows as unknown[]).length > 0);
    const runs = some.map(([dv, rows]) => [dv, short(rows as [number, number, string][])]);
    outcome.push({ verdicts, ahead: value.ahead, runs: Object.fromEntries(runs) });
  }
  return outcome;
}

async function judgeOne(given: Given): Promise<unknown> {
  const log = await historyUpTo(given);
  const page = await run.verifyPage([given.message], log, new Map(), given.sph);
  const [verdict] = page.verdicts;
  if (verdict!.status !== "authentic") raise(verdict!.code);
  const keys = Object.entries(given.keys as Record<string, string>).map(([n, secret]) => {
    return [Number(n), { sph: given.sph, n: Number(n), secret: unhex(secret), prev: new Uint8Array(0) }] as const;
  });
  const [opened] = await run.openPage(page.verdicts, new Map(keys), log);
  if (opened!.payload === undefined) raise(opened!.code);
  const { t, e, v } = opened!.payload as { t?: string; e?: string; v?: string };
  return { text: t ?? e ?? v ?? "", author: opened!.author, role: opened!.role };
}

export const OPS: Record<string, Op> = { "run-pages": judgePages, "run-walks": judgeWalks, "run-one": judgeOne };
