/**
 * What the worker needs to begin is one file: parts that are loaded later share its modules and do not split them off.
 */

import type { Rolldown } from "vite";

const ENTRY = "/src/client/worker.ts";
/** What the bundler itself puts in. */
const RUNTIME = "\0rolldown/";

/** Every module that the worker imports at once. */
function needed(entry: string, graph: Rolldown.ChunkingContext): ReadonlySet<string> {
  const found = new Set<string>();
  const take = (id: string): void => {
    if (found.has(id)) return;
    found.add(id);
    graph.getModuleInfo(id)?.importedIds.forEach(take);
  };
  take(entry);
  return found;
}

export function together(root: string): Rolldown.CodeSplittingGroup {
  let all: ReadonlySet<string> | undefined;
  return {
    name: (id, graph) => {
      all ??= needed(root + ENTRY, graph);
      return all.has(id) || id.startsWith(RUNTIME) ? "worker" : null;
    },
  };
}
