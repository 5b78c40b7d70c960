import { svelte } from "@sveltejs/vite-plugin-svelte";
import { defineConfig } from "vite";

import { recorded } from "./tools/record.ts";
import { tersed } from "./tools/table.ts";
import { together } from "./tools/worker.ts";
import { picked } from "./tools/words.ts";

// One bundle of hashed files, written where the relay's package serves them from. No file is inlined: the policy of the
// page allows only files of its own origin.
export default defineConfig({
  plugins: [picked(), svelte(), recorded()],
  base: "/",
  server: { fs: { allow: [".."] } },
  worker: {
    format: "es",
    plugins: () => [tersed()],
    rolldownOptions: { output: { codeSplitting: { groups: [together(import.meta.dirname)] } } },
  },
  build: {
    target: "es2022",
    // Browsers with the signatures everything is checked by know these colours too.
    cssTarget: ["chrome137", "firefox129", "safari17.5"],
    // One file that the page names with its digest: a screen that arrives later brings no style, so nothing is styled anew.
    cssCodeSplit: false,
    outDir: "../src/cloister/app",
    emptyOutDir: true,
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
    sourcemap: false,
    rolldownOptions: {
      input: { index: "index.html", "service-worker": "src/service-worker.ts" },
      // The service worker keeps its address; everything else is named by what is in it.
      output: { entryFileNames: ({ name }) => (name === "service-worker" ? "[name].js" : "assets/[name]-[hash].js") },
    },
  },
});
