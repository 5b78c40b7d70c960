import { defineConfig } from "vitest/config";

export default defineConfig({
  // The tables the languages share (wire.json, roles.json, words.json) live in the Python tree, beside this one.
  server: { fs: { allow: [".."] } },
  // What fails is run once more, and the report says so: what passes then races.
  test: { include: ["tests/**/*.test.ts"], testTimeout: 60_000, hookTimeout: 60_000, maxWorkers: 2, retry: 1 },
});
