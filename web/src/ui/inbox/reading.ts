/**
 * Up to which position an entry of the inbox is read once it is done. Asks for the newest rows only.
 */

import { api } from "../state/app.svelte.ts";
import { lastPos } from "../sphere/merge.ts";
import type { Unread } from "./waiting.ts";

const END = Number.MAX_SAFE_INTEGER;

/** The last position of the sphere, or of the comments. */
export async function upTo({ sph, thread }: Pick<Unread, "sph" | "thread">): Promise<number> {
  const page = await api().rows(sph, { before: END, limit: 1, ...(thread === "" ? {} : { thread }) });
  return lastPos(page.rows) ?? 0;
}
