import { verify } from "../../src/protocol/join.ts";
import { b64e } from "../../src/protocol/encoding.ts";
import * as invitation from "../../src/sphere/invitation.ts";
import { type Op, hex, unhex } from "./index.ts";
import { history } from "./log.ts";

export const OPS: Record<string, Op> = {
  "invite-keys": ({ seed, sph, jti }) => {
    const { ivk, ipk } = invitation.keyPair(unhex(seed), sph, unhex(jti));
    return { ivk: hex(ivk), ipk: hex(ipk) };
  },
  "link-parse": ({ text }) => {
    const link = invitation.parse(text);
    return { ...link, jti: hex(link.jti), seed: hex(link.seed), pin: hex(link.pin) };
  },
  "link-emit": (given) =>
    invitation.emit({ ...given, jti: unhex(given.jti), seed: unhex(given.seed), pin: unhex(given.pin) }),
  "link-pin": async (given) => {
    invitation.checkPin(invitation.parse(given.text), await history(given));
    return true;
  },
  "link-request": async ({ seed, sph, jti, iat, join }) => {
    const { ipk } = invitation.keyPair(unhex(seed), sph, unhex(jti));
    const request = await verify(join, sph, { jti: b64e(unhex(jti)), ipk, exp: iat }, iat);
    return { id: request.id, by_link: request.byLink };
  },
};
