import { applyCommit, asRelayError, digest, fromJson } from "../../src/protocol/commit.ts";
import { heads } from "./chain.ts";
import { type Given, type Op, hex } from "./index.ts";
import { head, summary } from "./log.ts";

async function apply(given: Given): Promise<unknown> {
  const before = given.entries.length === 0 ? undefined : await head(given);
  return summary(await applyCommit(before, fromJson(given.commit), heads(given)));
}

export const OPS: Record<string, Op> = {
  "commit-apply": apply,
  "commit-at-relay": async (given) => {
    try {
      return await apply(given);
    } catch (error) {
      throw asRelayError(error);
    }
  },
  "commit-digest": ({ commit }) => hex(digest(fromJson(commit))),
};
