/**
 * What every transport offers: requests and one live connection. No key is known here, bytes only. Spec: CLT-025.
 */

import type { Bytes } from "../../crypto.ts";

/** Status, body and lower-case headers of one answer. */
export interface Answer {
  readonly status: number;
  readonly body: Bytes;
  readonly headers: Readonly<Record<string, string>>;
}

export interface Socket {
  /** Send one frame. Throws Unreachable when the connection is gone. */
  send(text: string): Promise<void>;
  /** Wait for one frame; `seconds` without one: undefined. Throws Unreachable when the connection ends. */
  receive(seconds: number): Promise<string | undefined>;
  /** Close; may be repeated. */
  close(): Promise<void>;
}

export interface Sent {
  readonly method: string;
  /** Begins with a slash. */
  readonly path: string;
  readonly body?: Uint8Array | undefined;
  readonly token?: string | undefined;
  readonly headers?: Readonly<Record<string, string>> | undefined;
}

/** Requests answered by a relay. `origin` is scheme://host[:port], lower case, the scheme's own port left out. */
export interface Transport {
  readonly origin: string;
  /** Throws Unreachable when no answer came: it may or may not have had its effect. TooLarge. */
  request(sent: Sent): Promise<Answer>;
  /** Open the live connection. Throws Unreachable. */
  connect(path: string): Promise<Socket>;
  close(): Promise<void>;
}
