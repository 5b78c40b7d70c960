import {
  es384Sign, es384Verify, hpkeCheckPublic, hpkeOpen, hpkePublic, p384CheckPublic, p384Public,
} from "../../src/crypto.ts";
import { type Op, hex, unhex } from "./index.ts";

export const OPS: Record<string, Op> = {
  "p384-check-public": ({ x, y }) => {
    p384CheckPublic(unhex(x), unhex(y));
    return true;
  },
  "p384-public": ({ scalar }) => {
    const { x, y } = p384Public(unhex(scalar));
    return { x: hex(x), y: hex(y) };
  },
  "es384-sign": ({ scalar, message }) => hex(es384Sign(unhex(scalar), unhex(message))),
  "es384-verify": async ({ x, y, signature, message }) => {
    await es384Verify(unhex(x), unhex(y), unhex(signature), unhex(message));
    return true;
  },
  "hpke-public": async ({ kem, secret }) => hex(await hpkePublic(kem, unhex(secret))),
  "hpke-check-public": (given) => {
    hpkeCheckPublic(given.kem, unhex(given.public));
    return true;
  },
  "hpke-open": async ({ kem, secret, info, sealed }) =>
    hex(await hpkeOpen(kem, unhex(secret), unhex(info), unhex(sealed))),
};
