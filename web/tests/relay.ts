/**
 * A real relay for tests: `cloister serve` in a folder of its own, on a port the system chooses.
 */

import { type ChildProcess, execFileSync, spawn } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";

const ROOT = join(dirname(fileURLToPath(import.meta.url)), "../..");
export const PYTHON = process.env["PYTHON"] ?? join(ROOT, ".venv/bin/python");

export interface TestRelay {
  readonly origin: string;
  /** The set-up code of the first account, who administers. */
  readonly code: string;
  readonly folder: string;
  /** End the process without a goodbye, then start it again on the same address and data. */
  restart(): Promise<void>;
  /** End the process; `start` brings it back. */
  halt(): Promise<void>;
  start(): Promise<void>;
  /** End the process and delete the folder. */
  stop(): Promise<void>;
}

/** Start one. No limits of speed, and sign-up open unless `settings` say otherwise (`CLOISTER_…` names, lower case). */
export async function startRelay(settings: Record<string, string> = {}): Promise<TestRelay> {
  const folder = mkdtempSync(join(tmpdir(), "cloister-web-"));
  const wanted: Record<string, string> = { rate_address: "0", rate_account: "0", signup: "open", ...settings };
  const env: NodeJS.ProcessEnv = { ...process.env, HOME: folder, XDG_DATA_HOME: join(folder, "data"), XDG_CONFIG_HOME: join(folder, "config") };
  for (const [name, value] of Object.entries(wanted)) env[`CLOISTER_${name.toUpperCase()}`] = value;
  let running: ChildProcess | undefined;
  let [origin, code] = ["http://localhost:0", ""];

  async function start(): Promise<void> {
    const child = spawn(PYTHON, ["-m", "cloister.cli", "serve", "--listen", origin.replace("http://", "")], {
      cwd: folder, env, stdio: ["ignore", "pipe", "pipe"],
    });
    running = child;
    const said: string[] = [];
    child.stderr.on("data", (part: Buffer) => said.push(part.toString()));
    for await (const line of createInterface({ input: child.stdout })) {
      const found = /^Ready on (https?:\/\/\S+) · data in \S+(?: · first account: .* code (\S+))?/.exec(line);
      if (found === null) throw new Error(`the relay said ${line}`);
      origin = found[1]!;
      code = found[2] ?? code;
      child.stdout.resume();
      return;
    }
    throw new Error(`the relay did not start: ${said.join("")}`);
  }

  function halt(): Promise<void> {
    const child = running;
    if (child === undefined || child.exitCode !== null) return Promise.resolve();
    return new Promise((done) => {
      child.once("exit", () => done());
      child.kill("SIGKILL");
    });
  }

  await start();
  return {
    get origin() { return origin; },
    get code() { return code; },
    folder,
    start,
    halt,
    restart: async () => {
      await halt();
      await start();
    },
    stop: async () => {
      await halt();
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

/** Run Python against the same relay: a script of its own whose last line of output is JSON. */
export function python<T>(script: string, words: readonly string[] = []): T {
  const out = execFileSync(PYTHON, ["-c", script, ...words], { encoding: "utf8", cwd: ROOT });
  return JSON.parse(out.trim().split("\n").at(-1)!) as T;
}
