/**
 * `node web/tests/cross/run.mjs FOLDER SEED`: make cases into FOLDER/ts.json, then judge the file named by each line of
 * standard input into that name with `.ts` at its end. `tests/web_cross` starts it; it also runs alone.
 */

import { mkdtemp, readFile, rename, rm, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath, pathToFileURL } from "node:url";

import { build } from "vite";

const here = dirname(fileURLToPath(import.meta.url));
const [folder, seed] = process.argv.slice(2);
const made = await mkdtemp(join(folder, "bundle-"));
await build({
  root: join(here, "../.."), configFile: false, logLevel: "error", ssr: { noExternal: true },
  build: { ssr: join(here, "cross.ts"), outDir: made, emptyOutDir: false, minify: false, rollupOptions: { output: { entryFileNames: "cross.mjs" } } },
});
const { make, judge } = await import(pathToFileURL(join(made, "cross.mjs")));

async function write(name, value) {
  await writeFile(`${name}.part`, JSON.stringify(value));
  await rename(`${name}.part`, name);
}

const own = join(folder, "ts.json");
await write(own, await make(seed));
console.log(own);
for await (const line of createInterface({ input: process.stdin })) {
  const verdicts = await judge(JSON.parse(await readFile(line, "utf8")));
  await write(`${line}.ts`, verdicts);
  console.log(`${line}.ts`);
}
await rm(made, { recursive: true });
