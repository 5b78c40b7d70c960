/**
 * Reading a public sphere by its link: without an account, without a session, keeping nothing.
 *
 * The log is verified from its first entry, must hold the entry that the link names, and must itself say that the sphere is
 * public; messages are judged exactly like a member's. Everything lies in a store of its own that ends with the reading.
 * As `src/cloister/client/public.py`. Spec: CLT-044, INV-004, INV-005.
 */

import { newDevice } from "../account/keys.ts";
import type { Rng } from "../crypto.ts";
import { Forbidden, UsageError } from "../errors.ts";
import { b64e } from "../protocol/encoding.ts";
import * as invitation from "../sphere/invitation.ts";
import { memoryPlace } from "./backend_memory.ts";
import * as commits from "./commits.ts";
import { type Context, replica } from "./context.ts";
import * as keys from "./keys.ts";
import * as links from "./links.ts";
import * as logbook from "./logbook.ts";
import { Profile } from "./profile.ts";
import type { Message, PublicPage } from "./records.ts";
import { type Form, Relay } from "./relay.ts";
import { known, newNote, saveNote } from "./replica.ts";
import { openStore } from "./store.ts";
import * as timeline from "./timeline.ts";
import type { Transport } from "./transports/base.ts";

const PAGE = 500;

/** The relay as nobody in particular sees it: log, attachments and items of public spheres. */
class PublicRelay extends Relay {
  override log(sph: string, start: number, limit = PAGE): Promise<Form<"Log">> {
    return this.publicLog(sph, start, limit);
  }

  override async attachment(sph: string, digest: Uint8Array): Promise<string> {
    return (await this.call("Attachment", "GET", `/public/${sph}/attach/${b64e(digest)}`, undefined, { bare: true })).jws;
  }

  override items(sph: string, after: number, limit = PAGE): Promise<Form<"Items">> {
    return this.call("Items", "GET", `/public/${sph}/items?after=${after}&limit=${limit}`, undefined, { bare: true });
  }
}

/** Comments of one message, at most `limit` of the newest. */
async function commentsOn(ctx: Context, sph: string, mid: string, limit: number): Promise<Message[]> {
  const { rows } = await timeline.rows(ctx, sph, { thread: mid, limit });
  return rows.flatMap((one) => (one.row === "message" && one.message.mid !== mid ? [one.message] : []));
}

/**
 * What was said in a public sphere since it is public: at most `limit` of the newest messages, oldest first, and after each
 * at most `limit` of its comments. Throws UsageError for
 * another link, Forbidden when the sphere is not public (any more), LogFork when the log is not the one of the link,
 * LogInvalid, Unreachable.
 */
export async function read(
  transport: Transport,
  clock: () => number,
  rng: Rng,
  text: string,
  limit: number,
): Promise<PublicPage> {
  const link = links.read(transport.origin, text);
  if (link.kind !== "public") throw new UsageError("this link is for joining, not for reading");
  if (link.origin !== transport.origin) throw new UsageError("this link belongs to another server");
  const { sph } = link;
  const place = memoryPlace();
  const replicas: Context["replicas"] = new Map();
  const store = await openStore(await place.tables(), rng(32), { rng, heard: () => false, undone: () => replicas.clear() });
  const ctx = {
    profile: new Profile(place, rng), store, relay: new PublicRelay(transport), clock, rng, pause: async () => undefined,
    id: "", login: "", dv: "", keys: await newDevice(rng), mk: rng(32), mkv: 0, offset: 0, replicas, transfers: new Map(),
    line: undefined, act: undefined,
  } as unknown as Context;
  try {
    const nobody = { sph, note: newNote("asked"), state: undefined, history: undefined, keys: new Map() };
    await store.step(async (tx) => saveNote(tx, nobody));
    await logbook.pull(ctx, await replica(ctx, sph));
    const rep = await replica(ctx, sph);
    const { state, history } = known(rep);
    invitation.checkPin(link, history);
    if (state.mode !== "public") throw new Forbidden("the signed log does not say that this sphere is public");
    await store.step((tx) => keys.readMeta(ctx, rep, tx));
    await commits.fetchItems(ctx, await replica(ctx, sph));
    const { note, state: now } = await replica(ctx, sph);
    const { rows } = await timeline.rows(ctx, sph, { limit });
    const messages: Message[] = [];
    for (const one of rows) {
      if (one.row !== "message") continue;
      const { mid } = one.message;
      messages.push(one.message, ...(one.comments === 0 ? [] : await commentsOn(ctx, sph, mid, limit)));
    }
    const said = (name: string): string => String(note[name] ?? "");
    return {
      sph, title: said("title"), topic: said("topic"), members: now?.memberCount ?? 0, seq: now?.seq ?? 0,
      messages: messages.filter(({ state: how }) => how === "sent"),
    };
  } finally {
    await store.close();
  }
}
