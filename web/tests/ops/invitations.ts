import { device } from "../../src/account/keys.ts";
import { verify } from "../../src/protocol/join.ts";
import { b64e } from "../../src/protocol/encoding.ts";
import * as invitation from "../../src/sphere/invitation.ts";
import { type Op, hex, unhex } from "./index.ts";
import { history } from "./log.ts";

const parts = ({ jti, seed, pin, ...link }: invitation.Link): Record<string, unknown> =>
  ({ ...link, jti: hex(jti), seed: hex(seed), pin: hex(pin) });

export const OPS: Record<string, Op> = {
  "invite-keys": ({ seed, sph, jti }) => {
    const { ivk, ipk } = invitation.keyPair(unhex(seed), sph, unhex(jti));
    return { ivk: hex(ivk), ipk: hex(ipk) };
  },
  "link-parse": ({ text }) => parts(invitation.parse(text)),
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
  "link-letter": async (given) => {
    const own = await device(unhex(given.dk_seed), given.kem, unhex(given.de_seed));
    const body = { idR: given.idR, dvR: given.dvR, kem: given.kemR, ct: given.ct };
    const sender = { id: given.sender[0], dv: given.sender[1] };
    const me = { id: given.me, dv: own.dv };
    return parts(await invitation.open(body, given.via, unhex(given.jti), sender, me, own.kem, [own.deSeed]));
  },
};
