/**
 * One file that Node runs, out of a test's TypeScript: `node bundle.mjs ENTRY OUT [FILE FROM TO]...`
 *
 * With FILE FROM TO the source is changed on the way: FROM, which must stand in FILE exactly once, becomes TO. That is how a
 * test gets a weakened build to compare with; what ships is made elsewhere.
 */

import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

import { rolldown } from "rolldown";

const WEB = join(dirname(fileURLToPath(import.meta.url)), "..");
const [entry, out, ...rest] = process.argv.slice(2);
const changes = [];
for (let at = 0; at < rest.length; at += 3) changes.push({ file: join(WEB, rest[at]), from: rest[at + 1], to: rest[at + 2], done: false });

const weaken = {
  name: "weaken",
  transform(code, id) {
    let changed = code;
    for (const one of changes) {
      if (one.file !== id) continue;
      if (changed.split(one.from).length !== 2) throw new Error(`${one.from} does not stand in ${id} exactly once`);
      changed = changed.replace(one.from, () => one.to);
      one.done = true;
    }
    return changed === code ? undefined : { code: changed };
  },
};

const made = await rolldown({ input: join(WEB, entry), platform: "node", plugins: [weaken], logLevel: "silent" });
await made.write({ file: out, format: "esm", codeSplitting: false });
await made.close();
const missed = changes.find((one) => !one.done);
if (missed !== undefined) throw new Error(`${missed.file} was not met`);
