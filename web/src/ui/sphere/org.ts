/**
 * Spheres whose keys come from an organisation's: everybody who is in it can open them, so nothing is promised here about
 * who is removed from such a sphere alone. Spec: CLT-062.
 */

import type { SphereInfo } from "../../client/records.ts";
import { app, sphereOf } from "../state/app.svelte.ts";
import { say } from "../words.ts";

/** How the organisation of a sphere is called here; "" for a sphere with keys of its own. */
export function orgOf(sphere: SphereInfo): string {
  return sphere.org === "" ? "" : (sphereOf(sphere.org)?.title ?? say("org.unknown"));
}

/** Organisations whose running key is here, so that a sphere of theirs can be made. */
export function organisations(): readonly SphereInfo[] {
  return app.spheres.filter((one) => one.kind === "org" && one.status === "active" && one.mode === "e2ee" && one.haveKey);
}
