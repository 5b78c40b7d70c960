/**
 * Invitations between people who share a sphere already: sent as letters, kept until answered.
 *
 * What arrives is a link like any other, sealed to this device; accepting it asks to join exactly as if it had been pasted,
 * with the same proof and the same check of the log. A letter invites, it admits nobody and shows nothing of the sphere
 * but what its sender calls it. Spec: INV-007, CLT-053.
 */

import { sha256 } from "../crypto.ts";
import { Forbidden, NotFound, UsageError } from "../errors.ts";
import { b64d, b64e, textBytes } from "../protocol/encoding.ts";
import type { Letter } from "../protocol/p2p.ts";
import { type Device, activeDevices, ascending, isMember } from "../protocol/state.ts";
import * as invitation from "../sphere/invitation.ts";
import type { LetterBody, Link } from "../sphere/invitation.ts";
import { type Context, now, replica } from "./context.ts";
import * as joining from "./joining.ts";
import * as keys from "./keys.ts";
import * as links from "./links.ts";
import * as memory from "./memory.ts";
import { INVITED } from "./overview.ts";
import * as people from "./people.ts";
import type { Invitation, Person } from "./records.ts";
import * as renewing from "./renewing.ts";
import { type Note, type Replica, known } from "./replica.ts";
import type { Tx } from "./store.ts";

/** Invitations kept at once, and of one sender; the oldest go. */
const KEPT = 32;
export const PER_SENDER = 8;
/** Seconds after which a letter is not taken any more, and what was answered is forgotten. */
export const LIFE = 30 * 86_400;

/** A row of the table `todo`; `link` is empty once it was answered. */
interface Row {
  readonly link: string;
  readonly by: string;
  readonly via: string;
  readonly at: number;
}

async function spheres(ctx: Context): Promise<Replica[]> {
  const active = (await ctx.store.list<Note>("sphere")).filter(([, note]) => note.status === "active");
  const reps = await Promise.all(active.map(([sph]) => replica(ctx, String(sph))));
  return reps.filter((rep) => rep.state !== undefined);
}

/** People of this account's other spheres who are not in `sph` and can be invited, by name. */
export async function candidates(ctx: Context, sph: string): Promise<Person[]> {
  const { state } = known(await replica(ctx, sph));
  const found = new Map<string, Person>();
  for (const rep of await spheres(ctx)) {
    for (const one of await people.people(ctx.store, known(rep).state, ctx.id)) {
      const member = state.members.get(one.id);
      if (!one.me && !one.changed && !found.has(one.id) && (member === undefined || !isMember(member))) found.set(one.id, one);
    }
  }
  return [...found.values()].sort((one, other) => ascending(one.name.toLowerCase(), other.name.toLowerCase()));
}

/** The person to send an invitation into a sphere to. Throws NotFound, UsageError. */
export async function whom(ctx: Context, sph: string, id: string): Promise<Person> {
  const member = known(await replica(ctx, sph)).state.members.get(id);
  if (member !== undefined && isMember(member)) throw new UsageError("this person is in the sphere already");
  const found = (await candidates(ctx, sph)).find((one) => one.id === id);
  if (found === undefined) throw new NotFound("nobody of another sphere has that name");
  return found;
}

/**
 * The common sphere in which this person has the most devices, and these; none that was seen as revoked anywhere (CLT-007).
 * Throws NotFound without one.
 */
async function ways(ctx: Context, member: string): Promise<{ via: string; devices: Device[] }> {
  const gone = await memory.revoked(ctx.store);
  const theirs = (rep: Replica): Device[] =>
    activeDevices(known(rep).state).filter((one) => one.owner === member && !gone.has(one.dv));
  const found = (await spheres(ctx))
    .map((rep) => ({ via: rep.sph, devices: theirs(rep) }))
    .filter(({ devices }) => devices.length > 0)
    .sort((one, other) => other.devices.length - one.devices.length || ascending(one.via, other.via));
  if (found[0] === undefined) throw new NotFound("no sphere in common");
  return found[0];
}

/** Send a link to every device of somebody known; how many. Throws NotFound, Unreachable, RelayError. */
export async function send(ctx: Context, link: Link, member: string): Promise<number> {
  const { via, devices } = await ways(ctx, member);
  for (const device of devices) {
    const jti = ctx.rng(16);
    const ct = b64e(await invitation.seal(link, via, { id: ctx.id, dv: ctx.dv }, device, jti, ctx.rng));
    const members = { idR: member, dvR: device.dv, kem: device.kem, ct, jti: b64e(jti) };
    await ctx.relay.post([device.dv], await keys.letter(ctx, via, "invite", members));
  }
  return devices.length;
}

/** Keep the invitation in a letter whose signature was checked. Throws CheckFailed for one that is none for here. */
export async function take(ctx: Context, letter: Letter, sender: Device): Promise<void> {
  const at = now(ctx);
  if (sender.owner === ctx.id || at - letter.iat > LIFE) return;
  const secrets = (await renewing.receiving(ctx)).map((own) => own.deSeed);
  const author = { id: sender.owner, dv: sender.dv };
  const me = { id: ctx.id, dv: ctx.dv };
  const body = letter.body as unknown as LetterBody;
  const link = await invitation.open(body, letter.sph, b64d(letter.jti), author, me, ctx.keys.kem, secrets);
  const id = b64e(sha256(textBytes(`${author.id}.${link.sph}.${b64e(link.jti)}`))).slice(0, 22);
  if (link.origin !== ctx.relay.origin) return;
  await ctx.store.step(async (tx) => {
    if ((await tx.get("todo", INVITED + id)) !== undefined) return;
    tx.put("todo", INVITED + id, { link: invitation.emit(link), by: author.id, via: letter.sph, at } satisfies Row);
    await prune(tx, at);
    const shown = (await waiting(ctx, tx)).find((one) => one.id === id);
    if (shown !== undefined) tx.events.push({ event: "Invited", sph: "", invitation: shown });
  });
}

async function prune(tx: Tx, at: number): Promise<void> {
  const rows = (await tx.list<Row>("todo", { prefix: INVITED })).map(([name, row]) => ({ name: String(name), ...row }));
  const gone = rows.filter((row) => at - row.at > LIFE).map((row) => row.name);
  const open = rows.filter((row) => row.link !== "").sort((one, other) => other.at - one.at || ascending(other.name, one.name));
  const of = new Map<string, number>();
  for (const [i, { name, by }] of open.entries()) {
    of.set(by, (of.get(by) ?? 0) + 1);
    if (i >= KEPT || of.get(by)! > PER_SENDER) gone.push(name);
  }
  for (const name of gone) tx.drop("todo", name);
}

/** Invitations not answered yet, oldest first; none into a sphere this account is in or asks to join. */
export async function waiting(ctx: Context, from: Pick<Tx, "list" | "get" | "by" | "count"> = ctx.store): Promise<Invitation[]> {
  const own = await from.by<{ sph: string; state: string }>("request", "mine", { prefix: [1] });
  const asked = new Set(own.filter(([, row]) => row.state === "asked").map(([, row]) => row.sph));
  const found: Invitation[] = [];
  for (const [name, row] of await from.list<Row>("todo", { prefix: INVITED })) {
    if (row.link === "" || now(ctx) - row.at > LIFE) continue;
    const { sph, label } = invitation.parse(row.link);
    if (asked.has(sph) || (await from.get<Note>("sphere", sph))?.status === "active") continue;
    const state = (await from.get("sphere", row.via)) === undefined ? undefined : (await replica(ctx, row.via, from)).state;
    const by = await people.nameOf(from, state, row.by);
    found.push({
      id: String(name).slice(INVITED.length), sph, label: people.clean(label), by: row.by, name: by, via: row.via, at: row.at,
    });
  }
  return found.sort((one, other) => one.at - other.at || ascending(one.id, other.id));
}

async function rowOf(ctx: Context, id: string): Promise<Row> {
  const shown = (await waiting(ctx)).some((one) => one.id === id);
  const row = shown ? await ctx.store.get<Row>("todo", INVITED + id) : undefined;
  if (row === undefined) throw new NotFound("no such invitation");
  return row;
}

/** The secret goes; that it was answered stays, so that the same letter again changes nothing. */
function answered(ctx: Context, id: string, row: Row): Promise<void> {
  return ctx.store.step(async (tx) => tx.put("todo", INVITED + id, { ...row, link: "" }));
}

/** Ask to join by an invitation that came; the request's hash. Throws NotFound, Forbidden when it is closed. */
export async function accept(ctx: Context, id: string): Promise<string> {
  const row = await rowOf(ctx, id);
  let h: string;
  try {
    h = await joining.ask(ctx, links.parseLink(ctx.relay.origin, row.link));
  } catch (error) {
    if (error instanceof Forbidden) await answered(ctx, id, row);
    throw error;
  }
  await answered(ctx, id, row);
  return h;
}

/** Forget an invitation; nobody is told. Throws NotFound. */
export async function decline(ctx: Context, id: string): Promise<void> {
  await answered(ctx, id, await rowOf(ctx, id));
}
