/**
 * What was true after any entry of a log. Grows by one state at a time; each question costs a binary search.
 *
 * Plain arrays and maps of plain values, which a browser's store takes as they are. Spec: LOG-020 to LOG-023.
 */

import type { Bytes } from "../crypto.ts";
import { Gap, KeyUnknown, LogInvalid } from "../errors.ts";
import type { Epoch, Policy, SphereState, Tail } from "./state.ts";

interface Known {
  owner: string;
  dk: Bytes;
  /** Spans of activity [from, to), the last one open while the device is active. */
  spans: { from: number; to: number }[];
}

type Since<T> = { at: number; value: T }[];

/** Everything but the digests and the state at the head, as plain data. */
export interface HistoryDump {
  readonly epochs: Since<Epoch>;
  readonly marks: Since<true>;
  readonly modes: Since<string>;
  readonly policies: Since<Policy>;
  readonly roles: ReadonlyMap<string, Since<string>>;
  /** Spans with `to` -1 while open: a record of the store knows no infinity. */
  readonly devices: ReadonlyMap<string, Known>;
  readonly tails: ReadonlyMap<string, Tail[]>;
}

/** The last value set not after `seq`. */
function at<T>(values: Since<T> | undefined, seq: number): T | undefined {
  if (values === undefined) return undefined;
  let [low, high] = [0, values.length];
  while (low < high) {
    const middle = (low + high) >> 1;
    if (values[middle]!.at <= seq) low = middle + 1;
    else high = middle;
  }
  return values[low - 1]?.value;
}

export class History {
  readonly #digests: Bytes[] = [];
  readonly #epochs: Since<Epoch> = [];
  readonly #marks: Since<true> = [];
  readonly #modes: Since<string> = [];
  readonly #policies: Since<Policy> = [];
  readonly #roles = new Map<string, Since<string>>();
  readonly #devices = new Map<string, Known>();
  readonly #tails = new Map<string, Tail[]>();
  #state: SphereState;

  /** Begins with the state after entry 0; `digests` only to load what was dumped. */
  constructor(state: SphereState, digests?: readonly Bytes[]) {
    this.#state = state;
    if (digests !== undefined) {
      this.#digests.push(...digests);
      return;
    }
    if (state.seq !== 0) throw new LogInvalid("LOG-020");
    this.#take(state);
  }

  get sph(): string {
    return this.#state.sph;
  }

  /** The next state. */
  append(state: SphereState): void {
    if (state.seq !== this.#digests.length) throw new LogInvalid("LOG-020");
    this.#take(state);
  }

  #take(state: SphereState): void {
    const { seq, change } = state;
    this.#state = state;
    this.#digests.push(state.digest);
    if (change.epoch) this.#epochs.push({ at: seq, value: state.epoch! });
    if (change.hard) this.#marks.push({ at: seq, value: true });
    if (change.mode) this.#modes.push({ at: seq, value: state.mode });
    if (change.policy) this.#policies.push({ at: seq, value: state.policy });
    for (const [id, role] of change.roles) {
      const held = this.#roles.get(id) ?? [];
      this.#roles.set(id, held);
      held.push({ at: seq, value: role });
    }
    for (const dv of change.off) this.#devices.get(dv)!.spans.at(-1)!.to = seq;
    for (const dv of change.on) {
      const { owner, dk } = state.devices.get(dv)!;
      const known = this.#devices.get(dv) ?? { owner, dk, spans: [] };
      this.#devices.set(dv, known);
      known.spans.push({ from: seq, to: Infinity });
    }
    for (const tail of change.tails) {
      const held = this.#tails.get(tail.dv) ?? [];
      this.#tails.set(tail.dv, held);
      held.push(tail);
    }
  }

  /** For the store; the digests are kept beside it. */
  dump(): HistoryDump {
    const devices = [...this.#devices].map(([dv, { owner, dk, spans }]): [string, Known] =>
      [dv, { owner, dk, spans: spans.map(({ from, to }) => ({ from, to: to === Infinity ? -1 : to })) }]);
    return {
      epochs: this.#epochs, marks: this.#marks, modes: this.#modes, policies: this.#policies, roles: this.#roles,
      devices: new Map(devices), tails: this.#tails,
    };
  }

  /** Inverse of `dump`, with the digests of all entries and the state after the last. Throws LogInvalid. */
  static load(dump: HistoryDump, digests: readonly Bytes[], state: SphereState): History {
    if (digests.length !== state.seq + 1) throw new LogInvalid("LOG-020");
    const made = new History(state, digests);
    made.#epochs.push(...dump.epochs);
    made.#marks.push(...dump.marks);
    made.#modes.push(...dump.modes);
    made.#policies.push(...dump.policies);
    for (const [id, held] of dump.roles) made.#roles.set(id, [...held]);
    for (const [dv, { owner, dk, spans }] of dump.devices) {
      made.#devices.set(dv, { owner, dk, spans: spans.map(({ from, to }) => ({ from, to: to < 0 ? Infinity : to })) });
    }
    for (const [dv, held] of dump.tails) made.#tails.set(dv, [...held]);
    return made;
  }

  /** The state at the head. */
  get state(): SphereState {
    return this.#state;
  }

  /** Position of the head. */
  get seq(): number {
    return this.#digests.length - 1;
  }

  /** H(SI) of an entry (LOG-020). Throws Gap. */
  digest(seq: number): Bytes {
    const found = this.#digests[seq];
    if (found === undefined) throw new Gap("LOG-020");
    return found;
  }

  /** Epoch n (LOG-022). Throws KeyUnknown. */
  epoch(n: number): Epoch {
    const found = this.#epochs[n - 1];
    if (found === undefined) throw new KeyUnknown("LOG-022");
    return found.value;
  }

  epochs(): Epoch[] {
    return this.#epochs.map((one) => one.value);
  }

  epochAt(seq: number): Epoch | undefined {
    return at(this.#epochs, seq);
  }

  /** Whether an entry after `after`, up to and including `upto`, marks hard (LOG-022). */
  hardBetween(after: number, upto: number): boolean {
    let [low, high] = [0, this.#marks.length];
    while (low < high) {
      const middle = (low + high) >> 1;
      if (this.#marks[middle]!.at <= after) low = middle + 1;
      else high = middle;
    }
    return low < this.#marks.length && this.#marks[low]!.at <= upto;
  }

  #known(dv: string): Known {
    const found = this.#devices.get(dv);
    if (found === undefined) throw new KeyUnknown("LOG-021");
    return found;
  }

  /** Whether the log ever knew a device. */
  knows(dv: string): boolean {
    return this.#devices.has(dv);
  }

  /** Whether a device was active at a position (LOG-021). */
  active(dv: string, seq: number): boolean {
    return this.#devices.get(dv)?.spans.some((span) => span.from <= seq && seq < span.to) ?? false;
  }

  /** Where the present span of an active device began. */
  activeSince(dv: string): number | undefined {
    const last = this.#devices.get(dv)?.spans.at(-1);
    return last?.to === Infinity ? last.from : undefined;
  }

  /** The owner of a device, also long after its end (LOG-021). Throws KeyUnknown. */
  ownerOf(dv: string): string {
    return this.#known(dv).owner;
  }

  /** The signing key of a device (LOG-021). Throws KeyUnknown. */
  keyOf(dv: string): Bytes {
    return this.#known(dv).dk;
  }

  roleAt(id: string, seq: number): string {
    return at(this.#roles.get(id), seq) ?? "none";
  }

  modeAt(seq: number): string {
    return at(this.#modes, seq)!;
  }

  policyAt(seq: number): Policy {
    return at(this.#policies, seq)!;
  }

  /** The tail that ended a device's chain, while the device is not active (LOG-023). */
  tail(dv: string): Tail | undefined {
    if (this.activeSince(dv) !== undefined) return undefined;
    return this.tails(dv).filter((one) => one.end).at(-1);
  }

  /** All tails of a device, in order (LOG-023). */
  tails(dv: string): readonly Tail[] {
    return this.#tails.get(dv) ?? [];
  }
}
