/**
 * Puts the list of built files into the service worker, which keeps exactly those (WEB-014).
 */

import { createHash } from "node:crypto";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";

export const SERVICE_WORKER = "service-worker.js";
const PLACE = /(["'`])@build@\1/;

/** The script with the build's files in it; `files` from the record. */
export function listed(script: string, files: Readonly<Record<string, { readonly integrity: string }>>): string {
  const others = Object.entries(files).filter(([path]) => path !== SERVICE_WORKER);
  const digests = Object.fromEntries(others.map(([path, { integrity }]) => [path, integrity]));
  const name = createHash("sha256").update(JSON.stringify(digests)).digest("hex").slice(0, 16);
  if (!PLACE.test(script)) throw new Error("the service worker has no place for the list of files");
  return script.replace(PLACE, () => JSON.stringify(JSON.stringify({ name, files: digests })));
}

/** Before the record is written: it then holds the script as it is served. */
export function list(folder: string, record: string): void {
  const path = join(folder, SERVICE_WORKER);
  const { files } = JSON.parse(record) as { files: Record<string, { integrity: string }> };
  writeFileSync(path, listed(readFileSync(path, "utf8"), files));
}
