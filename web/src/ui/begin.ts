/**
 * Puts the page on the screen over a worker's methods, whoever provides them. Its components draw nodes. Spec: WEB-020.
 */

import "./tokens.css";
import "./base.css";

import { mount } from "svelte";

import App from "./App.svelte";
import { aside } from "./state/aside.ts";
import { app, expect, lookServer, start } from "./state/app.svelte.ts";
import { remember } from "./state/display.svelte.ts";
import { arrive, follow } from "./state/route.svelte.ts";
import type { Api, PageEvent } from "../client/api.ts";

export interface Worker { readonly api: Api; subscribe(hear: (event: PageEvent) => void): void }

/** Shows the page at once and what the worker says as soon as it says it. `connect` may be called again after a failure. */
export function begin(target: HTMLElement, connect: () => Worker): void {
  // The address first: an invitation leaves it before anything can look at it.
  arrive();
  follow();
  remember();
  const onstart = (): void => {
    expect();
    aside(connected(connect));
  };
  // The worker's way here is the longest.
  onstart();
  mount(App, { target, props: { onstart } });
}

async function connected(connect: () => Worker): Promise<void> {
  try {
    const { api, subscribe } = connect();
    await start(api, subscribe);
  } catch (thrown) {
    app.failure = thrown;
    app.phase = "failed";
    return;
  }
  await lookServer();
}
