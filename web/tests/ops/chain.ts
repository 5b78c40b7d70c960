import { type ChainHead, admit } from "../../src/protocol/chain.ts";
import { b64d } from "../../src/protocol/encoding.ts";
import { decode } from "../../src/protocol/jws.ts";
import { type Given, type Op, hex } from "./index.ts";
import { head, history } from "./log.ts";

type Row = [dv: string, seq: number, digest: string, ls?: number];

export function heads(given: Given): Map<string, ChainHead> | undefined {
  const rows = given.heads as Row[] | undefined;
  return rows && new Map(rows.map(([dv, seq, digest, ls = 0]) => [dv, { seq, digest, ls }]));
}

export const OPS: Record<string, Op> = {
  "chain-admit": async (given) => {
    const envelope = decode(given.message, "sph-msg+1");
    const before = heads(given)?.get(envelope.header["kid"] as string);
    const after = await admit(await head(given), await history(given), envelope, before);
    return { seq: after.seq, h: hex(b64d(after.digest)), ls: after.ls };
  },
};
