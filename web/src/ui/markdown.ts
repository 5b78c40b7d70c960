/**
 * A message's text as nodes from a closed list: bold, italic, code, code block, quote, list, link, mention. Nothing else
 * exists, so nothing else can be drawn; no string ever becomes markup.
 *
 * Whatever does not close stays as it was typed. Work grows with the length of the text: openers look a bounded way
 * ahead, and nesting ends at four. Spec: WEB-025.
 */

export type Inline =
  | { readonly is: "text"; readonly text: string }
  | { readonly is: "bold"; readonly of: readonly Inline[] }
  | { readonly is: "italic"; readonly of: readonly Inline[] }
  | { readonly is: "code"; readonly text: string }
  | { readonly is: "link"; readonly href: string; readonly text: string; readonly host: string }
  | { readonly is: "mention"; readonly name: string };

export type Block =
  | { readonly is: "paragraph"; readonly of: readonly Inline[] }
  | { readonly is: "codeblock"; readonly text: string }
  | { readonly is: "quote"; readonly of: readonly Block[] }
  | { readonly is: "list"; readonly ordered: boolean; readonly start: number; readonly items: readonly (readonly Inline[])[] };

const DEPTH = 4;
const REACH = 2000;
const CONTROLS = /[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u200e\u200f\u202a-\u202e\u2066-\u2069]/gu;
const URL_TEXT = /^https?:\/\/[^\s<>"`\u202a-\u202e\u2066-\u2069]{1,2000}/iu;
const MENTION = /^@([\p{L}\p{N}][\p{L}\p{N}_.-]{0,62}[\p{L}\p{N}]|[\p{L}\p{N}])/u;
const BULLET = /^ {0,3}[-*•] +(?=\S)/;
const NUMBER = /^ {0,3}(\d{1,6})[.)] +(?=\S)/;
const WORD = /[\p{L}\p{N}]/u;

/** The blocks of a text. */
export function blocks(text: string, depth = 0): Block[] {
  const lines = text.replaceAll("\r\n", "\n").split("\n");
  const out: Block[] = [];
  let at = 0;
  while (at < lines.length) {
    const line = lines[at]!;
    if (line.trim() === "") at += 1;
    else if (line.startsWith("```")) at = codeblock(lines, at, out);
    else if (/^ {0,3}>/.test(line) && depth < DEPTH) at = quote(lines, at, out, depth);
    else if (BULLET.test(line) || NUMBER.test(line)) at = list(lines, at, out);
    else at = paragraph(lines, at, out, depth);
  }
  return out;
}

/** The words of a text that is one paragraph of them and nothing else. */
export function plainOf(all: readonly Block[]): string | undefined {
  const [block, ...more] = all;
  if (block?.is !== "paragraph" || more.length > 0 || block.of.length !== 1) return undefined;
  return block.of[0]!.is === "text" ? block.of[0]!.text : undefined;
}

function codeblock(lines: readonly string[], from: number, out: Block[]): number {
  const end = lines.findIndex((line, n) => n > from && line.startsWith("```"));
  const stop = end < 0 ? lines.length : end;
  out.push({ is: "codeblock", text: lines.slice(from + 1, stop).join("\n") });
  return stop + 1;
}

function quote(lines: readonly string[], from: number, out: Block[], depth: number): number {
  let at = from;
  while (at < lines.length && /^ {0,3}>/.test(lines[at]!)) at += 1;
  const inner = lines.slice(from, at).map((line) => line.replace(/^ {0,3}> ?/, ""));
  out.push({ is: "quote", of: blocks(inner.join("\n"), depth + 1) });
  return at;
}

function list(lines: readonly string[], from: number, out: Block[]): number {
  const mark = BULLET.test(lines[from]!) ? BULLET : NUMBER;
  const items: Inline[][] = [];
  let at = from;
  while (at < lines.length && mark.test(lines[at]!)) items.push(inline(lines[at++]!.replace(mark, "")));
  const start = Number(NUMBER.exec(lines[from]!)?.[1] ?? 1);
  out.push({ is: "list", ordered: mark === NUMBER, start, items });
  return at;
}

function paragraph(lines: readonly string[], from: number, out: Block[], depth: number): number {
  const ends = (line: string): boolean =>
    line.trim() === "" || line.startsWith("```") || BULLET.test(line) || (/^ {0,3}>/.test(line) && depth < DEPTH);
  let at = from + 1;
  while (at < lines.length && !ends(lines[at]!)) at += 1;
  out.push({ is: "paragraph", of: inline(lines.slice(from, at).join("\n")) });
  return at;
}

const SIGNS = /[`*_[hH@]/g;

/** Where the next sign stands that may begin something, or the end. */
function nextSign(text: string, from: number): number {
  SIGNS.lastIndex = from;
  return SIGNS.exec(text)?.index ?? text.length;
}

/** What stands at `at`, and where the text goes on after it. */
type Found = readonly [Inline, number] | undefined;

export function inline(text: string, depth = 0): Inline[] {
  const out: Inline[] = [];
  let plain = "";
  let at = 0;
  while (at < text.length) {
    const found = special(text, at, depth);
    if (found === undefined) {
      const next = nextSign(text, at + 1);
      plain += text.slice(at, next);
      at = next;
      continue;
    }
    if (plain !== "") out.push({ is: "text", text: plain });
    plain = "";
    out.push(found[0]);
    at = found[1];
  }
  if (plain !== "") out.push({ is: "text", text: plain });
  return out;
}

function special(text: string, at: number, depth: number): Found {
  switch (text[at]) {
    case "`":
      return code(text, at);
    case "*":
    case "_":
      return depth < DEPTH ? emphasis(text, at, depth) : undefined;
    case "[":
      return labelled(text, at);
    case "h":
    case "H":
      return WORD.test(text[at - 1] ?? "") ? undefined : bare(text, at);
    case "@":
      return WORD.test(text[at - 1] ?? "") ? undefined : mention(text, at);
    default:
      return undefined;
  }
}

/** The next `mark` within reach, or -1. */
function ahead(text: string, mark: string, from: number): number {
  const found = text.slice(from, from + REACH).indexOf(mark);
  return found < 0 ? -1 : from + found;
}

function code(text: string, at: number): Found {
  const end = ahead(text, "`", at + 1);
  return end <= at + 1 ? undefined : [{ is: "code", text: text.slice(at + 1, end) }, end + 1];
}

function emphasis(text: string, at: number, depth: number): Found {
  const sign = text[at]!;
  const mark = text[at + 1] === sign ? sign + sign : sign;
  const from = at + mark.length;
  if (sign === "_" && WORD.test(text[at - 1] ?? "")) return undefined;
  if (/^\s?$/.test(text[from] ?? "") || text[from] === sign) return undefined;
  let end = ahead(text, mark, from);
  // A single sign does not close at a double one: *a **b** c*
  while (end >= 0 && mark.length === 1 && text[end + 1] === sign) end = ahead(text, mark, end + 2);
  if (end < 0 || /\s/.test(text[end - 1]!)) return undefined;
  if (sign === "_" && WORD.test(text[end + mark.length] ?? "")) return undefined;
  const of = inline(text.slice(from, end), depth + 1);
  return [{ is: mark.length === 2 ? "bold" : "italic", of }, end + mark.length];
}

/** An address as a link, or nothing: http and https only, and no name or password before the host. */
export function link(address: string, text: string): Inline | undefined {
  let url: URL;
  try {
    url = new URL(address);
  } catch {
    return undefined;
  }
  if (!["http:", "https:"].includes(url.protocol) || url.username !== "" || url.password !== "") return undefined;
  return { is: "link", href: url.href, text: text.replace(CONTROLS, ""), host: url.host };
}

function labelled(text: string, at: number): Found {
  const middle = ahead(text, "](", at + 1);
  if (middle <= at + 1) return undefined;
  const label = text.slice(at + 1, middle);
  const end = ahead(text, ")", middle + 2);
  if (end < 0 || /[[\]\n]/.test(label) || label.trim() === "") return undefined;
  const address = text.slice(middle + 2, end);
  const found = /^https?:\/\/\S+$/i.test(address) ? link(address, label) : undefined;
  return found && [found, end + 1];
}

function bare(text: string, at: number): Found {
  const match = URL_TEXT.exec(text.slice(at, at + REACH));
  if (match === null) return undefined;
  let address = match[0].replace(/[.,;:!?'*_]+$/, "");
  if (address.endsWith(")") && !address.includes("(")) address = address.replace(/\)+$/, "");
  const found = link(address, address);
  return found && [found, at + address.length];
}

function mention(text: string, at: number): Found {
  const match = MENTION.exec(text.slice(at, at + 80));
  return match === null ? undefined : [{ is: "mention", name: match[1]! }, at + match[0].length];
}

/** Whether what a link shows already tells its host, so that it need not be added. */
export function tells(text: string, host: string): boolean {
  const rest = text.toLowerCase().replace(/^https?:\/\//, "");
  return rest === host || (rest.startsWith(host) && /^[/?#]/.test(rest.slice(host.length)));
}
