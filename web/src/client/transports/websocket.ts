/**
 * The live connection over the platform's WebSocket: frames of text, one after another. Spec: CLT-025 (RFC 6455).
 */

import { Unreachable } from "../../errors.ts";
import type { Socket } from "./base.ts";

/** A coalesced frame holds up to a page of envelopes; the relay's own limit is lower. */
const MAX_FRAME = 16 * 1024 * 1024;
/** Seconds until a connection has to stand. */
const PATIENCE = 10;

/** The part of the platform's WebSocket that is used. */
export interface RawSocket {
  onopen: ((event: never) => void) | null;
  onclose: ((event: never) => void) | null;
  onerror: ((event: never) => void) | null;
  onmessage: ((event: { readonly data: unknown } & never) => void) | null;
  readonly readyState: number;
  send(text: string): void;
  close(): void;
}

export type SocketMaker = (url: string) => RawSocket;

const platform: SocketMaker = (url) => new WebSocket(url) as unknown as RawSocket;
const OPEN = 1;

/** Connect. Throws Unreachable. */
export function openSocket(url: string, make: SocketMaker = platform): Promise<Socket> {
  return new Promise((done, failed) => {
    let raw: RawSocket;
    try {
      raw = make(url);
    } catch {
      failed(new Unreachable("live connection"));
      return;
    }
    const lost = (): void => {
      clearTimeout(timer);
      raw.onopen = raw.onclose = raw.onerror = null;
      raw.close();
      failed(new Unreachable("live connection"));
    };
    const timer = setTimeout(lost, PATIENCE * 1000);
    raw.onclose = raw.onerror = lost;
    raw.onopen = () => {
      clearTimeout(timer);
      done(standing(raw));
    };
  });
}

function standing(raw: RawSocket): Socket {
  const frames: string[] = [];
  let ended = false;
  let wake = (): void => {};
  const end = (): void => {
    ended = true;
    wake();
  };
  raw.onclose = raw.onerror = end;
  raw.onmessage = ({ data }: { readonly data: unknown }) => {
    if (typeof data !== "string" || data.length > MAX_FRAME) raw.close();
    else {
      frames.push(data);
      wake();
    }
  };
  return {
    send: async (text) => {
      if (ended || raw.readyState !== OPEN) throw new Unreachable("live connection closed");
      raw.send(text);
    },
    receive: async (seconds) => {
      if (frames.length === 0 && !ended) {
        await new Promise<void>((done) => {
          const timer = setTimeout(done, seconds * 1000);
          wake = () => {
            clearTimeout(timer);
            done();
          };
        });
      }
      const frame = frames.shift();
      if (frame === undefined && ended) throw new Unreachable("live connection ended");
      return frame;
    },
    close: async () => {
      raw.close();
      end();
    },
  };
}
