/**
 * What the worker asks of its page for a data channel: a pipe between two browsers, which knows no key and judges nothing.
 *
 * Connections between browsers exist in pages only. The page makes one when it is told to, hands texts through that are
 * signed and sealed already, and says when it is over. Spec: LIVE-016 to LIVE-018, WEB-003.
 */

import type { Way } from "../sphere/live.ts";

export type { Way } from "../sphere/live.ts";

/** One connection of this side. */
export interface Pipe {
  /** Where this side can be met. */
  readonly way: Way;
  /** Whether it opened; false when it ended before. */
  readonly open: Promise<boolean>;
  readonly closed: Promise<void>;
  /** Of who called: where the other side can be met. */
  readonly meet: (way: Way) => void;
  readonly send: (text: string) => void;
  readonly close: () => void;
}

/** Makes pipes: one that calls, or one that answers `other`. Undefined where this browser cannot or would show an address. */
export type Pipes = (other: Way | undefined, hear: (text: string) => void) => Promise<Pipe | undefined>;

/** Worker to page; `n` names the pipe. */
export type Told =
  | { readonly k: "make"; readonly n: number; readonly other: Way | undefined }
  | { readonly k: "meet"; readonly n: number; readonly way: Way }
  | { readonly k: "send"; readonly n: number; readonly text: string }
  | { readonly k: "close"; readonly n: number };

/** Page to worker. */
export type Said =
  | { readonly k: "made"; readonly n: number; readonly way: Way }
  | { readonly k: "open"; readonly n: number }
  | { readonly k: "closed"; readonly n: number }
  | { readonly k: "text"; readonly n: number; readonly text: string };

/** The part of a message port that is used. */
export interface Port {
  postMessage(told: Told): void;
  onmessage: ((event: MessageEvent<Said>) => void) | null;
}

interface End {
  readonly said: (one: Said) => void;
}

/** Pipes of the page at the other end of a port. */
export function pipesOf(port: Port): Pipes {
  const ends = new Map<number, End>();
  let last = 0;
  port.onmessage = ({ data }) => ends.get(data.n)?.said(data);

  return (other, hear) => new Promise((made) => {
    last += 1;
    const n = last;
    let opened = (_: boolean): void => undefined;
    let over = (): void => undefined;
    const open = new Promise<boolean>((done) => (opened = done));
    const closed = new Promise<void>((done) => (over = done));
    const end = (): void => {
      ends.delete(n);
      opened(false);
      over();
      made(undefined);
    };
    const close = (): void => {
      if (ends.has(n)) port.postMessage({ k: "close", n });
      end();
    };
    const said = (one: Said): void => {
      if (one.k === "text") hear(one.text);
      else if (one.k === "open") opened(true);
      else if (one.k === "closed") end();
      else if (one.k === "made") {
        made({
          way: one.way, open, closed, close,
          meet: (way) => port.postMessage({ k: "meet", n, way }),
          send: (text) => port.postMessage({ k: "send", n, text }),
        });
      }
    };
    ends.set(n, { said });
    port.postMessage({ k: "make", n, other });
  });
}
