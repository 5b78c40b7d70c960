/**
 * What can be done with a message, in the order of its menu. Pure. Spec: WEB-061.
 */

import type { Message } from "../../client/records.ts";
import { say } from "../words.ts";

export interface Choice {
  readonly label: string;
  readonly run: () => void;
  readonly stop?: boolean;
}

export interface Can {
  /** Within comments there is no further level. */
  readonly thread: boolean;
  readonly writes: boolean;
  /** May delete what others wrote. */
  readonly moderates: boolean;
}

export type Deed = "comment" | "edit" | "copy" | "link" | "server" | "delete";

/** The deeds open to somebody, by what the message is. */
export function deeds(message: Message, can: Can): readonly Deed[] {
  const readable = message.state === "sent" && !message.deleted;
  const may: Record<Deed, boolean> = {
    comment: readable && !can.thread,
    edit: readable && can.writes && message.mine,
    copy: readable,
    link: true,
    server: true,
    delete: readable && can.writes && (message.mine || can.moderates),
  };
  return (Object.keys(may) as Deed[]).filter((one) => may[one]);
}

const LABELS: Record<Deed, string> = {
  comment: "row.comment", edit: "row.edit", copy: "row.copy", link: "row.copy-link", server: "row.server-sees",
  delete: "row.delete",
};

export function choices(message: Message, can: Can, run: (deed: Deed) => void): readonly Choice[] {
  return deeds(message, can).map((deed) => ({ label: say(LABELS[deed]), run: () => run(deed), stop: deed === "delete" }));
}
