/**
 * Commits: entries, attachments, shares and perhaps one message that take effect together or not at all.
 *
 * The rules relay and members share; what only members can check is not here. Spec: COM-001 to COM-012.
 */

import { type Bytes, sha256 } from "../crypto.ts";
import {
  BadFormat, CloisterError, Expired, FormatError, Forbidden, IncompleteWraps, KeyUnknown, LogInvalid, NotMember, RelayError,
  StaleEpoch, StaleHead,
} from "../errors.ts";
import { type ChainHead, type Header, admit, linked } from "./chain.ts";
import { b64d, b64e, lp } from "./encoding.ts";
import { type Entry, decode } from "./entry.ts";
import { decode as decodeEnvelope } from "./jws.ts";
import * as machine from "./machine.ts";
import { refuse } from "./permission.ts";
import { LIMITS, rowOf } from "./roles.ts";
import { isObject, kind, shape } from "./shape.ts";
import { type SphereState, activeDevices, wrapsExpected } from "./state.ts";

const FORM = shape({
  idem: "bytes:16", sph: "sph", "base?": "object", entries: `list:${LIMITS.entries}:jws:65536`, attach: "object",
  wraps: `list:${LIMITS.devices}:object`, "link?": "bytes:16-256", "msg?": "jws:262144",
});
const BASE = shape({ seq: "u32", h: "bytes:32" });
const WRAP = shape({ dv: "dv", jws: "jws:8192" });
const HASH = kind("bytes:32");
const REQUEST = kind("jws:65536");

/** The body of a commit request, as it travels. */
export interface Commit {
  idem: string;
  sph: string;
  base?: { seq: number; h: string };
  entries: string[];
  /** H(SI) in base64url -> join request. */
  attach: Record<string, string>;
  wraps: { dv: string; jws: string }[];
  link?: string;
  msg?: string;
}

/** COM-001. Throws FormatError. */
export function fromJson(value: unknown): Commit {
  FORM(value);
  const commit = value as Commit;
  if (commit.base !== undefined) BASE(commit.base);
  if (commit.entries.length === 0 || !isObject(commit.attach)) throw new FormatError("COM-001");
  const attached = Object.entries(commit.attach);
  for (const [digest, compact] of attached) {
    HASH(digest);
    REQUEST(compact);
  }
  if (attached.length > commit.entries.length) throw new FormatError("COM-001");
  commit.wraps.forEach((one) => WRAP(one));
  return commit;
}

function compareBytes(one: Bytes, other: Bytes): number {
  const at = one.findIndex((byte, index) => byte !== other[index]);
  return at < 0 ? 0 : one[at]! - other[at]!;
}

/** What one `idem` may stand for (COM-002). */
export function digest(commit: Commit): Bytes {
  const { sph, base, entries, attach, wraps, link = "", msg = "" } = commit;
  const attached = Object.entries(attach).map(([name, compact]) => [b64d(name), compact] as const);
  attached.sort(([one], [other]) => compareBytes(one, other));
  return sha256(lp(
    "sph/1 commit", sph, base === undefined ? "" : lp(base.seq, b64d(base.h)), lp(...entries), lp(...attached.flat()),
    lp(...wraps.flatMap(({ dv, jws }) => [dv, jws])), b64d(link), msg,
  ));
}

/** COM-003. Throws StaleHead. */
function checkBase(state: SphereState | undefined, commit: Commit): void {
  const head = state && { seq: state.seq, h: b64e(state.digest) };
  const { base } = commit;
  if (base?.seq !== head?.seq || base?.h !== head?.h) throw new StaleHead("COM-003", head && { data: head });
}

/** At most one epoch, and what stands before and after it (COM-005). */
function checkOrder(entries: Entry[]): void {
  const places = entries.map((one) => rowOf(one.op, one.body).place);
  const epoch = places.indexOf("epoch");
  const fits = (at: number): boolean => at === epoch || places[at] === (at < epoch ? "before" : "after");
  if (epoch >= 0 && !places.every((_, at) => fits(at))) refuse("COM-005");
}

/** Shares for exactly the right devices (COM-007). Throws IncompleteWraps. */
function checkWraps(commit: Commit, states: SphereState[]): void {
  const last = states.at(-1)!;
  const by = last.change.by;
  let required = new Set<string>();
  let optional = new Set<string>();
  if (wrapsExpected(last)) {
    const on = (op: string): string[] => states.filter((one) => one.change.op === op).flatMap((one) => one.change.on);
    const active = new Set(activeDevices(last).map((one) => one.dv));
    if (states.some((one) => one.change.epoch)) {
      optional = new Set([by].filter((dv) => active.has(dv)));
      required = new Set([...active].filter((dv) => dv !== by));
    } else {
      required = new Set(on("add").filter((dv) => active.has(dv)));
      optional = new Set(on("device add").filter((dv) => active.has(dv)));
    }
  }
  for (const { dv } of commit.wraps) {
    if (!required.delete(dv) && !optional.delete(dv)) throw new IncompleteWraps("COM-007");
  }
  if (required.size > 0) throw new IncompleteWraps("COM-007");
}

/** The tails of the entries against the chains as stored (COM-009). Throws StaleHead. */
function checkTails(states: SphereState[], heads: ReadonlyMap<string, ChainHead>): void {
  for (const { change } of states) {
    const stored = change.tails.map(({ dv }) => [dv, heads.get(dv)?.seq ?? 0, heads.get(dv)?.digest ?? ""] as const);
    if (change.tails.some((tail, at) => tail.seq !== stored[at]![1] || tail.digest !== stored[at]![2])) {
      throw new StaleHead("COM-009", { data: { heads: stored } });
    }
  }
}

/** The first message under the new state (COM-011), all but its place in the chain. */
async function checkMessage(compact: string, last: SphereState): Promise<Header> {
  const envelope = decodeEnvelope(compact, "sph-msg+1");
  const header = envelope.header as unknown as Header;
  if (header.kid !== last.change.by) refuse("COM-011");
  if (last.mode === "e2ee" && last.hard) throw new StaleEpoch("COM-011");
  await admit(last, undefined, envelope, "any");
  return header;
}

/** The states after each entry of a commit; `heads` are the chains where they are known (COM-003 to COM-011). */
export async function steps(
  state: SphereState | undefined,
  commit: Commit,
  heads?: ReadonlyMap<string, ChainHead>,
): Promise<SphereState[]> {
  checkBase(state, commit);
  const entries = commit.entries.map(decode);
  const attachments = new Map(Object.entries(commit.attach));
  const states: SphereState[] = [];
  let present = state;
  for (const entry of entries) {
    present = present === undefined ? await machine.genesis(entry) : await machine.apply(present, entry, attachments);
    states.push(present);
  }
  const last = states.at(-1)!;
  if (commit.sph !== last.sph) refuse("COM-003");
  if (entries.some((one) => one.kid !== entries[0]!.kid)) refuse("COM-004");
  checkOrder(entries);
  if (last.due !== "") refuse("COM-006");
  const named = new Set(states.map((one) => one.change.join).filter((join) => join !== ""));
  if (named.size !== attachments.size || [...attachments.keys()].some((name) => !named.has(name))) refuse("COM-008");
  checkWraps(commit, states);
  if (commit.link !== undefined) {
    const epoch = states.find((one) => one.change.epoch)?.epoch;
    if (epoch === undefined || epoch.n < 2 || !wrapsExpected(last)) refuse("COM-010");
  }
  const message = commit.msg === undefined ? undefined : await checkMessage(commit.msg, last);
  if (heads !== undefined) checkTails(states, heads);
  if (heads !== undefined && message !== undefined) linked(message, heads.get(last.change.by));
  return states;
}

/** The state after a commit (COM-003 to COM-011). */
export async function applyCommit(
  state: SphereState | undefined,
  commit: Commit,
  heads?: ReadonlyMap<string, ChainHead>,
): Promise<SphereState> {
  return (await steps(state, commit, heads)).at(-1)!;
}

/** How a relay says a failure (COM-012). */
export function asRelayError(error: unknown): unknown {
  if (error instanceof RelayError || !(error instanceof CloisterError)) return error;
  const right = error instanceof LogInvalid && error.data["forbidden"] === true;
  const gone = error instanceof KeyUnknown || error instanceof NotMember || error instanceof Expired;
  return right || gone ? new Forbidden() : new BadFormat();
}
