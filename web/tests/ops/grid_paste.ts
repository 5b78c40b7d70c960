/** Operations of vectors/grid_paste.json. */

import { CheckFailed } from "../../src/errors.ts";
import * as boxes from "../../src/grid/box.ts";
import { inspect } from "../../src/grid/inspector.ts";
import * as pouches from "../../src/grid/pouch.ts";
import { find } from "../../src/grid/recognise.ts";
import type { Op } from "./index.ts";

/** What a token was, as vectors call it. */
function nameOf(content: boxes.Taken["content"]): string {
  if ("nickname" in content && !("status" in content)) return "Invitation";
  return "report" in content ? "Receipt" : "Message";
}

/** The box after a paste, and of each outcome what it was: [profile, class, th, status or own], or [code]. */
function taken(box: boxes.Box, { outcomes, cut }: Pick<boxes.Pasted, "outcomes" | "cut">): unknown {
  return {
    box: boxes.dump(box),
    outcomes: outcomes.map(([, what]) => {
      if (what instanceof CheckFailed) return [what.code];
      const status = "status" in what.content ? what.content.status : what.own ? "own" : "other";
      return [what.profile, nameOf(what.content), what.th, status];
    }),
    cut: cut.map((one) => [one.kind, one.line]),
  };
}

export const OPS: Record<string, Op> = {
  "grid-find": ({ text }) => {
    const { found, cut } = find(text);
    return {
      found: found.map((one) => [one.compact, one.profile, one.kind, one.line]),
      cut: cut.map((one) => [one.profile, one.kind, one.line, one.length]),
    };
  },
  "grid-inspect": async ({ token, now, keys }) => {
    const seen = await inspect(token, now, new Map(Object.entries(keys ?? {})));
    return { ...seen, made: seen.made ?? -1, until: seen.until ?? -1 };
  },
  "grid-pouch-read": ({ text }) => pouches.unpack(text),
  "grid-pouch-write": ({ iat, have, tokens, others }) => pouches.pack({ iat, have, tokens, others }),
  "grid-pouch-wanted": ({ text, th, of, places }) => pouches.wanted(pouches.unpack(text), th, of, places),
  "grid-take": async ({ box, text, now }) => taken(...(await boxes.takeText(boxes.load(box), text, now))),
  "grid-take-one": async ({ box, token, now }) => {
    const [after, one] = await boxes.take(boxes.load(box), token, now);
    return taken(after, { outcomes: [[token, one]], cut: [] });
  },
};
