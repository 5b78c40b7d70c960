/**
 * Who people are to this device: petnames, nicknames, what was confirmed, and what changed.
 *
 * Names shown to a person never decide anything; ids do. A pin is this account's own memory of a person (synced in the
 * state slot). A known name that appears with another id, and a known id whose identity key changed, are reported; if
 * the person had been confirmed, sending in that sphere stops (CLT-022). Knows the pins of the store. Knows no key.
 */

import { NotFound, UsageError } from "../errors.ts";
import { b64e } from "../protocol/encoding.ts";
import { thumbprint } from "../protocol/ids.ts";
import { type Member, type SphereState, ascending, isMember } from "../protocol/state.ts";
import type { Known, Person } from "./records.ts";
import type { Reader, Tx } from "./store.ts";

const MAX_NAME = 64;
const RANKS: Record<string, number> = { owner: 0, admin: 1, member: 2, guest: 3 };

/** What is remembered of a person. `was`: had been confirmed when it changed. */
export interface Pin {
  rev: number;
  login: string;
  thumb: string;
  link?: boolean;
  confirmed?: boolean;
  petname?: string;
  changed?: boolean;
  was?: boolean;
}

/** Gives the name to show for an id. */
export type Names = (id: string) => Promise<string>;

/** A name fit to be shown on one line: control and format characters removed, white space folded (CLT-023). */
export function clean(text: string, limit = MAX_NAME): string {
  const plain = text
    .normalize("NFC")
    .replace(/[\p{Cf}\p{Cs}\p{Co}\p{Cn}]/gu, "")
    .replace(/[\p{Cc}\p{Z}]+/gu, " ")
    .trim();
  return [...plain].slice(0, limit).join("");
}

/** What is remembered of a person; undefined for a stranger. */
export function pin(reader: Reader, id: string): Promise<Pin | undefined> {
  return reader.get<Pin>("pin", id);
}

/** Ids by login, read once for a step: a log of a thousand members asks a thousand times. */
const byLogin = new WeakMap<Tx, Promise<Map<string, Set<string>>>>();

function loginsOf(tx: Tx): Promise<Map<string, Set<string>>> {
  const found = byLogin.get(tx) ?? tx.list<Pin>("pin").then((rows) => {
    const logins = new Map<string, Set<string>>();
    for (const [id, { login }] of rows) logins.set(login, (logins.get(login) ?? new Set()).add(String(id)));
    return logins;
  });
  byLogin.set(tx, found);
  return found;
}

/** Change members of a pin. */
export async function putPin(tx: Tx, id: string, changes: Partial<Pin>): Promise<Pin> {
  const old = await pin(tx, id);
  const value = { login: "", thumb: "", ...old, ...changes, rev: (old?.rev ?? 0) + 1 };
  tx.put("pin", id, value);
  tx.put("meta", "stateDirty", true);
  const logins = await loginsOf(tx);
  logins.set(value.login, (logins.get(value.login) ?? new Set()).add(id));
  return value;
}

/** The three words for how somebody is known. */
export function known(found: Pin | undefined): Known {
  if (found?.confirmed) return "confirmed in person";
  return found?.link ? "came by a link" : "not confirmed";
}

/**
 * Pin a member seen in a verified log (CLT-022).
 *
 * Returns undefined, or what changed: `identity` (another identity key than pinned), `name` (a confirmed or petnamed
 * person's login now belongs to another id).
 */
export async function meet(tx: Tx, member: Member, byLink: boolean): Promise<"identity" | "name" | undefined> {
  const thumb = b64e(thumbprint(member.ik));
  const found = await pin(tx, member.id);
  if (found !== undefined) {
    if (found.thumb !== thumb) {
      await putPin(tx, member.id, { thumb, changed: true, confirmed: false, was: found.confirmed === true });
      return "identity";
    }
    if (byLink && !found.link) await putPin(tx, member.id, { link: true });
    return undefined;
  }
  const others = [...((await loginsOf(tx)).get(member.name) ?? [])];
  const same = (await Promise.all(others.map((id) => pin(tx, id)))).filter((one) => one?.login === member.name);
  await putPin(tx, member.id, { login: member.name, thumb, link: byLink });
  if (!same.some((one) => one?.confirmed || one?.petname)) return undefined;
  await putPin(tx, member.id, { changed: true, was: same.some((one) => one?.confirmed) });
  return "name";
}

/** The name to show: petname, nickname of this sphere, login, or the beginning of the id. */
export async function nameOf(reader: Reader, state: SphereState | undefined, id: string): Promise<string> {
  const [found, nick] = await Promise.all([pin(reader, id), nickOf(reader, state, id)]);
  const login = state?.members.get(id)?.name ?? found?.login ?? "";
  return clean(found?.petname ?? "") || nick || login || id.slice(0, 9);
}

async function nickOf(reader: Reader, state: SphereState | undefined, id: string): Promise<string> {
  return state === undefined ? "" : clean((await reader.get<string>("meta", `nick/${state.sph}/${id}`)) ?? "");
}

/** As `nameOf`, asking the store once for each id. */
export function namesOf(reader: Reader, state: SphereState | undefined): Names {
  const held = new Map<string, Promise<string>>();
  return (id) => {
    const found = held.get(id) ?? nameOf(reader, state, id);
    held.set(id, found);
    return found;
  };
}

/** The record of one member. */
export async function person(reader: Reader, state: SphereState, member: Member, me: string): Promise<Person> {
  const [found, nickname, name] = await Promise.all([
    pin(reader, member.id), nickOf(reader, state, member.id), nameOf(reader, state, member.id),
  ]);
  const devices = member.devices.filter((dv) => state.devices.get(dv)?.status === "active");
  return {
    id: member.id, name, login: member.name, petname: clean(found?.petname ?? ""), nickname, role: member.role, devices,
    known: member.id === me ? "confirmed in person" : known(found), me: member.id === me, changed: found?.changed === true,
  };
}

/** Members, owners first, then by name; with `past` former ones at the end. */
export async function people(reader: Reader, state: SphereState, me: string, past = false): Promise<Person[]> {
  const wanted = [...state.members.values()].filter((one) => past || isMember(one));
  const rows = await Promise.all(wanted.map((one) => person(reader, state, one, me)));
  const by = (one: Person): [number, string, string] => [RANKS[one.role] ?? 9, one.name.toLowerCase(), one.id];
  return rows.sort((a, b) => {
    const [left, right] = [by(a), by(b)];
    return left[0] - right[0] || ascending(left[1], right[1]) || ascending(left[2], right[2]);
  });
}

/** One person by shown name, petname, login, or unique prefix of an id. Throws NotFound, UsageError. */
export function find(rows: readonly Person[], wanted: string): Person {
  const text = wanted.trim().toLowerCase();
  const names = (one: Person): string[] => [one.name.toLowerCase(), one.petname.toLowerCase(), one.login, one.id.toLowerCase()];
  let found = rows.filter((one) => names(one).includes(text));
  if (found.length === 0 && text !== "") found = rows.filter((one) => one.name.toLowerCase().startsWith(text));
  if (found.length === 0 && wanted.length >= 6) found = rows.filter((one) => one.id.startsWith(wanted));
  if (found.length > 1) throw new UsageError("more than one person fits: use the beginning of the id");
  if (found[0] === undefined) throw new NotFound("nobody here has that name");
  return found[0];
}
