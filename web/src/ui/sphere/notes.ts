/**
 * The word or two beside a sphere in a list, the weightiest first. Nothing where all is as usual. Pure.
 */

import type { SphereInfo } from "../../client/records.ts";
import { say } from "../words.ts";

export interface Note {
  readonly kind: "stop" | "open" | "";
  readonly text: string;
}

/** `org`: how the sphere's organisation is called, "" without one. */
export function notesOf(sphere: SphereInfo, org = ""): readonly Note[] {
  const notes: Note[] = [];
  if (sphere.stop !== undefined) notes.push({ kind: "stop", text: say("word.stopped") });
  if (sphere.status === "asked") notes.push({ kind: "", text: say("spheres.asked") });
  if (sphere.requests > 0) notes.push({ kind: "", text: say("count.asking", { n: sphere.requests }) });
  if (sphere.waiting > 0) notes.push({ kind: "", text: say("count.waiting", { n: sphere.waiting }) });
  if (sphere.mode !== "e2ee") notes.push({ kind: "open", text: say(sphere.mode === "public" ? "word.public" : "word.open") });
  if (sphere.kind === "org") notes.push({ kind: "", text: say("org.word") });
  if (org !== "") notes.push({ kind: "", text: org });
  return notes;
}
