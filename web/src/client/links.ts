/**
 * Invitation links as people paste them: with words around, broken into lines, in angle brackets, or the fragment alone.
 *
 * What is found must be a whole link by the strict reader; nothing in it is guessed or repaired. Spec: INV-003, INV-004, WEB-042.
 */

import { CheckFailed, UsageError } from "../errors.ts";
import * as invitation from "../sphere/invitation.ts";
import type { Link } from "../sphere/invitation.ts";
import type { LinkInfo } from "./api.ts";

const LINK = /https?:\/\/[^\s<>"'`#]+#sp-[\w~-]+/i;
const FRAGMENT = /sp-[\w~-]+/;
const MAX_PASTED = 16_384;
const INVISIBLE = /[\p{Cf}\p{Cc}]/gu;

/** What may be a link in a text, the likeliest first. */
function candidates(origin: string, text: string): string[] {
  const plain = text.slice(0, MAX_PASTED).replace(/[\s\p{Zs}]+/gu, " ").replace(INVISIBLE, "");
  const joined = plain.replaceAll(" ", "");
  const whole = joined.replace(/^[<("'`[]+|[>)"'`\].,;]+$/g, "");
  const fragment = (from: string): string[] => {
    const found = FRAGMENT.exec(from);
    return found === null ? [] : [`${origin}/j#${found[0]}`];
  };
  const within = [plain, joined].flatMap((one) => LINK.exec(one)?.[0] ?? []);
  const bare = LINK.test(joined) ? [] : [whole.replace(/^#/, ""), plain, joined].flatMap(fragment);
  return [whole, ...within, ...bare];
}

/** A link out of whatever was pasted. Throws UsageError. */
export function read(origin: string, text: string): Link {
  for (const one of candidates(origin, text)) {
    try {
      return invitation.parse(one);
    } catch (error) {
      if (!(error instanceof CheckFailed)) throw error;
    }
  }
  throw new UsageError("this is not a complete invitation link");
}

/** A link of this relay to join by. Throws UsageError. */
export function parseLink(origin: string, text: string): Link {
  const link = read(origin, text);
  if (link.origin !== origin) throw new UsageError("this link belongs to another server");
  if (link.kind === "public") throw new UsageError("this link is for reading, not for joining");
  return link;
}

/** What a link says of itself, for the page; its secrets stay here. Throws UsageError. */
export function readLink(origin: string, text: string): LinkInfo {
  const { kind, origin: from, sph, label } = read(origin, text);
  if (kind === "public") throw new UsageError("this link is for reading, not for joining");
  return { kind: kind === "invite" ? "invite" : "person", origin: from, sph, label };
}
