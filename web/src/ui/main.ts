/**
 * Where the page begins: it makes its worker and asks it for everything else, and has its files kept.
 *
 * The policy of the relay turns no string into a script's address but by the policy named `cloister`, which passes the
 * addresses of this application's own worker and service worker and nothing else. Spec: WEB-003, WEB-004, WEB-014.
 */

import worker from "../client/worker.ts?worker&url";
import type { Told } from "../client/pipe.ts";
import { connect } from "../client/remote.ts";
import { begin } from "./begin.ts";
import { aside } from "./state/aside.ts";

const KEEPER = "/service-worker.js";

interface Policy {
  createScriptURL(text: string): string | URL;
}

const rules: Policy = {
  createScriptURL: (text) => {
    if (text !== worker && text !== KEEPER) throw new TypeError("not an address of this application");
    return text;
  },
};
/** Addresses as the browser wants them: by the policy where it knows policies, else as they are. */
const { trustedTypes } = globalThis as { trustedTypes?: { createPolicy(name: string, rules: Policy): Policy } };
const policy = trustedTypes?.createPolicy("cloister", rules) ?? rules;

/** Without it the application needs the network to start; nothing else changes. */
async function keepFiles(): Promise<void> {
  if (!("serviceWorker" in navigator)) return;
  try {
    await navigator.serviceWorker.register(policy.createScriptURL(KEEPER), { scope: "/", updateViaCache: "none" });
  } catch {
    // Refused: a browser that keeps nothing.
  }
}

/** Connections to other browsers, for the worker (LIVE-016); loaded when it asks for the first. */
function serve(port: MessagePort): void {
  let taking: Promise<(told: Told) => void> | undefined;
  port.onmessage = ({ data }: MessageEvent<Told>) => {
    taking ??= import("./pipe.ts").then(({ pipes }) => pipes(port));
    aside(taking.then((take) => take(data)));
  };
}

begin(document.getElementById("app")!, () => {
  const made = new Worker(policy.createScriptURL(worker), { type: "module", name: "cloister" });
  const { port1, port2 } = new MessageChannel();
  made.postMessage({ pipes: port2 }, [port2]);
  serve(port1);
  return connect(made, () => navigator.storage.persisted());
});
aside(keepFiles());
