/**
 * The gallery's page: one state over a stand-in for the worker. `?state=`, `?theme=`, `?density=`, `?words=long`, `?link=1`.
 */

import { begin } from "../../src/ui/begin.ts";
import { PSEUDO } from "../../src/ui/pseudo.ts";
import { choose } from "../../src/ui/state/display.svelte.ts";
import { at } from "../../src/ui/state/route.svelte.ts";
import { useLocale } from "../../src/ui/words.ts";
import { fake } from "./fake.ts";
import { STATES } from "./states.ts";

const asked = new URLSearchParams(location.search);
const name = asked.get("state") ?? "open";
const state = STATES[name];
if (asked.get("words") === "long") useLocale(PSEUDO);
localStorage.clear();
if (name === "evicted") localStorage.setItem("cloister.kept", "1");
const worker = fake((state ?? STATES["new"]!)());
begin(document.getElementById("app")!, () => worker);
const theme = asked.get("theme");
choose("theme", theme === "dark" || theme === "light" ? theme : "");
choose("density", asked.get("density") === "compact" ? "compact" : "");
choose("shield", asked.get("shield") === "1");
choose("hold", asked.get("hold") === "1");
if (asked.get("link") === "1") at.link = `${location.origin}/j#sp-x~y~z`;
