/**
 * What happens in the composer, without the composer: what a key press means, where a mention is being typed, what is
 * said about who can read. Pure. Spec: WEB-062.
 */

import type { Press } from "../keys.ts";
import type { OutboxItem, Person, SphereInfo } from "../../client/records.ts";
import { say } from "../words.ts";

export type Act = "send" | "line" | "edit-last" | "leave" | undefined;

interface Typing extends Press {
  readonly isComposing: boolean;
}

/** What a key press in the field does. `enterSends`: as set; on a touch screen Enter begins a new line. */
export function actOf(press: Typing, text: string, enterSends: boolean, editing: boolean): Act {
  if (press.isComposing) return undefined;
  if (press.key === "Enter") {
    if (press.ctrlKey || press.metaKey) return "send";
    return enterSends && !press.shiftKey && !press.altKey ? "send" : "line";
  }
  const plain = !press.ctrlKey && !press.metaKey && !press.altKey && !press.shiftKey;
  if (press.key === "ArrowUp" && plain && text === "" && !editing) return "edit-last";
  if (press.key === "Escape" && editing) return "leave";
  return undefined;
}

/** What may be sent of a text: without the empty lines around it; "" when there is nothing. */
export function sendable(text: string): string {
  return text.replace(/^(?:[^\S\n]*\n)+/, "").trimEnd();
}

export interface Mention {
  /** Where the @ stands. */
  readonly at: number;
  readonly typed: string;
}

/** The mention being typed at the caret. */
export function mentionAt(text: string, caret: number): Mention | undefined {
  const before = text.slice(Math.max(0, caret - 64), caret);
  const found = /(?:^|[^\p{L}\p{N}_])@([\p{L}\p{N}_.-]*)$/u.exec(before);
  if (found === null) return undefined;
  const typed = found[1]!;
  return { at: caret - typed.length - 1, typed };
}

/** Who may be meant, by what is typed; those whose name begins with it. A name of several words cannot be mentioned. */
export function meant(people: readonly Person[], typed: string): readonly Person[] {
  const wanted = typed.toLowerCase();
  const names = (one: Person): string[] => [one.name, one.login].map((name) => name.toLowerCase());
  return people.filter((one) => !one.me && names(one).some((name) => name.startsWith(wanted))).slice(0, 6);
}

/** How a person is mentioned: by the shown name if it is one word, else by the login. */
export function handle(person: Person): string {
  return /^[\p{L}\p{N}][\p{L}\p{N}_.-]*$/u.test(person.name) ? person.name : person.login;
}

export interface Changed {
  readonly text: string;
  readonly caret: number;
}

export function mentioned(text: string, mention: Mention, caret: number, person: Person): Changed {
  const name = `@${handle(person)} `;
  const rest = text.slice(caret);
  const tail = rest.startsWith(" ") ? rest.slice(1) : rest;
  return { text: text.slice(0, mention.at) + name + tail, caret: mention.at + name.length };
}

/** How encrypted and open differ in the composer. */
export interface Carriers {
  readonly open: boolean;
  readonly placeholder: string;
  /** The same in two words, where there is no room for more. */
  readonly short: string;
  readonly send: string;
}

/** `org`: how the organisation is called whose people can open what is written. */
export function carriers(sphere: SphereInfo, thread: boolean, editing: boolean, org = ""): Carriers {
  const open = sphere.mode !== "e2ee";
  const kind = thread ? "comment" : "message";
  const send = editing ? "composer.save" : open ? "composer.send-open" : "composer.send";
  const words = `composer.${kind}${open ? `-${sphere.mode}` : ""}`;
  const whom = open || org === "" ? say(words, { n: sphere.members }) : say(`composer.${kind}-org`, { org });
  return { open, placeholder: whom, short: say(`${words}-short`), send: say(send) };
}

/** What waits of a sphere and asks first, the oldest. */
export function heldOf(outbox: readonly OutboxItem[], sph: string): OutboxItem | undefined {
  return outbox.find((one) => one.sph === sph && one.state === "held");
}
