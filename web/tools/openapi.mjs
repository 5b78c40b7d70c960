/**
 * Makes `src/client/openapi.d.ts` (types) and `src/client/openapi.json` (the forms of answers, checked at run time) from
 * what the relay says of itself. With `--check` nothing is written: fails when the files are not those.
 */

import { execFileSync } from "node:child_process";
import { readFileSync, readdirSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

import openapiTS, { astToString } from "openapi-typescript";

const WEB = join(dirname(fileURLToPath(import.meta.url)), "..");
const PYTHON = process.env["PYTHON"] ?? join(WEB, "../.venv/bin/python");

/** Without titles; `oneOf` of one form is that form. */
function plain(form) {
  if (Array.isArray(form) || typeof form !== "object" || form === null) return form;
  const { title, oneOf = [], properties, ...rest } = form;
  if (oneOf.length > 1) throw new Error(`a form of several kinds: ${JSON.stringify(form)}`);
  const own = { ...oneOf[0], ...rest };
  for (const name of ["items", "additionalProperties"]) if (name in own) own[name] = plain(own[name]);
  if (properties === undefined) return own;
  return { ...own, properties: Object.fromEntries(Object.entries(properties).map(([name, one]) => [name, plain(one)])) };
}

/** The kinds that the client checks answers by, and those within them. */
function checked(forms) {
  const files = readdirSync(join(WEB, "src/client")).filter((name) => name.endsWith(".ts"));
  const source = files.map((name) => readFileSync(join(WEB, "src/client", name), "utf8")).join("\n");
  const found = new Set([...source.matchAll(/\b(?:call|isKind)\("(\w+)"/g)].map(([, name]) => name));
  for (const name of found) {
    for (const [, inner] of JSON.stringify(forms[name]).matchAll(/#\/components\/schemas\/(\w+)/g)) found.add(inner);
  }
  return Object.keys(forms).filter((name) => found.has(name));
}

const said = JSON.parse(execFileSync(PYTHON, [join(WEB, "../tools/openapi.py")], { encoding: "utf8", maxBuffer: 1 << 26 }));
const names = Object.keys(said.components.schemas).sort();
const forms = Object.fromEntries(names.map((name) => [name, plain(said.components.schemas[name])]));
const document = { openapi: said.openapi, info: said.info, paths: {}, components: { schemas: forms } };
const types = astToString(await openapiTS(document, { alphabetize: true }));
const head = "/**\n * Made by `npm run openapi` from what the relay says of itself. Not written by hand.\n */\n\n";
const lines = checked(forms).map((name) => `${JSON.stringify(name)}: ${JSON.stringify(forms[name])}`);
const made = { "openapi.d.ts": head + types, "openapi.json": `{\n${lines.join(",\n")}\n}\n` };

for (const [name, text] of Object.entries(made)) {
  const path = join(WEB, "src/client", name);
  if (!process.argv.includes("--check")) writeFileSync(path, text);
  else if (readFileSync(path, "utf8") !== text) throw new Error(`${name} is stale: npm run openapi`);
}
