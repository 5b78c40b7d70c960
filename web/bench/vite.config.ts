import { defineConfig } from "vite";

// One module that a worker of the measuring page runs; settings as for what ships.
export default defineConfig({
  root: import.meta.dirname,
  build: { target: "es2022", sourcemap: false, minify: true, lib: { entry: "core.ts", formats: ["es"], fileName: "core" } },
});
