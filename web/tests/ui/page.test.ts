/**
 * The page's components: no markup from strings, no inline style, no text outside the catalogue, no color by hand. WEB-020, WEB-021.
 */

import { readFileSync, readdirSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

import { parse } from "svelte/compiler";
import { describe, expect, test } from "vitest";

const UI = join(dirname(fileURLToPath(import.meta.url)), "../../src/ui");
const FILES = readdirSync(UI, { recursive: true, encoding: "utf8" }).filter((name) => name.endsWith(".svelte"));
const SHOWN = ["aria-label", "title", "placeholder", "alt", "label"];
/** The name of the thing itself, and signs that are no words. */
const NOT_WORDS = ["Cloister", "cloister serve --tls own"];

interface Node { readonly type: string; readonly name?: string; readonly data?: string; readonly [key: string]: unknown }

function walk(node: unknown, visit: (node: Node, parents: readonly Node[]) => void, parents: readonly Node[] = []): void {
  if (Array.isArray(node)) for (const one of node) walk(one, visit, parents);
  else if (typeof node === "object" && node !== null) {
    const one = node as Node;
    if (typeof one.type === "string") visit(one, parents);
    for (const [key, value] of Object.entries(one)) if (key !== "metadata") walk(value, visit, typeof one.type === "string" ? [...parents, one] : parents);
  }
}

/** What is wrong with a component. */
function wrong(source: string): string[] {
  const found: string[] = [];
  const { fragment } = parse(source, { modern: true });
  walk(fragment, (node, parents) => {
    const parent = parents.at(-1);
    if (node.type === "HtmlTag") found.push("markup from a string");
    if (node.type === "StyleDirective" || (node.type === "Attribute" && node.name === "style")) found.push("inline style");
    if (node.type === "Text" && /\p{L}/u.test(node.data ?? "")) {
      const inside = parent?.type === "Attribute" ? parent.name! : "";
      if (inside === "" || SHOWN.includes(inside)) {
        if (!NOT_WORDS.includes((node.data ?? "").trim())) found.push(`text: ${node.data?.trim()}`);
      }
    }
  });
  return found;
}

describe.each(FILES)("%s", (name) => {
  const source = readFileSync(join(UI, name), "utf8");

  test("draws nothing but nodes and the catalogue's words", () => {
    expect(wrong(source)).toEqual([]);
    expect(source).not.toMatch(/innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\(|new Function/);
  });

  test("takes its colours from the table", () => {
    const style = /<style>([\s\S]*)<\/style>/.exec(source)?.[1] ?? "";
    expect(style).not.toMatch(/#[0-9a-f]{3,8}\b|\brgba?\(|\bhsla?\(/i);
  });
});

/** Where a colour of the table is used: what it may say, and nothing else (WEB-020). */
const SAYS = {
  // The server can read this.
  open: [
    "inbox/Inbox", "screens/Public", "sphere/Composer", "sphere/MessageRow", "sphere/NoticeRow", "sphere/Openly", "sphere/Question",
    "sphere/Sphere", "sphere/SphereList", "sphere/Switched",
  ],
  // Something stopped, or is destroyed.
  stop: ["parts/Button", "parts/StopCard", "people/ConfirmDialog", "people/RequestCard", "sphere/SphereList"],
};

test.each(Object.entries(SAYS))("the colour %s says one thing", (colour, places) => {
  const uses = FILES.filter((name) => readFileSync(join(UI, name), "utf8").includes(`var(--${colour}`));
  expect(uses.map((name) => name.replaceAll("\\", "/").replace(".svelte", "")).sort()).toEqual(places);
});

test("control: each kind of wrong is found", () => {
  expect(wrong("<p>Hello</p>")).toEqual(["text: Hello"]);
  expect(wrong('<p aria-label="Hello">{x}</p>')).toEqual(["text: Hello"]);
  expect(wrong('<p style="color: red">{@html x}</p>')).toEqual(["inline style", "markup from a string"]);
  expect(wrong('<p class="a">{say("x")}</p>')).toEqual([]);
});
