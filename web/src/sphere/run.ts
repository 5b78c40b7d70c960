/**
 * Verifying messages in runs: one valid signature at the top of a run vouches for all below it, because each message
 * names the one before by its hash. Live and bulk alike.
 *
 * Judges by the reader's own verified log; decides nothing about what is shown. Spec: RUN-001 to RUN-016.
 */

import type { Bytes } from "../crypto.ts";
import { CloisterError, FormatError, SignatureInvalid } from "../errors.ts";
import { b64e } from "../protocol/encoding.ts";
import type { History } from "../protocol/history.ts";
import { rank } from "../protocol/roles.ts";
import type { Tail } from "../protocol/state.ts";
import { type Chain, EMPTY, type Run, below, insert, trim } from "./chains.ts";
import type { EpochKey } from "./epoch.ts";
import * as messages from "./message.ts";
import type { Message } from "./message.ts";
import type { Payload } from "./payload.ts";

/**
 * authentic: taken. duplicate: held already. version: another authentic message stands at its seq (RUN-006).
 * waiting: kept, may become authentic. refused: not used; when authentic it keeps its place in the chain.
 */
export type Status = "authentic" | "duplicate" | "version" | "waiting" | "refused";

export interface Verdict {
  status: Status;
  code: string;
  message: Message | undefined;
  /** H of the held message it takes the place of, base64url, else empty (RUN-006). */
  replaces: string;
}

export interface Page {
  /** One for each frame, in their order. */
  verdicts: Verdict[];
  /** The chains after the page; those of other devices are as they were. */
  chains: Map<string, Chain>;
  /** What held messages of the page's devices name and nobody holds: [dv, seq, H]. */
  named: [string, number, string][];
  /** Highest ls beyond the log that a known device vouches for, or 0 (RUN-014). */
  ahead: number;
}

/** H of authentic messages held, base64url, by name. */
export type Known = ReadonlyMap<string, string>;

/** The name of a message under which a reader keeps its H. */
export function known(dv: string, seq: number): string {
  return `${dv}:${seq}`;
}

type Frame = { at: number; message: Message };

const BAD_SIGNATURE = "C_SIG";
const GAP = "C_GAP";
const NOT_MEMBER = "C_NOT_MEMBER";
const REPLAY = "C_REPLAY";
const LOG_INVALID = "C_LOG_INVALID";

function runOf({ head, link }: Message): Run {
  const { seq, ph, ls, iat } = head;
  return { first: seq, ph, firstLs: ls, last: seq, link, under: ph, underLs: 0, ls, tries: head.try ?? 0, iat };
}

/** The ending tails of a device (RUN-009). */
function cutsOf(log: History, dv: string): Tail[] {
  return log.tails(dv).filter((one) => one.end);
}

/** A frame spoken without a right at ls (RUN-002): RUN-007 as far as rights go, and what lies beyond a cut (RUN-009). */
function barred(log: History, { head }: Message): boolean {
  if (!log.active(head.kid, head.ls)) return true;
  const guest = log.roleAt(log.ownerOf(head.kid), head.ls) === "guest";
  if (guest && log.policyAt(head.ls).guests === "read") return true;
  return cutsOf(log, head.kid).some((tail) => head.seq > tail.seq && head.ls < tail.at);
}

/** What the log says of an authentic message (RUN-007, RUN-016). */
function logSays(log: History, { head }: Message): { status: Status; code: string } {
  if (b64e(log.digest(head.ls)) !== head.lh) return { status: "waiting", code: "C_LOG_FORK" };
  const sealed = head.enc === "A256GCM";
  const epoch = log.epochAt(head.ls);
  if (log.modeAt(head.ls) === "e2ee") {
    if (!sealed && !log.policyAt(head.ls).plaintext) return { status: "refused", code: "C_DOWNGRADE" };
    if (epoch === undefined || log.hardBetween(epoch.seq, head.ls)) return { status: "refused", code: LOG_INVALID };
  } else if (sealed) {
    return { status: "refused", code: "C_DOWNGRADE" };
  }
  if (head.ep !== (epoch?.n ?? 0)) return { status: "refused", code: LOG_INVALID };
  return { status: "authentic", code: "" };
}

/** Judges what one page brings of one device. */
class Judge {
  readonly #runs: Run[];
  readonly #cuts: Tail[];
  readonly #dk: Bytes;
  readonly #waiting = new Map<number, Frame[]>();
  /** What taken successors name, by the seq of what they name. */
  readonly #named = new Map<number, string>();

  constructor(
    readonly log: History,
    readonly dv: string,
    readonly chain: Chain,
    readonly verdicts: Verdict[],
  ) {
    this.#runs = [...chain.runs];
    this.#cuts = cutsOf(log, dv);
    this.#dk = log.keyOf(dv);
  }

  async judge(frames: Frame[]): Promise<Chain> {
    for (const frame of frames) this.#sortOut(frame);
    const taken: { frame: Frame; replaces: string }[] = [];
    for (const run of this.#runs) if (this.#reachesCut(run)) this.#named.set(run.first - 1, run.ph);
    for (const seq of [...this.#waiting.keys()].sort((a, b) => b - a)) {
      const found = await this.#choose(seq, this.#waiting.get(seq)!);
      if (found === undefined) continue;
      taken.push(found);
      this.#names(seq, found.frame.message.head.ph);
    }
    // upwards, so that each is compared with what stands below it (RUN-008)
    for (const { frame, replaces } of taken.reverse()) {
      const { status, code } = this.#standing(frame.message);
      this.#say(frame, status, code, replaces);
      insert(this.#runs, runOf(frame.message));
    }
    const floor = trim(this.#runs, this.chain.floor);
    return { runs: this.#runs, floor };
  }

  #say({ at, message }: Frame, status: Status, code: string, replaces = ""): void {
    this.verdicts[at] = { status, code, message, replaces };
  }

  /** The held run that covers seq. */
  #covering(seq: number): Run | undefined {
    const run = this.#runs[below(this.#runs, seq)];
    return run !== undefined && seq <= run.last ? run : undefined;
  }

  /** Whether what a held run names is joined to where the chain was cut (RUN-009). */
  #reachesCut(run: Run): boolean {
    const cut = this.#cut(run.first - 1);
    return cut === undefined || run.last > cut.seq || (run.last === cut.seq && run.link === cut.digest);
  }

  /** A message taken at `seq` names the one before it, and so what a held run ending there names. */
  #names(seq: number, ph: string): void {
    this.#named.set(seq - 1, ph);
    const run = this.#covering(seq - 1);
    if (run?.last === seq - 1 && run.link === ph) this.#named.set(run.first - 1, run.ph);
  }

  /** What is held already, and what stands where it cannot come in (RUN-005, RUN-012). */
  #sortOut(frame: Frame): void {
    const { head: { seq }, link } = frame.message;
    const run = this.#covering(seq);
    const top = run?.last === seq ? run : undefined;
    if (top?.link === link) this.#say(frame, "duplicate", "");
    else if (seq <= this.chain.floor || (run !== undefined && top === undefined)) {
      this.#say(frame, "refused", REPLAY);
    } else this.#waiting.set(seq, [...(this.#waiting.get(seq) ?? []), frame]);
  }

  async #signed({ message }: Frame): Promise<boolean> {
    try {
      await messages.verify(message, this.#dk);
      return true;
    } catch (error) {
      if (error instanceof SignatureInvalid || error instanceof FormatError) return false;
      throw error;
    }
  }

  /** The cut a message must be joined to: the nearest at or above it (RUN-009). */
  #cut(seq: number): Tail | undefined {
    return this.#cuts.filter((one) => one.seq >= seq).sort((a, b) => a.seq - b.seq)[0];
  }

  /** Of the messages at one seq the one that stands; the others get their verdicts (RUN-003, RUN-006, RUN-009). */
  async #choose(seq: number, rivals: Frame[]): Promise<{ frame: Frame; replaces: string } | undefined> {
    const name = this.#named.get(seq);
    const top = this.#covering(seq);
    const cut = this.#cut(seq);
    const only = cut?.seq === seq ? cut.digest : cut && name;
    const authentic: Frame[] = [];
    for (const frame of rivals) {
      const { link } = frame.message;
      if (cut !== undefined && only === undefined) this.#say(frame, "waiting", GAP);
      else if (cut !== undefined && link !== only) this.#say(frame, "refused", NOT_MEMBER);
      else if (link === name || authentic.some((one) => one.message.link === link)) authentic.push(frame);
      else if (await this.#signed(frame)) authentic.push(frame);
      else this.#say(frame, "waiting", BAD_SIGNATURE);
    }
    const best = this.#best(authentic, name, top);
    for (const frame of authentic) {
      if (frame.message.link === best?.message.link) this.#say(frame, "duplicate", "");
      else this.#say(frame, "version", REPLAY);
    }
    return best && { frame: best, replaces: top?.link ?? "" };
  }

  /** The one a successor names; else the highest try among those with the ph of what is held or came first (RUN-006). */
  #best(authentic: Frame[], name: string | undefined, top: Run | undefined): Frame | undefined {
    const named = authentic.find((one) => one.message.link === name);
    if (named !== undefined && (top === undefined || top.first === top.last || named.message.head.ph === top.under)) return named;
    if (top !== undefined && top.link === name) return undefined;
    const ph = top?.under ?? authentic[0]?.message.head.ph;
    let best: Frame | undefined;
    let tries = top === undefined ? -1 : top.tries;
    for (const frame of authentic) {
      const { head } = frame.message;
      if (head.ph !== ph || (head.try ?? 0) <= tries) continue;
      best = frame;
      tries = head.try ?? 0;
    }
    return best;
  }

  /** The log's say, and whether ls goes on upwards along the chain (RUN-007, RUN-008). */
  #standing(message: Message): { status: Status; code: string } {
    const { seq, ls } = message.head;
    const at = below(this.#runs, seq);
    const lower = this.#runs[at];
    const replaced = lower?.last === seq;
    const before = replaced && lower.first < lower.last ? lower.underLs : replaced ? this.#runs[at - 1]?.ls : lower?.ls;
    const said = logSays(this.log, message);
    if (said.status !== "authentic") return said;
    if (ls < (before ?? 0) || ls > (this.#runs[at + 1]?.firstLs ?? Infinity)) return { status: "refused", code: LOG_INVALID };
    return said;
  }
}

/** A frame as far as its form goes: the message, or the code of what is wrong with it. */
export interface Read {
  message: Message | undefined;
  code: string;
}

/** Read one frame; nothing is verified. */
export function readFrame(compact: string): Read {
  try {
    return { message: messages.decode(compact), code: "" };
  } catch (error) {
    if (!(error instanceof FormatError)) throw error;
    return { message: undefined, code: error.code };
  }
}

/** Judge a page of frames against the log and the chains held (RUN-001 to RUN-016). */
export function verifyPage(
  frames: readonly string[],
  log: History,
  chains: ReadonlyMap<string, Chain>,
  sph: string,
  held: Known = new Map(),
): Promise<Page> {
  return verifyRead(frames.map(readFrame), log, chains, sph, held);
}

/** As `verifyPage`, of frames already read. */
export async function verifyRead(
  frames: readonly Read[],
  log: History,
  chains: ReadonlyMap<string, Chain>,
  sph: string,
  held: Known = new Map(),
): Promise<Page> {
  const verdicts: Verdict[] = new Array<Verdict>(frames.length);
  const groups = new Map<string, Frame[]>();
  let ahead = 0;
  for (const [at, { message, code: wrong }] of frames.entries()) {
    const say = (status: Status, code: string): void => {
      verdicts[at] = { status, code, message, replaces: "" };
    };
    if (message === undefined) {
      say("refused", wrong);
      continue;
    }
    const { kid, ls } = message.head;
    const beyond = ls > log.seq;
    const stranger = !log.knows(kid);
    if (message.head.sph !== sph) say("refused", REPLAY);
    else if (held.get(known(kid, message.head.seq)) === message.link) say("duplicate", "");
    else if (stranger) say(beyond ? "waiting" : "refused", "C_KEY_UNKNOWN");
    else if (beyond) {
      try {
        await messages.verify(message, log.keyOf(kid));
        ahead = Math.max(ahead, ls);
        say("waiting", GAP);
      } catch (error) {
        if (!(error instanceof CloisterError)) throw error;
        say("waiting", BAD_SIGNATURE);
      }
    } else if (barred(log, message)) say("refused", NOT_MEMBER);
    else {
      const group = groups.get(kid);
      if (group === undefined) groups.set(kid, [{ at, message }]);
      else group.push({ at, message });
    }
  }
  const after = new Map(chains);
  const named: Page["named"] = [];
  for (const [dv, group] of groups) {
    const chain = await new Judge(log, dv, chains.get(dv) ?? EMPTY, verdicts).judge(group);
    after.set(dv, chain);
    for (const run of chain.runs) if (run.first - 1 > chain.floor) named.push([dv, run.first - 1, run.ph]);
  }
  return { verdicts, chains: after, named, ahead };
}

/** The role that counts for a message (RUN-010). */
export function roleFor(log: History, dv: string, seq: number, ls: number): string {
  const owner = log.ownerOf(dv);
  const lowered = log.tails(dv).filter((one) => !one.end && one.at > ls && one.seq < seq);
  const roles = [log.roleAt(owner, ls), ...lowered.map((one) => log.roleAt(owner, one.at))];
  return roles.reduce((lowest, role) => (rank(role) < rank(lowest) ? role : lowest));
}

export interface Opened {
  verdict: Verdict;
  payload: Payload | undefined;
  /** Why it could not be opened, or empty (RUN-015). */
  code: string;
  author: string;
  role: string;
}

/** Open what is authentic, versions too, which are compared by their `cid` (RUN-006, RUN-015). */
export async function openPage(
  verdicts: readonly Verdict[],
  keys: ReadonlyMap<number, EpochKey>,
  log: History,
): Promise<Opened[]> {
  const wanted = verdicts.filter((one) => one.message !== undefined && (one.status === "authentic" || one.status === "version"));
  return Promise.all(wanted.map(async (verdict): Promise<Opened> => {
    const message = verdict.message!;
    const { kid, ep, ls, seq } = message.head;
    const author = log.ownerOf(kid);
    const role = roleFor(log, kid, seq, ls);
    try {
      const payload = await messages.open(message, keys.get(ep), log.modeAt(ls));
      return { verdict, payload, code: "", author, role };
    } catch (error) {
      if (!(error instanceof CloisterError)) throw error;
      return { verdict, payload: undefined, code: error.code, author, role };
    }
  }));
}
