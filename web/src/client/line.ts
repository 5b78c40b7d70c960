/**
 * One live connection as a line of records: frames out, records in, answers to what was sent over it.
 *
 * Answers are given as they arrive, also while earlier records are still being worked on: whoever waits for one may hold
 * the very sphere that work is about. Knows frames; decides nothing. Spec: STR-010 to STR-014, CLT-033.
 */

import { FormatError, Unreachable, relayError } from "../errors.ts";
import type { Line as Sender } from "./context.ts";
import type { Socket } from "./transports/base.ts";

export type Record_ = Readonly<Record<string, unknown>>;

/** Seconds without an answer after which a message's fate is not known. */
const PATIENCE = 30;
const LISTEN = 60;

interface Asked {
  readonly done: (record: Record_) => void;
  readonly failed: (error: Error) => void;
}

export class Line implements Sender {
  readonly #socket: Socket;
  readonly #asked = new Map<number, Asked>();
  #records: Record_[] = [];
  #broken: Error | undefined = undefined;
  #wake = (): void => {};
  #number = 0;

  constructor(socket: Socket) {
    this.#socket = socket;
  }

  /** Take what arrives until the connection ends; never throws. */
  async listen(): Promise<void> {
    try {
      for (;;) {
        const frame = await this.#socket.receive(LISTEN);
        if (frame !== undefined) this.#take(recordsOf(frame));
      }
    } catch (error) {
      this.#broken = error instanceof Error ? error : new Unreachable("live connection");
      for (const { failed } of this.#asked.values()) failed(new Unreachable("live connection ended"));
      this.#asked.clear();
      this.#wake();
    }
  }

  #take(records: readonly Record_[]): void {
    for (const record of records) {
      const asked = typeof record["i"] === "number" ? this.#asked.get(record["i"]) : undefined;
      if (asked === undefined) {
        this.#records.push(record);
        continue;
      }
      this.#asked.delete(record["i"] as number);
      const { t: _, i: __, ...said } = record;
      if (record["t"] === "ok") asked.done(record);
      else asked.failed(relayError(said));
    }
    this.#wake();
  }

  /** What has arrived since the last look; waits for something up to `seconds`. Throws what ended the connection. */
  async next(seconds: number): Promise<readonly Record_[]> {
    if (this.#records.length === 0 && this.#broken === undefined) {
      await new Promise<void>((done) => {
        const timer = setTimeout(done, seconds * 1000);
        this.#wake = () => {
          clearTimeout(timer);
          done();
        };
      });
      this.#wake = () => {};
    }
    const found = this.#records;
    this.#records = [];
    if (found.length === 0 && this.#broken !== undefined) throw this.#broken;
    return found;
  }

  /** Say one record; its number is put in. */
  async say(record: Record_): Promise<number> {
    this.#number += 1;
    const i = this.#number;
    await this.#socket.send(JSON.stringify([record["t"] === "auth" ? record : { ...record, i }]));
    return i;
  }

  /** Post a message (STR-014). Throws the RelayError the relay names, Unreachable. */
  async send(jws: string): Promise<number> {
    if (this.#broken !== undefined) throw new Unreachable("live connection ended");
    const i = this.#number + 1;
    const answer = new Promise<Record_>((done, failed) => {
      const timer = setTimeout(() => {
        this.#asked.delete(i);
        failed(new Unreachable("live connection is silent"));
      }, PATIENCE * 1000);
      this.#asked.set(i, {
        done: (record) => {
          clearTimeout(timer);
          done(record);
        },
        failed: (error) => {
          clearTimeout(timer);
          failed(error);
        },
      });
    });
    const [{ pos }] = await Promise.all([answer, this.say({ t: "send", jws })]);
    if (typeof pos !== "number" || !Number.isSafeInteger(pos)) throw new FormatError("live answer");
    return pos;
  }

  close(): Promise<void> {
    return this.#socket.close();
  }
}

function recordsOf(frame: string): Record_[] {
  let value: unknown;
  try {
    value = JSON.parse(frame);
  } catch {
    throw new FormatError("live frame");
  }
  const fits = Array.isArray(value) && value.every((one) => typeof one === "object" && one !== null && !Array.isArray(one));
  if (!fits) throw new FormatError("live frame");
  return value as Record_[];
}
