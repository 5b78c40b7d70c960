/**
 * What a token shows to anybody who looks: header, signer, time, what is readable and what stays hidden.
 *
 * A pure function of the text, the time and the keys one knows, so that nobody needs to paste a token into a stranger's
 * page. It takes nothing and changes nothing. Spec: GRID-062.
 */

import { CheckFailed, FormatError } from "../errors.ts";
import { type JsonObject, b64d, jsonParse } from "../protocol/encoding.ts";
import { type Jwk, identityId } from "../protocol/ids.ts";
import { isObject } from "../protocol/shape.ts";
import * as envelope from "./envelope.ts";
import { thumbprint1 } from "./keys.ts";
import { V2, kindOf } from "./recognise.ts";
import * as jws from "./v1_jws.ts";

/** What nobody but the two can see, by kind; names of texts. */
export const HIDDEN: ReadonlyMap<string, readonly string[]> = new Map([
  [envelope.OPENING, ["message", "nickname", "relay"]],
  [envelope.REPLY, ["message", "report", "relay"]],
  [envelope.RECEIPT, ["report"]],
  [jws.OPENING, ["message", "nickname", "relay", "number"]],
  [jws.REPLY, ["message", "relay", "number"]],
  [jws.SELF, ["key"]],
  [jws.BACKUP, ["private-keys"]],
]);

/**
 * `code` is empty, or the error that a reader would stop with. `signer` and `signer1` are both names of the key that the
 * token names; `shown` is what anybody can read in it, `hidden` names what nobody but the two can.
 */
export interface Inspection {
  readonly profile: string;
  readonly kind: string;
  readonly header: JsonObject;
  readonly size: number;
  readonly signer: string;
  readonly signer1: string;
  readonly signature: "holds" | "wrong" | "unknown-key";
  readonly made: number | undefined;
  readonly until: number | undefined;
  readonly validity: "valid" | "over" | "no-end";
  readonly shown: JsonObject;
  readonly hidden: readonly string[];
  readonly code: string;
}

export type Keys = ReadonlyMap<string, Jwk>;

/**
 * Look at a token (GRID-062). `keys`: known signing keys by either of their names.
 * What is wrong with a token is told, not thrown. Throws FormatError for a text that is none.
 */
export async function inspect(compact: string, now: number, keys: Keys = new Map()): Promise<Inspection> {
  const text = jws.bare(compact);
  const [head = ""] = text.split(".", 1);
  const seen = kindOf(head);
  if (seen === undefined) throw new FormatError("not a token");
  const bare: Inspection = {
    ...seen, header: jsonParse(b64d(head)), size: characters(text), signer: "", signer1: "", signature: "unknown-key",
    made: undefined, until: undefined, validity: "no-end", shown: {}, hidden: HIDDEN.get(seen.kind) ?? [], code: "",
  };
  return told(bare, () => (seen.profile === V2 ? inspect2(bare, text, now, keys) : inspect1(bare, text, keys)));
}

/** Characters, not the units a text is kept in. */
function characters(text: string): number {
  return text.length - (text.match(/[\ud800-\udbff][\udc00-\udfff]/g)?.length ?? 0);
}

/** What `look` sees, or what was seen before with the code a reader would stop with. */
async function told(before: Inspection, look: () => Promise<Inspection>): Promise<Inspection> {
  try {
    return await look();
  } catch (error) {
    if (!(error instanceof CheckFailed)) throw error;
    return { ...before, code: error.code };
  }
}

async function inspect2(bare: Inspection, text: string, now: number, keys: Keys): Promise<Inspection> {
  const read = envelope.decode(text, bare.kind);
  const { kid, iat } = read.header as { kid: string; iat?: number };
  const own = read.header["jwk"] as Jwk | undefined;
  const jwk = own ?? keys.get(kid);
  const seen: Inspection = { ...bare, ...signer(kid, "", jwk), made: iat };
  const judged = await told({ ...seen, signature: "wrong" }, async () => {
    if (own !== undefined) await envelope.verifyShown(read);
    else if (jwk !== undefined) await envelope.verify(read, jwk);
    return { ...seen, signature: jwk === undefined ? "unknown-key" : "holds" };
  });
  if (judged.code !== "" || envelope.TYPS.get(bare.kind)!.payload === undefined) return judged;
  return told(bare, async () => {
    const body = read.body as JsonObject & { iat: number; exp: number };
    return { ...judged, shown: body, made: body.iat, until: body.exp, validity: now > body.exp ? "over" : "valid" };
  });
}

async function inspect1(bare: Inspection, text: string, keys: Keys): Promise<Inspection> {
  const token = jws.decode(text);
  const from = (token.header as { from?: string }).from ?? "";
  const jwk = Object.hasOwn(token.header, "jwk") ? token.jwk : keys.get(from);
  const name = from === "" && jwk !== undefined ? thumbprint1(jwk) : from;
  const seen: Inspection = { ...bare, ...signer("", name, jwk), made: token.header.iat };
  if (jwk === undefined) return seen;
  const judged = await told({ ...seen, signature: "wrong" }, async () => {
    await jws.verify(token, jwk);
    return { ...seen, signature: "holds" };
  });
  if (judged.code !== "") return judged;
  if (thumbprint1(jwk) !== name) return { ...seen, signature: "wrong", code: "C_NOT_MEMBER" };
  if (bare.kind === jws.INVITE || bare.kind === jws.BACKUP) return { ...judged, shown: readable(token.body) };
  if (bare.kind === jws.LOGIN || bare.kind === jws.REMOVE) {
    return { ...judged, shown: { challenge: new TextDecoder("utf-8", { ignoreBOM: true }).decode(token.payload) } };
  }
  return judged;
}

/** An invitation as it is; of a backup, how much of what is in it (its tokens would fill a book). */
function readable(body: JsonObject): JsonObject {
  if (!Object.hasOwn(body, "threads")) return body;
  const counts = ["invites", "threads"].filter((name) => isObject(body[name]));
  const sizes = Object.fromEntries(counts.map((name) => [name, Object.keys(body[name] as JsonObject).length]));
  return { thumbprint: body["thumbprint"] ?? "", ...sizes };
}

function signer(name: string, name1: string, jwk: Jwk | undefined): Pick<Inspection, "signer" | "signer1"> {
  if (jwk === undefined) return { signer: name, signer1: name1 };
  return { signer: name || identityId(jwk), signer1: name1 || thumbprint1(jwk) };
}
