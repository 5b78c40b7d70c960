/**
 * What rows need to know of the sphere they stand in, and what they may ask it to do.
 */

import type { Message, OutboxItem } from "../../client/records.ts";
import type { Closed } from "./lines.ts";

export interface Surroundings {
  readonly sph: string;
  /** Shown names, for mentions. */
  readonly people: readonly string[];
  readonly me: string;
  /** The sphere is encrypted, so that a text in clear is worth a word. */
  readonly closed: boolean;
  /** The text before which a new key is made, by its cid. */
  readonly marked: string;
  /** Within the comments of one message. */
  readonly thread: boolean;
  /** Texts may be written here now. */
  readonly writes: boolean;
  readonly items: ReadonlyMap<string, readonly OutboxItem[]>;
  /** The message that the address names. */
  readonly target: string;
  /** The message whose comments are open. */
  readonly opened: string;
  /** The message whose deletion can still be undone. */
  readonly going: string;
  readonly holders: readonly string[];
  /** Who was asked for keys of what was written before this account came in. */
  readonly older: readonly string[];
  menu(message: Message, button: HTMLElement): void;
  react(message: Message, emoji: string): void;
  retry(item: OutboxItem): void;
  drop(item: OutboxItem): void;
  /** Who was asked for missing messages; undefined while nobody was. */
  readonly asked: readonly string[] | undefined;
  /** Puts words to somebody into the composer. */
  ask(text: string): void;
  askMessages(): void;
  askKeys(): void;
  askAdmin(why: Closed): void;
  report(message: Message): void;
}
