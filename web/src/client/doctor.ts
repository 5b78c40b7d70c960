/**
 * The doctor: what is right and what is not, found without changing anything.
 *
 * Each finding names its object and, when something is wrong, the code whose words say what to do. Reads the store and,
 * when it can be reached, the relay's public facts. Spec: CLT-031, CLT-037, CLT-038, CLT-043.
 */

import { type Vault } from "../account/vault.ts";
import { CloisterError } from "../errors.ts";
import { gaps } from "../sphere/chains.ts";
import { type Context, now, replica } from "./context.ts";
import * as heads from "./heads.ts";
import * as holders from "./holders.ts";
import * as intake from "./intake.ts";
import type { MessageRow } from "./intake.ts";
import * as keys from "./keys.ts";
import * as memory from "./memory.ts";
import * as older from "./older.ts";
import * as outbox from "./outbox.ts";
import * as people from "./people.ts";
import * as queue from "./queue.ts";
import type { Finding } from "./records.ts";
import { type Replica, known, statusOf, stopOf } from "./replica.ts";
import * as removal from "./removal.ts";
import * as signing from "./signing.ts";
import { meta } from "./store.ts";
import * as stream from "./stream.ts";
import { TABLE_NAMES } from "./tables.ts";

/** A clock further from the relay's than this is worth saying, though it breaks nothing. */
const SKEW = 600;

const finding = (topic: string, ok: boolean, text: string, code = "", sph = ""): Finding => ({ topic, ok, text, code, sph });

/** All findings, the account's first; only one sphere's with `sph`. */
export async function examine(ctx: Context, vault: Vault, sph?: string): Promise<Finding[]> {
  const found: Finding[] = [];
  if (sph === undefined) found.push(await store(ctx), ...(await relay(ctx, vault)), ...(await account(ctx)));
  const all = sph === undefined ? (await ctx.store.list("sphere")).map(([key]) => String(key)) : [sph];
  for (const one of all) found.push(...(await sphere(ctx, await replica(ctx, one))));
  return found;
}

/** Every record of the store opens under the store's key; a page of messages stands for all of them. */
async function store(ctx: Context): Promise<Finding> {
  try {
    for (const table of TABLE_NAMES) await ctx.store.list(table, { reverse: true, limit: 256 });
    return finding("store", true, "whole");
  } catch (error) {
    if (!(error instanceof CloisterError)) throw error;
    return finding("store", false, "damaged", error.code);
  }
}

async function relay(ctx: Context, vault: Vault): Promise<Finding[]> {
  const { origin } = ctx.relay;
  try {
    const info = await signing.server(ctx.relay, vault.realm);
    const skew = Math.trunc(info.now - ctx.clock());
    return [
      finding("server", true, `${origin} answers, sign-up is ${info.signup}`),
      finding("clock", Math.abs(skew) <= SKEW, `this machine is ${Math.abs(skew)} s ${skew > 0 ? "behind" : "ahead"}`),
    ];
  } catch (error) {
    if (!(error instanceof CloisterError)) throw error;
    return [finding("server", false, `${origin} does not answer as expected`, error.code)];
  }
}

async function account(ctx: Context): Promise<Finding[]> {
  const log = await memory.klog(ctx);
  const rows = [finding("account", log.devices.has(ctx.dv), `${ctx.login}, ${log.devices.size} active devices`)];
  const when = async (key: string): Promise<boolean> => Boolean(await meta(ctx.store, key));
  if (await when("retired")) rows.push(finding("device", false, "a copy of this device has spoken", "L_RETIRED"));
  if ((await memory.revoked(ctx.store)).has(ctx.dv)) {
    rows.push(finding("device", false, "this device was removed: a signed entry says so", "L_REVOKED"));
  } else if (await when(removal.SHUT_OUT)) {
    const said = "the server takes this device no more; no signed entry that it shows says why";
    rows.push(finding("device", false, said, "E_AUTH"));
  }
  if (await when("revoking")) rows.push(finding("device", false, "removing a device is not finished", "L_MASTER_KEY"));
  if (await when("mkDue")) rows.push(finding("keys", false, "another device made a new master key", "L_MASTER_KEY"));
  return rows;
}

async function sphere(ctx: Context, rep: Replica): Promise<Finding[]> {
  const { sph, note } = rep;
  const name = String(note["title"] ?? "") || note.label || sph.slice(0, 9);
  const rows: Finding[] = [];
  const say = (ok: boolean, text: string, code = ""): void => void rows.push(finding(name, ok, text, code, sph));
  const stop = stopOf(rep);
  if (stop !== undefined) say(false, "sending is stopped", stop.code);
  if (rep.state === undefined || rep.history === undefined) {
    say(true, statusOf(rep));
    return rows;
  }
  const { state, history } = known(rep);
  say(true, `log of ${history.seq + 1} entries verified`);
  if (note["refused"] === true) say(false, "the server refuses; no signed entry shows a removal", "E_FORBIDDEN");
  for (const one of await aboutKeys(ctx, rep)) say(...one);
  if (!note.confirmed) say(true, "not yet confirmed by the inviter");
  let lost = 0;
  for (const chain of (await intake.chains(ctx.store, sph)).values()) {
    for (const gap of gaps(chain, state.policy, now(ctx))) if (!gap.silent) lost += gap.last - gap.first + 1;
  }
  say(lost === 0, lost === 0 ? "chains whole" : `${lost} messages missing`, lost === 0 ? "" : "C_GAP");
  for (const [first, last] of stream.leftOut(rep)) {
    const where = first === last ? `position ${first}` : `positions ${first} to ${last}`;
    say(false, `the server shows nothing at ${where} of its list`, "C_GAP");
  }
  const hidden = stream.hiddenHead(rep);
  if (hidden > 0) say(false, `the server names position ${hidden} of its list and does not show what leads up to it`, "C_GAP");
  const called = (id: string): Promise<string> => people.nameOf(ctx.store, state, id);
  for (const { verdict, dv, by, short } of await heads.openOnes(ctx, rep)) {
    const what = verdict === "short" ? `${short} more messages` : "another last message";
    const [signer, owner] = [await called(by), await called(history.ownerOf(dv))];
    const said = `${signer} signed that ${owner} has sent ${what} than the server shows here`;
    say(false, said, verdict === "short" ? "C_GAP" : "C_REPLAY");
  }
  for (const [code, count] of await unfit(ctx, sph)) say(false, `${count} messages did not pass their check`, code);
  for (const item of await queue.items(ctx, sph)) {
    say(item.state !== "failed", `${item.id.slice(0, 8)} ${item.state}`, item.code || "L_QUEUED");
  }
  if (outbox.softMark(ctx, rep)) say(true, "a new key is due with the next message");
  return rows;
}

/** Keys named at most one by one. */
const NAMED = 8;
const HOLDERS = 4;

/** Which keys are missing, who can supply them, and who sent a wrong one (CLT-043). */
async function aboutKeys(ctx: Context, rep: Replica): Promise<[ok: boolean, text: string, code?: string][]> {
  const missing = await keys.missing(ctx, rep);
  const asked = (rep.note["asked"] as Record<number, keys.Asked> | undefined) ?? {};
  const rows: [boolean, string, string?][] = [];
  for (const n of missing.slice(0, NAMED)) {
    const who = (await holders.names(ctx, rep, n)).slice(0, HOLDERS).join(", ") || "nobody who is still here";
    const at = asked[n]?.at;
    const when = at === undefined ? "" : `, asked ${Math.floor(Math.max(0, now(ctx) - at) / 60)} minutes ago`;
    rows.push([false, `key ${n} is missing; ${who} can supply it${when}`, "C_KEY_UNKNOWN"]);
  }
  if (missing.length > NAMED) rows.push([false, `${missing.length - NAMED} more keys are missing`, "C_KEY_UNKNOWN"]);
  if (missing.length === 0) rows.push([true, `${rep.keys.size} keys here`]);
  for (const { name, n } of await holders.wrong(ctx, rep)) {
    const healed = rep.keys.has(n);
    const said = `${name} signed another key ${n} than this sphere's; the proof is kept`;
    rows.push(healed ? [true, `${said}; the right one is here`] : [false, said, "C_KC_MISMATCH"]);
  }
  for (const wish of await older.wishes(ctx, rep)) {
    rows.push([true, `${wish.name} asks for older keys: ${wish.ns.slice(0, NAMED).join(", ")}`]);
  }
  return rows;
}

/** Messages that did not pass, counted by code. */
async function unfit(ctx: Context, sph: string): Promise<Map<string, number>> {
  const found = new Map<string, number>();
  for (const state of ["damaged", "quarantined"]) {
    for (const [, row] of await ctx.store.by<MessageRow>("message", "state", { prefix: [sph, state] })) {
      found.set(row.code, (found.get(row.code) ?? 0) + 1);
    }
  }
  return found;
}
