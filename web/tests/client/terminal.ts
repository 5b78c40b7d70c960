/**
 * A member of a test that uses the terminal's client: a Python process of its own, asked line by line.
 */

import { spawn } from "node:child_process";
import { dirname, join } from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";

import { PYTHON, type TestRelay } from "../relay.ts";

const SCRIPT = join(dirname(fileURLToPath(import.meta.url)), "member.py");

export interface Terminal {
  /** Throws what the client refused with, as its code. */
  do<T = unknown>(what: string, given?: Record<string, unknown>): Promise<T>;
  end(): Promise<void>;
}

export function terminal(relay: TestRelay, name: string): Terminal {
  const child = spawn(PYTHON, [SCRIPT, join(relay.folder, `of-${name}`), relay.origin], { stdio: ["pipe", "pipe", "inherit"] });
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  return {
    do: async <T>(what: string, given: Record<string, unknown> = {}): Promise<T> => {
      child.stdin.write(`${JSON.stringify({ do: what, ...given })}\n`);
      const { value, done } = await lines.next();
      if (done === true) throw new Error("the terminal's client ended");
      const answer = JSON.parse(value) as { value: T; code?: string; detail?: string };
      if (answer.code !== undefined) throw new Error(`${answer.code} ${answer.detail}`);
      return answer.value;
    },
    end: () => new Promise((gone) => {
      child.once("exit", () => gone());
      child.stdin.end();
    }),
  };
}
