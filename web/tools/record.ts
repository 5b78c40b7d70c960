/**
 * The last step of a build: integrity attributes on the page's tags, then `files.json` with the digest of every file.
 *
 * Depends on nothing but the files, so two builds of the same source write the same record. Spec: WEB-001, WEB-002.
 */

import { createHash } from "node:crypto";
import { readFileSync, readdirSync, writeFileSync } from "node:fs";
import { join, resolve } from "node:path";

import type { Plugin } from "vite";

import { list } from "./offline.ts";

const RECORD = "files.json";

export function integrity(body: Uint8Array): string {
  return `sha384-${createHash("sha384").update(body).digest("base64")}`;
}

/** The page with an integrity attribute on each tag that loads a script or a style of its own origin. */
export function pinned(page: string, read: (path: string) => Uint8Array): string {
  return page.replace(/<(script|link)\b([^>]*?)\s(src|href)="\/([^"]+)"([^>]*)>/g, (tag, name, before, key, path, after) => {
    const loads = name === "script" || /rel="(stylesheet|modulepreload)"/.test(tag);
    return loads ? `<${name}${before} ${key}="/${path}" integrity="${integrity(read(path))}"${after}>` : tag;
  });
}

/** All files below `folder`, sorted by path as bytes compare. */
export function record(folder: string): string {
  const paths = readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((one) => one.isFile())
    .map((one) => join(one.parentPath, one.name).slice(folder.length + 1).replaceAll("\\", "/"))
    .filter((path) => path !== RECORD)
    .sort((a, b) => (a < b ? -1 : 1));
  const files: Record<string, { integrity: string; size: number }> = {};
  for (const path of paths) {
    const body = readFileSync(join(folder, path));
    files[path] = { integrity: integrity(body), size: body.length };
  }
  return `${JSON.stringify({ v: 1, files }, null, 1)}\n`;
}

export function recorded(): Plugin {
  let folder = "";
  return {
    name: "cloister-record",
    apply: "build",
    configResolved(config) {
      folder = resolve(config.root, config.build.outDir);
    },
    closeBundle() {
      const page = join(folder, "index.html");
      writeFileSync(page, pinned(readFileSync(page, "utf8"), (path) => readFileSync(join(folder, path))));
      list(folder, record(folder));
      writeFileSync(join(folder, RECORD), record(folder));
    },
  };
}
