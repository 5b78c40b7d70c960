import { b64d } from "../../src/protocol/encoding.ts";
import * as join from "../../src/protocol/join.ts";
import { type Given, type Op, hex, unhex } from "./index.ts";

function invitation(given: Given): join.Invitation | undefined {
  return given.invite && { ...given.invite, ipk: b64d(given.invite.ipk) };
}

function shown(request: join.JoinRequest): unknown {
  const { id, name, kid, byLink, digest, kems } = request;
  const keys = [...kems].map(([dv, { kem, de }]) => [dv, [kem, hex(de)]]);
  return { id, name, kid, by_link: byLink, digest: hex(b64d(digest)), kems: Object.fromEntries(keys) };
}

export const OPS: Record<string, Op> = {
  "join-verify": async (given) => shown(await join.verify(given.join, given.sph, invitation(given), given.iat)),
  "join-check-ivs": async (given) => shown(await join.checkIvs(given.join, given.sph, invitation(given)!, given.iat)),
  "join-link-message": ({ sph, jti, id, cert_digest: digest, nonce }) =>
    hex(join.linkMessage(sph, unhex(jti), id, unhex(digest), unhex(nonce))),
};
