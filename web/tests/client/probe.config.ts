import { defineConfig } from "vite";

// One script that puts `probe` on a page, for the browser tests of the store.
export default defineConfig({
  server: { fs: { allow: ["../../.."] } },
  build: {
    lib: { entry: "tests/client/probe.ts", formats: ["iife"], name: "probe", fileName: () => "probe.js" },
    minify: false,
  },
});
