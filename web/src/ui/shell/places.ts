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

const screens = new Map<PlaceName, Screen>();

/** The component of a place, fetched once. Whoever draws it does so in a turn of its own. */
export async function load(name: PlaceName): Promise<Screen> {
  const screen = screens.get(name) ?? ((await PLACES[name]()).default as unknown as Screen);
  screens.set(name, screen);
  await turn();
  return screen;
}

const FIRST = ["shell/Shell", "sphere/SphereList", "inbox/Inbox", "sphere/Sphere"] as const;

/** What comes first behind every door, fetched before it opens. One that does not come is asked for again when shown. */
export async function prefetch(): Promise<void> {
  const coming: Promise<unknown>[] = [];
  for (const name of FIRST) {
    await turn();
    coming.push(load(name).catch(() => undefined));
  }
  await Promise.all(coming);
}
