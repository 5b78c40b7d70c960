/**
 * The rules of the house, checked on the source: what a forgotten `await` would do, where imports may point, what only
 * one module may touch.
 */

import { readFileSync, readdirSync } from "node:fs";
import { dirname, join, relative } from "node:path";
import { fileURLToPath } from "node:url";

import ts from "typescript";
import { describe, expect, test } from "vitest";

const WEB = join(dirname(fileURLToPath(import.meta.url)), "..");
const under = (folder: string): string[] =>
  readdirSync(join(WEB, folder), { recursive: true, encoding: "utf8" })
    .filter((name) => name.endsWith(".ts"))
    .map((name) => join(WEB, folder, name));
const SOURCE = under("src");

/** Promises nobody waits for: as a statement, as an operand of `void`, or returned where the caller expects nothing. */
function forgotten(files: Map<string, string>): string[] {
  const read = ts.readConfigFile(join(WEB, "tsconfig.json"), ts.sys.readFile);
  const { options } = ts.parseJsonConfigFileContent(read.config, ts.sys, WEB);
  const host = ts.createCompilerHost(options);
  const original = host.readFile.bind(host);
  host.readFile = (name) => files.get(name) ?? original(name);
  host.fileExists = (name) => files.has(name) || ts.sys.fileExists(name);
  const program = ts.createProgram([...files.keys()], options, host);
  const checker = program.getTypeChecker();
  const isPromise = (type: ts.Type): boolean => (checker.getAwaitedType(type) ?? type) !== type;
  const found: string[] = [];
  const report = (node: ts.Node): void => {
    const source = node.getSourceFile();
    const { line } = source.getLineAndCharacterOfPosition(node.getStart());
    found.push(`${relative(WEB, source.fileName)}:${line + 1}`);
  };
  const visit = (node: ts.Node): void => {
    // What is assigned is held, and waited for by whoever reads it.
    const held = ts.isExpressionStatement(node) && ts.isBinaryExpression(node.expression);
    if (ts.isExpressionStatement(node) && !held && isPromise(checker.getTypeAtLocation(node.expression))) report(node);
    if (ts.isVoidExpression(node) && isPromise(checker.getTypeAtLocation(node.expression))) report(node);
    if (ts.isArrowFunction(node) || ts.isFunctionExpression(node)) {
      const wanted = checker.getContextualType(node)?.getCallSignatures()[0]?.getReturnType();
      const given = checker.getTypeAtLocation(node).getCallSignatures()[0]?.getReturnType();
      if (wanted && given && wanted.flags & ts.TypeFlags.Void && isPromise(given)) report(node);
    }
    ts.forEachChild(node, visit);
  };
  for (const name of files.keys()) visit(program.getSourceFile(name)!);
  return found;
}

describe("every check is waited for", () => {
  test("in the source", () => {
    const files = new Map(SOURCE.map((name) => [name, readFileSync(name, "utf8")]));
    expect(forgotten(files)).toEqual([]);
  });

  test("control: what is not waited for is found", () => {
    const name = join(WEB, "src/protocol/dauth.ts");
    const weak = readFileSync(name, "utf8").replace("await verifyEd25519(", "verifyEd25519(");
    const each = join(WEB, "src/each.ts");
    const text = `import { verify } from "./sphere/message.ts";\n[].forEach(async (m) => verify(m, new Uint8Array()));\n`;
    expect(forgotten(new Map([[name, weak], [each, text]]))).toHaveLength(2);
  });
});

/** What each layer may import, from below: as in Python. */
const MAY: Record<string, string[]> = {
  errors: [],
  crypto: ["errors", "crypto"],
  protocol: ["crypto", "errors", "protocol"],
  account: ["crypto", "errors", "protocol", "account"],
  sphere: ["crypto", "errors", "protocol", "sphere"],
  grid: ["crypto", "errors", "protocol", "sphere", "grid"],
  // The page sees the border of its worker (records, events, calls), public rules, and nothing that opens anything.
  ui: ["client", "protocol", "errors", "ui"],
};
/** The page's framework, and the files where page and worker read the clock. */
const FRAMEWORK = /^svelte(\/|$)/;
const CLOCKS = ["ui/state/clock.svelte.ts", "client/worker.ts"];

describe.each(SOURCE.map((name) => [relative(join(WEB, "src"), name), readFileSync(name, "utf8")]))("%s", (name, text) => {
  const imports = [...text.matchAll(/^(?:import|export)\b[^;]*?\bfrom "([^"]+)"/gm)].map((found) => found[1]!);
  const layer = name.split("/")[0]!.replace(/\.ts$/, "");

  test("imports point down", () => {
    const own = imports.filter((one) => one.startsWith(".") && one.endsWith(".ts"));
    const layers = own.map((one) => join(dirname(name), one).split("/")[0]!.replace(/\.ts$/, ""));
    expect(layers.filter((one) => !(MAY[layer] ?? layers).includes(one))).toEqual([]);
  });

  test("only crypto.ts and its parts open the cryptography", () => {
    const libraries = imports.filter((one) => !one.startsWith(".") && !(layer === "ui" && FRAMEWORK.test(one)));
    if (layer !== "crypto") expect(libraries).toEqual([]);
    if (layer !== "crypto") expect(text).not.toMatch(/\bsubtle\b|\bgetRandomValues\b/);
  });

  test("neither reads the clock nor draws by itself", () => {
    if (!CLOCKS.includes(name)) expect(text).not.toMatch(/Date\.now|new Date\b|Math\.random/);
  });

  test("is short and narrow", () => {
    const lines = text.split("\n");
    expect(lines.length).toBeLessThan(400);
    expect(lines.filter((line) => line.length > 130)).toEqual([]);
    expect(text.startsWith("/**")).toBe(true);
  });
});
