/**
 * Closed lists of members and their kinds, compiled from wire.json and roles.json into checks.
 *
 * A kind is a short word such as `int`, `dv`, `bytes:32`, `text:64` or `list:16:dv`; a shape maps names to kinds.
 * Spec: ENC-009, ENC-010, JWS-002.
 */

import { p384CheckPublic } from "../crypto.ts";
import { FormatError } from "../errors.ts";
import { b64d, textBytes } from "./encoding.ts";

export type Check = (value: unknown) => void;

const LOGIN = /^[a-z0-9][a-z0-9._-]{0,62}$/;

export function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function require(fine: boolean, what: string): void {
  if (!fine) throw new FormatError(what);
}

function integer(limit: number): Check {
  return (value) => require(Number.isInteger(value) && (value as number) >= 0 && (value as number) <= limit, "integer");
}

function bytes(spec: string): Check {
  const sizes = spec.split("|").map((one) => one.split("-").map(Number));
  return (value) => {
    if (typeof value !== "string") throw new FormatError("base64url text");
    const length = b64d(value).length;
    require(sizes.some(([least, most]) => length >= least! && length <= (most ?? least!)), `${spec} bytes`);
  };
}

function name(prefix: string): Check {
  return (value) => {
    if (typeof value !== "string" || !value.startsWith(prefix)) throw new FormatError(`${prefix} name`);
    require(b64d(value.slice(3)).length === 32, `${prefix} name`);
  };
}

function text(limit: number): Check {
  return (value) => {
    if (typeof value !== "string" || value.length > limit) throw new FormatError("text");
    require(textBytes(value).length <= limit, `text of at most ${limit} bytes`);
  };
}

function list(spec: string): Check {
  const colon = spec.indexOf(":");
  const limit = Number(spec.slice(0, colon));
  const item = kind(spec.slice(colon + 1));
  return (value) => {
    if (!Array.isArray(value) || value.length > limit) throw new FormatError(`list of at most ${limit}`);
    value.forEach(item);
  };
}

function jwk(value: unknown): void {
  shape({ kty: "enum:EC", crv: "enum:P-384", x: "bytes:48", y: "bytes:48" })(value);
  const key = value as { x: string; y: string };
  p384CheckPublic(b64d(key.x), b64d(key.y));
}

const HISTORY = /^(?:all|since-join|none|days:[1-9][0-9]{0,3})$/;
const TAIL = [name("dv-"), integer(Number.MAX_SAFE_INTEGER), bytes("0|32")];

/** [dv, seq, H]: where a device's chain stands; an empty hash goes with seq 0 and only with it (LOG-017). */
function tail(value: unknown): void {
  if (!Array.isArray(value) || value.length !== 3) throw new FormatError("tail");
  TAIL.forEach((check, at) => check(value[at]));
  require((value[1] === 0) === (value[2] === ""), "a tail has a hash exactly when its device has spoken");
}

/** Compile one kind (ENC-009). Throws Error for a word that is no kind (a mistake in the tables). */
export function kind(spec: string): Check {
  const colon = spec.indexOf(":");
  const word = colon < 0 ? spec : spec.slice(0, colon);
  const rest = colon < 0 ? "" : spec.slice(colon + 1);
  switch (word) {
    case "int": return integer(Number.MAX_SAFE_INTEGER);
    case "u32": return integer(2 ** 32 - 1);
    case "bool": return (value) => require(typeof value === "boolean", "bool");
    case "object": return (value) => require(isObject(value), "object");
    case "jwk": return jwk;
    case "tail": return tail;
    case "history": return (value) => require(typeof value === "string" && HISTORY.test(value), "history");
    case "id": return name("id-");
    case "dv": return name("dv-");
    case "sph": return name("sp-");
    case "login": return (value) => require(typeof value === "string" && LOGIN.test(value), "login");
    case "bytes": return bytes(rest);
    case "text":
    case "jws": return text(Number(rest));
    case "enum": {
      const allowed = rest.split("|");
      return (value) => require(typeof value === "string" && allowed.includes(value), `one of ${rest}`);
    }
    case "list": return list(rest);
    default: throw new Error(`no such kind: ${spec}`);
  }
}

/** Compile a closed list of members (ENC-010): `name?` is optional, `*` allows others, checked elsewhere. */
export function shape(members: Record<string, string>): Check {
  const checks = new Map<string, Check>();
  const required: string[] = [];
  for (const [member, spec] of Object.entries(members)) {
    if (member === "*") continue;
    const bare = member.endsWith("?") ? member.slice(0, -1) : member;
    checks.set(bare, kind(spec));
    if (bare === member) required.push(bare);
  }
  const closed = !("*" in members);
  return (value) => {
    if (!isObject(value)) throw new FormatError("object expected");
    for (const [member, one] of Object.entries(value)) {
      const check = checks.get(member);
      if (check !== undefined) check(one);
      else if (closed) throw new FormatError(`member ${member.slice(0, 24)} is not in the list`);
    }
    for (const member of required) require(Object.hasOwn(value, member), "a required member is missing");
  };
}
