/**
 * What counts as read: what has been in view for a second, in a window that has the focus.
 *
 * One position says what is read of a sphere. Comments move it only up to the first text of the sphere that was not read.
 * Spec: WEB-064.
 */

import { untrack } from "svelte";

import { api, lists } from "../state/app.svelte.ts";
import { aside } from "../state/aside.ts";
import { posOf } from "./merge.ts";

const SECOND = 1000;

interface InView {
  /** The last position in view, 0 for none. */
  readonly pos: number;
  /** Texts of the sphere not read. */
  readonly unread: number;
}

/** Call while a component is being made. */
export function reads(sph: string, thread: string, view: () => InView): void {
  let focused = $state(document.hasFocus());
  let told = 0;
  $effect(() => {
    const look = (): void => void (focused = document.hasFocus());
    addEventListener("focus", look);
    addEventListener("blur", look);
    return () => {
      removeEventListener("focus", look);
      removeEventListener("blur", look);
    };
  });
  const position = $derived(view().pos);
  const any = $derived(view().unread > 0);
  $effect(() => {
    const pos = position;
    if (!any || !focused || untrack(() => pos <= told)) return;
    const timer = setTimeout(() => {
      told = pos;
      aside(mark(sph, thread, pos), () => undefined);
    }, SECOND);
    return () => clearTimeout(timer);
  });
}

async function mark(sph: string, thread: string, pos: number): Promise<void> {
  let upTo = pos;
  if (thread !== "") {
    const page = await api().rows(sph, { limit: 1 });
    const first = page.rows.find((row) => row.key === page.firstUnread);
    if (first !== undefined) upTo = Math.min(pos, posOf(first) - 1);
  }
  if (upTo <= 0) return;
  await api().markRead(sph, upTo);
  await lists();
}
