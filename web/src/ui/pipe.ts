/**
 * The pipe: a data channel between two browsers, made when the worker asks for it (`client/pipe.ts`).
 *
 * No server is named to it, so it finds only machines of its own local network. Texts go through as they are; everything is
 * judged in the worker. Spec: LIVE-016 to LIVE-018.
 */

import type { Said, Told, Way } from "../client/pipe.ts";
import { describe, wayOf } from "./description.ts";
import { aside } from "./state/aside.ts";

/** Milliseconds until what was found of this machine is enough, and after which every pipe ends. */
const GATHERED = 1000;
const OVER = 120_000;
/** What one pipe takes in: texts, and characters of each. */
const MAX_TEXTS = 4;
const MAX_TEXT = 16_384;

type Without<T> = T extends unknown ? Omit<T, "n"> : never;
type Say = (said: Without<Said>) => void;

class End {
  readonly #peer = new RTCPeerConnection({ iceServers: [] });
  readonly #channel = this.#peer.createDataChannel("sph", { negotiated: true, id: 0 });
  readonly #say: Say;
  readonly #timer = setTimeout(() => this.close(), OVER);
  #heard = 0;
  #over = false;

  constructor(say: Say) {
    this.#say = say;
    this.#channel.onopen = () => this.#say({ k: "open" });
    this.#channel.onclose = () => this.close();
    this.#channel.onmessage = ({ data }: MessageEvent<unknown>) => this.#take(data);
    this.#peer.ondatachannel = () => this.close(); // one channel, and this is not it
    this.#peer.onconnectionstatechange = () => {
      if (this.#peer.connectionState === "failed") this.close();
    };
  }

  #take(data: unknown): void {
    this.#heard += 1;
    if (typeof data !== "string" || data.length > MAX_TEXT || this.#heard > MAX_TEXTS) this.close();
    else this.#say({ k: "text", text: data });
  }

  /** Find where this side can be met; answer where the other side is known. */
  async make(other: Way | undefined): Promise<void> {
    if (other !== undefined) await this.#peer.setRemoteDescription({ type: "offer", sdp: describe(other, "offer") });
    await this.#peer.setLocalDescription();
    await this.#gathered();
    const way = wayOf(this.#peer.localDescription?.sdp ?? "");
    if (way === undefined) this.close();
    else if (!this.#over) this.#say({ k: "made", way });
  }

  #gathered(): Promise<void> {
    return new Promise((done) => {
      const look = (): void => {
        if (this.#peer.iceGatheringState === "complete") done();
      };
      this.#peer.onicegatheringstatechange = look;
      setTimeout(done, GATHERED);
      look();
    });
  }

  meet(way: Way): Promise<void> {
    return this.#peer.setRemoteDescription({ type: "answer", sdp: describe(way, "answer") });
  }

  send(text: string): void {
    if (this.#channel.readyState === "open") this.#channel.send(text);
  }

  close(): void {
    if (this.#over) return;
    this.#over = true;
    clearTimeout(this.#timer);
    this.#peer.close();
    this.#say({ k: "closed" });
  }
}

/** The part of a message port that is used. */
export interface Port {
  postMessage(said: Said): void;
}

/** Does what the worker says; returns what takes it. */
export function pipes(port: Port): (told: Told) => void {
  const ends = new Map<number, End>();

  function make(n: number, other: Way | undefined): void {
    if (!("RTCPeerConnection" in globalThis)) {
      port.postMessage({ k: "closed", n });
      return;
    }
    const end = new End((said) => {
      if (said.k === "closed") ends.delete(n);
      port.postMessage({ ...said, n });
    });
    ends.set(n, end);
    aside(end.make(other), () => end.close());
  }

  return (told) => {
    const end = ends.get(told.n);
    if (told.k === "make") make(told.n, told.other);
    else if (end === undefined) return;
    else if (told.k === "meet") aside(end.meet(told.way), () => end.close());
    else if (told.k === "send") end.send(told.text);
    else end.close();
  };
}
