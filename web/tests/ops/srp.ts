/** The relay's half (SRP-004, SRP-010, SRP-011) stands here, because no browser needs it. */

import { sha1 } from "@noble/hashes/legacy.js";

import { m1, m2, checkReply, prove, readChallenge, verifier, type Binding } from "../../src/account/srp.ts";
import {
  GROUP, type Group, clientSecret, element, generate, multiplier, pad, privateKey, scrambler, sessionKey, toInteger,
} from "../../src/account/srp_group.ts";
import { AuthFailed } from "../../src/errors.ts";
import { type Given, type Op, hex, unhex } from "./index.ts";

function power(group: Group, base: bigint, exponent: bigint): bigint {
  let [result, square] = [1n, base % group.n];
  for (let left = exponent; left > 0n; left >>= 1n) {
    if (left & 1n) result = (result * square) % group.n;
    square = (square * square) % group.n;
  }
  return result;
}

export function serverPublic(group: Group, v: bigint, b: bigint): bigint {
  return (multiplier(group) * v + generate(group, b)) % group.n;
}

function serverSecret(group: Group, v: bigint, b: bigint, u: bigint, a: bigint): bigint {
  return power(group, a * power(group, v, u), b);
}

const number = (text: string): bigint => BigInt(`0x${text}`);

function server(given: Given): { B: string; M2: string } {
  const [v, b, aPad] = [number(given.v), number(given.b), unhex(given.A)];
  try {
    const a = element(GROUP, aPad);
    const bPublic = serverPublic(GROUP, v, b);
    const [u, bPad] = [scrambler(GROUP, a, bPublic), pad(GROUP, bPublic)];
    const key = sessionKey(GROUP, serverSecret(GROUP, v, b, u, a));
    const { login, ver: version } = given;
    const binding: Binding = { realm: unhex(given.realm), login, salt16: unhex(given.salt), version };
    const fits = (given.origins as string[]).some((origin) => hex(m1(key, origin, binding, aPad, bPad)) === given.M1);
    if (!fits || !given.known || given.age >= 60) throw new AuthFailed();
    return { B: hex(bPad), M2: hex(m2(key, unhex(given.M1))) };
  } catch {
    throw new AuthFailed();
  }
}

export const OPS: Record<string, Op> = {
  "srp-arithmetic": (given) => {
    const group: Group = { n: number(given.n), g: BigInt(given.g), length: given.n.length / 2, hash: sha1 };
    const [a, b] = [number(given.a), number(given.b)];
    const x = privateKey(group, unhex(given.s), given.I, given.P);
    const [v, A] = [generate(group, x), generate(group, a)];
    const B = serverPublic(group, v, b);
    const u = scrambler(group, A, B);
    const S = clientSecret(group, x, a, u, B);
    if (S !== serverSecret(group, v, b, u, A)) throw new Error("the two secrets differ");
    const short = (value: bigint): string => value.toString(16).padStart(40, "0");
    const [vHex, AHex, BHex, SHex] = [v, A, B, S].map((one) => hex(pad(group, one)));
    return { k: short(multiplier(group)), x: short(x), v: vHex, A: AHex, B: BHex, u: short(u), S: SHex };
  },
  "srp-verifier": ({ login, salt, auth }) => hex(verifier(login, unhex(salt), unhex(auth))),
  "srp-client": ({ a, B, auth, login, salt, realm, origin, ver }) => {
    const exponent = toInteger(unhex(a));
    const mine = { a: exponent, public: pad(GROUP, generate(GROUP, exponent)) };
    const challenge = { salt16: unhex(salt), sid: "", public: unhex(B) };
    const stretched = { auth: unhex(auth), kek: new Uint8Array(0), version: ver };
    const proof = prove(mine, challenge, stretched, { login, realm: unhex(realm), origin });
    return { A: hex(mine.public), M1: hex(proof.m1), M2: hex(proof.expectedM2) };
  },
  "srp-server": server,
  "srp-challenge": ({ reply, pinned }) => {
    const read = readChallenge(reply, pinned === undefined ? undefined : unhex(pinned));
    return { salt: hex(read.salt16), B: hex(read.public) };
  },
  "srp-reply": ({ M1, expected, M2 }) => {
    checkReply({ m1: unhex(M1), expectedM2: unhex(expected) }, unhex(M2));
    return true;
  },
};
