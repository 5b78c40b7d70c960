import * as certificate from "../../src/protocol/certificate.ts";
import * as dauth from "../../src/protocol/dauth.ts";
import { b64d } from "../../src/protocol/encoding.ts";
import * as keylog from "../../src/protocol/keylog.ts";
import { type Op, hex, unhex } from "./index.ts";

export const OPS: Record<string, Op> = {
  "cert-verify": async ({ cert, ik }) => {
    const { id, dv, dk, kem, issuer, iat, exp, digest } = await certificate.verify(cert, ik);
    return { id, dv, dk: hex(dk), kem, issuer, iat, exp, digest: hex(digest) };
  },
  renewal: ({ renew }) => {
    const { kem, de } = certificate.renewal(renew);
    return { kem, de: hex(de) };
  },
  "klog-verify": async ({ chain, pin }) => {
    const log = await keylog.verifyChain(chain, pin && { seq: pin.seq, digest: b64d(pin.h) });
    const { id, seq, digest, ik, devices, revoked } = log;
    return { id, seq, digest: hex(digest), ik, devices: [...devices.keys()].sort(), revoked: [...revoked].sort() };
  },
  "klog-prove": async ({ id, ik, rot }) => (await keylog.prove(id, ik, rot)).length,
  "dauth-verify": async ({ answer, dk, dv, nonce, origins, now }) => {
    await dauth.verify(answer, unhex(dk), { dv, origins, nonce: unhex(nonce), now });
    return true;
  },
};
