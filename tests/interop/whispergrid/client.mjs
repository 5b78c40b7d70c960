/**
 * WhisperGrid's own client behind a pipe: one JSON request per line in, one JSON answer per line out. Its sources are
 * translated by the TypeScript compiler of web/ and run as they are, in memory; nothing of it is changed.
 */

import { Buffer } from "node:buffer";
import { webcrypto } from "node:crypto";
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";

const here = dirname(fileURLToPath(import.meta.url));
const ts = createRequire(join(here, "../../../web/package.json"))("typescript");
const outside = createRequire(join(here, "package.json"));
const sources = join(here, "node_modules/whispergrid/src/whispergrid");

globalThis.window = { crypto: webcrypto };
console.warn = () => {};

const loaded = new Map();
function load(name) {
  if (loaded.has(name)) return loaded.get(name).exports;
  const module = { exports: {} };
  loaded.set(name, module);
  const text = readFileSync(join(sources, `${name}.ts`), "utf8");
  const options = { module: ts.ModuleKind.CommonJS, target: ts.ScriptTarget.ES2022, esModuleInterop: true };
  const code = ts.transpileModule(text, { compilerOptions: options }).outputText;
  const find = (other) => (other.startsWith("./") ? load(other.slice(2)) : other === "buffer" ? { Buffer } : outside(other));
  new Function("require", "module", "exports", "window", "crypto", code)(find, module, module.exports, window, webcrypto);
  return module.exports;
}

const { Client, GridStorage } = load("index");
const people = new Map();

const acts = {
  async new({ who, password }) {
    const client = await Client.generateClient(new GridStorage(), password);
    await client.setClientNickname(who);
    people.set(who, client);
    return client.getThumbprint();
  },
  async load({ who, backup, password }) {
    const client = await Client.loadFromBackup(new GridStorage(), backup, password);
    people.set(who, client);
    return client.getThumbprint();
  },
  invite: ({ who, note }) => people.get(who).createInvitation({ nickname: who, note }),
  answer: ({ who, invite, text }) => people.get(who).replyToInvitation(invite, text, who),
  write: ({ who, thread, text }) => people.get(who).replyToThread(thread, text),
  take: ({ who, token }) => people.get(who).appendThread(token),
  threads: ({ who }) => people.get(who).getThreads(),
  read: ({ who, thread }) => people.get(who).decryptThread(thread),
  backup: ({ who, password }) => people.get(who).makeBackup(password),
  prove: ({ who, challenge, sub }) => people.get(who).signLoginChallenge(challenge, sub),
  verify: ({ token }) => load("utils").verifyJWS(token),
};

for await (const line of createInterface({ input: process.stdin })) {
  const asked = JSON.parse(line);
  try {
    process.stdout.write(`${JSON.stringify({ value: await acts[asked.act](asked) })}\n`);
  } catch (error) {
    process.stdout.write(`${JSON.stringify({ error: String(error?.message ?? error) })}\n`);
  }
}
