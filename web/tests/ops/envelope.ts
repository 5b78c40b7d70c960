import { deviceId, identityId, raw, sphereId, thumbprint } from "../../src/protocol/ids.ts";
import { decode, deviceSigner, sign, verifyEd25519, verifyEs384 } from "../../src/protocol/jws.ts";
import { type Op, hex, unhex } from "./index.ts";

export const OPS: Record<string, Op> = {
  "envelope-decode": ({ typ, compact }) => {
    const envelope = decode(compact, typ);
    const { header, payload, headerPart, digest } = envelope;
    return { header, payload: hex(payload), aad: hex(headerPart), digest: hex(digest) };
  },
  "envelope-open": async ({ typ, compact, key }) => {
    const envelope = decode(compact, typ);
    if ("dk" in key) await verifyEd25519(envelope, unhex(key.dk));
    else await verifyEs384(envelope, key.jwk);
    return { header: envelope.header, body: envelope.body, digest: hex(envelope.digest) };
  },
  "envelope-sign": async ({ typ, header, payload, seed }) =>
    decode(await sign(typ, header, payload, deviceSigner(unhex(seed))), typ).body,
  "envelope-sized": async ({ typ, header: { alg: _alg, typ: _typ, ...header }, length }) =>
    decode(await sign(typ, header, new Uint8Array(length), () => new Uint8Array(64)), typ).compact.length,
  thumbprint: ({ jwk }) => hex(thumbprint(jwk)),
  "identity-id": ({ jwk }) => identityId(jwk),
  "device-id": ({ dk }) => deviceId(unhex(dk)),
  "sphere-id": ({ digest }) => sphereId(unhex(digest)),
  "raw-id": ({ id }) => hex(raw(id)),
};
