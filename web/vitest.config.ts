import { defineConfig } from "vitest/config";

export default defineConfig({
  // The tables the languages share (wire.json, roles.json, words.json) live in the Python tree, beside this one.
  server: { fs: { allow: [".."] } },
  test: { include: ["tests/**/*.test.ts"], testTimeout: 60_000, hookTimeout: 60_000, maxWorkers: 2 },
});
