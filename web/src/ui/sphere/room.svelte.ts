/**
 * What the screen of a sphere and that of its comments share: the record, also of one that was left; the people; a text
 * just written as a row.
 */

import { api, app, on, sphereOf } from "../state/app.svelte.ts";
import { aside } from "../state/aside.ts";
import type { Message, OutboxItem, SphereInfo } from "../../client/records.ts";

export interface Room {
  readonly sphere: SphereInfo | undefined;
  readonly failure: unknown;
}

/** Call while a component is being made. */
export function room(sph: string): Room {
  let past = $state.raw<SphereInfo>();
  let failure = $state.raw<unknown>();
  async function look(): Promise<void> {
    try {
      past = await api().sphere(sph);
    } catch (thrown) {
      failure = thrown;
    }
  }
  $effect(() => {
    if (sphereOf(sph) === undefined) aside(look());
  });
  $effect(() => on(sph, (event) => {
    if (event.event === "Removed") aside(look());
  }));
  return {
    get sphere() {
      return sphereOf(sph) ?? past;
    },
    get failure() {
      return failure;
    },
  };
}

/** A text that was just taken into the outbox, as the worker will show it. */
export function written(item: OutboxItem, name: string): Message {
  const { id, sph, at, kind, text } = item;
  return {
    sph, mid: "", cid: id, pos: 0, author: app.account?.id ?? "", name, dv: "", seq: 0, epoch: 0, at, kind, text,
    re: item.re ?? "",
    edited: false, deleted: false, reactions: [], state: "waiting", code: "", open: false, mine: true, unread: false,
  };
}
