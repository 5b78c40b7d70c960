import { fileURLToPath } from "node:url";

import { svelte } from "@sveltejs/vite-plugin-svelte";
import { defineConfig } from "vite";

import { picked } from "../../tools/words.ts";

// Every screen and state over a stand-in for the worker. Served to whoever works on them; no part of the product's build.
export default defineConfig({
  root: fileURLToPath(new URL(".", import.meta.url)),
  plugins: [picked(), svelte({ configFile: "../../svelte.config.js" })],
  server: { port: 5199, strictPort: true, fs: { allow: ["../../.."] } },
});
