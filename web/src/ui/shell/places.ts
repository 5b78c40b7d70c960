/**
 * The screens that arrive when they are first shown. Each fills its pane.
 */

import type { Component } from "svelte";

import { turn } from "../state/turn.ts";

const PLACES = {
  "inbox/Inbox": () => import("../inbox/Inbox.svelte"),
  "inbox/Found": () => import("../inbox/Found.svelte"),
  "sphere/Sphere": () => import("../sphere/Sphere.svelte"),
  "sphere/Thread": () => import("../sphere/Thread.svelte"),
  "sphere/SphereList": () => import("../sphere/SphereList.svelte"),
  "sphere/NewSphere": () => import("../sphere/NewSphere.svelte"),
  "sphere/Openly": () => import("../sphere/Openly.svelte"),
  "people/People": () => import("../people/People.svelte"),
  "security/Security": () => import("../security/Security.svelte"),
  "screens/Settings": () => import("../screens/Settings.svelte"),
  "screens/Admin": () => import("../screens/Admin.svelte"),
  "screens/Spheres": () => import("../screens/Spheres.svelte"),
  "screens/Public": () => import("../screens/Public.svelte"),
  "screens/You": () => import("../screens/You.svelte"),
  "shell/Shell": () => import("./Shell.svelte"),
  "shell/Palette": () => import("./Palette.svelte"),
  "shell/Handover": () => import("./Handover.svelte"),
  "shell/KeyList": () => import("./KeyList.svelte"),
};

export type PlaceName = keyof typeof PLACES;
export type Screen = Component<Record<string, unknown>>;

/** The component of a place; asked for twice it is fetched once. */
export async function load(name: PlaceName): Promise<Screen> {
  const { default: screen } = await PLACES[name]();
  await turn();
  return screen as unknown as Screen;
}

/** What comes first behind every door, fetched while the door opens. One that does not come is asked for again when shown. */
export async function prefetch(): Promise<void> {
  for (const name of ["shell/Shell", "sphere/SphereList", "inbox/Inbox", "sphere/Sphere"] as const) {
    await turn();
    await load(name).catch(() => undefined);
  }
}
