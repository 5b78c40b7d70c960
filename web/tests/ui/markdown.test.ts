/**
 * A message's text: what is drawn, and that nothing else can be. Rules: WEB-025.
 */

import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

import { svelte } from "@sveltejs/vite-plugin-svelte";
import type { Component } from "svelte";
import { createServer } from "vite";
import type { ViteDevServer } from "vite";
import { afterAll, beforeAll, describe, expect, test } from "vitest";

import { blocks, inline, link, plainOf, tells } from "../../src/ui/markdown.ts";
import type { Block, Inline } from "../../src/ui/markdown.ts";

const WEB = join(dirname(fileURLToPath(import.meta.url)), "../..");
const text = (value: string): Inline => ({ is: "text", text: value });
const one = (source: string): Block => blocks(source)[0]!;

test("words that are one paragraph are drawn as such, and nothing else is", () => {
  expect(plainOf(blocks("Harbour at six.\nBring lines"))).toBe("Harbour at six.\nBring lines");
  for (const other of ["", "two\n\nparagraphs", "*bold*", "see https://a.example", "- one", "> said", "```\ncode\n```", "@ada come"]) {
    expect(plainOf(blocks(other))).toBeUndefined();
  }
});

describe("what is drawn", () => {
  test("bold, italic, code", () => {
    expect(inline("a **b** _c_ *d* `e*f*`")).toEqual([
      text("a "), { is: "bold", of: [text("b")] }, text(" "), { is: "italic", of: [text("c")] }, text(" "), { is: "italic", of: [text("d")] },
      text(" "), { is: "code", text: "e*f*" },
    ]);
    expect(inline("**a _b_**")).toEqual([{ is: "bold", of: [text("a "), { is: "italic", of: [text("b")] }] }]);
  });

  test("what does not close stays as it was typed", () => {
    for (const plain of ["2 * 3 * 4", "**", "a**", "**a", "snake_case_name", "`", "``", "[a](", "[a]", "* a*", "a_b_c", "_ a_"]) {
      expect(inline(plain)).toEqual([text(plain)]);
    }
  });

  test("lists, quotes, code blocks, paragraphs", () => {
    expect(one("- a\n- **b**")).toEqual({ is: "list", ordered: false, start: 1, items: [[text("a")], [{ is: "bold", of: [text("b")] }]] });
    expect(one("3. a\n4. b")).toEqual({ is: "list", ordered: true, start: 3, items: [[text("a")], [text("b")]] });
    expect(one("> a\n> > b")).toEqual({
      is: "quote", of: [{ is: "paragraph", of: [text("a")] }, { is: "quote", of: [{ is: "paragraph", of: [text("b")] }] }],
    });
    expect(one("```ts\n**a**\n- b\n```")).toEqual({ is: "codeblock", text: "**a**\n- b" });
    expect(one("```\na")).toEqual({ is: "codeblock", text: "a" });
    expect(blocks("a\nb\n\nc")).toEqual([{ is: "paragraph", of: [text("a\nb")] }, { is: "paragraph", of: [text("c")] }]);
    expect(one("I was born\n1984. A good year")).toMatchObject({ is: "paragraph" });
  });

  test("links and mentions", () => {
    expect(inline("see https://a.example/x?y=(z), ok")).toEqual([
      text("see "), { is: "link", href: "https://a.example/x?y=(z)", text: "https://a.example/x?y=(z)", host: "a.example" }, text(", ok"),
    ]);
    expect(inline("[plan](https://b.example/p)")).toEqual([{ is: "link", href: "https://b.example/p", text: "plan", host: "b.example" }]);
    expect(inline("hi @Bo, a@b.example @")).toEqual([text("hi "), { is: "mention", name: "Bo" }, text(", a@b.example @")]);
  });
});

describe("what a link may be", () => {
  test.each([
    "javascript:alert(1)", "JaVaScRiPt:alert(1)", "java\nscript:alert(1)", "data:text/html,<script>", "vbscript:x", "file:///etc/passwd", "blob:x",
    "//evil.example", "/path", "mailto:a@b.example", "https://bank.example@evil.example/", "https://u:p@evil.example", "ftp://x.example", "https://",
    "\u0000javascript:alert(1)", "&#106;avascript:alert(1)",
  ])("not %j", (address) => {
    expect(link(address, "x")).toBeUndefined();
    expect(inline(`[x](${address})`).every((node) => node.is !== "link" || !node.href.startsWith(address))).toBe(true);
  });

  test("its host is shown where its words do not tell it", () => {
    expect(tells("https://a.example/x", "a.example")).toBe(true);
    expect(tells("a.example", "a.example")).toBe(true);
    expect(tells("https://a.example.evil.example/", "evil.example")).toBe(false);
    expect(tells("https://bank.example", "evil.example")).toBe(false);
    expect(tells("a.example.evil", "a.example")).toBe(false);
    const found = inline("https://аррle.example/")[0]!;
    expect(found.is === "link" && found.host.startsWith("xn--") && !tells(found.text, found.host)).toBe(true);
  });

  test("its words cannot turn themselves round", () => {
    const found = inline("[\u202egnp.exe](https://a.example)")[0]!;
    expect(found.is === "link" && found.text).toBe("gnp.exe");
  });
});

describe("work grows with the text", () => {
  test.each([
    ["stars", "*a ".repeat(20_000)], ["brackets", "[".repeat(60_000)], ["links", "[a](".repeat(15_000)], ["quotes", "> ".repeat(30_000)],
    ["ticks", "`a".repeat(30_001)], ["bold", "**a".repeat(20_000)], ["mentions", "@a".repeat(30_000)], ["nested", `${"*_".repeat(5000)}x`],
    ["addresses", "https://a".repeat(6000)], ["lists", "- a\n".repeat(15_000)],
  ])("%s", (_name, source) => {
    const begun = performance.now();
    blocks(source);
    expect(performance.now() - begun).toBeLessThan(1500);
  });
});

const CORPUS = [
  "<script>alert(1)</script>", "<img src=x onerror=alert(1)>", "<svg/onload=alert(1)>", "<a href=javascript:alert(1)>x</a>", "\"><b>x", "</p></div><h1>x",
  "**<i>x</i>**", "`<b>`", "```\n<script>alert(1)</script>\n```", "> <iframe src=https://evil.example>", "- <style>*{display:none}</style>",
  "[<b>x</b>](https://a.example)", "[x](https://a.example/\"onmouseover=\"alert(1))", "https://a.example/\"onclick=alert(1)", "[x](javascript:alert(1))",
  "[x](https://a.example/'><script>alert(1)</script>)", "@<b>Bo</b>", "&lt;script&gt;", "&#x3c;script&#x3e;", "{@html '<b>'}", "{alert(1)}", "${alert(1)}",
  "<!-- x -->", "<![CDATA[x]]>", "\u2028<script>\u2029", "<scr\u0000ipt>", "<p style=color:red>", "<math><mtext></form><form><mglyph><svg><mtext>",
];
/** What Text.svelte may draw. */
const TAGS = ["div", "p", "pre", "code", "blockquote", "ol", "ul", "li", "strong", "em", "a", "bdi", "span"];

describe("what is drawn from hostile text", () => {
  let server: ViteDevServer;
  let draw: (source: string) => string;

  beforeAll(async () => {
    server = await createServer({
      root: WEB, configFile: false, logLevel: "silent", plugins: [svelte({ configFile: join(WEB, "svelte.config.js") })], optimizeDeps: { noDiscovery: true },
      server: { middlewareMode: true, ws: false, fs: { allow: [".."] } },
    });
    const { default: Text } = (await server.ssrLoadModule("/src/ui/parts/Text.svelte")) as { default: Component<{ text: string; people: string[] }> };
    const { render } = (await server.ssrLoadModule("svelte/server")) as typeof import("svelte/server");
    draw = (source) => render(Text, { props: { text: source, people: ["<b>Bo</b>"] } }).body;
  });
  afterAll(() => server.close());

  test("control: ordinary text is drawn", () => {
    const drawn = draw("**a** [x](https://a.example)");
    expect(drawn.replace(/<!--.*?-->| class="[^"]*"/g, "")).toContain("<strong>a</strong>");
    expect(drawn).toMatch(/<a href="https:\/\/a\.example\/" target="_blank" rel="noopener noreferrer"/);
  });

  test.each(CORPUS)("%j", (source) => {
    const drawn = draw(source).replace(/<!--.{0,20}?-->/g, "");
    const tags = [...drawn.matchAll(/<\/?([a-z0-9]+)/gi)].map((found) => found[1]!.toLowerCase());
    expect(tags.filter((tag) => !TAGS.includes(tag))).toEqual([]);
    const attributes = [...drawn.matchAll(/<[a-z]+((?:\s[^<>"]+(?:="[^"]*")?)*)\s*>/gi)].flatMap((found) => [...found[1]!.matchAll(/\s([\w-]+)/g)].map((name) => name[1]!));
    expect(attributes.filter((name) => /^(on|style|src|srcdoc)/i.test(name) && !drawn.includes(`/${name}`))).toEqual([]);
    for (const [, address] of drawn.matchAll(/href="([^"]*)"/g)) expect(address).toMatch(/^https?:\/\//);
  });
});
