import { ed25519Public } from "../../src/crypto.ts";
import { b64e } from "../../src/protocol/encoding.ts";
import { deviceId } from "../../src/protocol/ids.ts";
import { deviceSigner } from "../../src/protocol/jws.ts";
import * as message from "../../src/sphere/message.ts";
import { pad, paddedLength, unpad } from "../../src/sphere/padding.ts";
import * as payload from "../../src/sphere/payload.ts";
import { type Op, hex, unhex } from "./index.ts";
import { drawn, key } from "./keys.ts";

export const OPS: Record<string, Op> = {
  "padded-length": ({ length }) => paddedLength(length),
  pad: ({ data }) => hex(pad(unhex(data))),
  unpad: ({ data }) => hex(unpad(unhex(data))),
  "payload-decode": ({ bytes }) => payload.decode(unhex(bytes)),
  "message-seal": async (given) => {
    const seed = unhex(given.seed);
    const speaker = { sph: given.sph, dv: deviceId(ed25519Public(seed)), signer: deviceSigner(seed) };
    const { seq, ls, ep, try: tries } = given;
    const place = { seq, ph: b64e(unhex(given.ph)), ls, lh: unhex(given.lh), ep, tries };
    const rng = drawn(unhex(given.mid), unhex(given.nonce ?? ""));
    const thr = given.thr === undefined ? undefined : unhex(given.thr);
    return message.seal(payload.decode(unhex(given.payload)), place, speaker, given.iat, rng, key(given.key), thr);
  },
  "message-decode": ({ message: compact }) => {
    const { envelope } = message.decode(compact);
    return { header: envelope.header, digest: hex(envelope.digest) };
  },
  "message-open": async ({ message: compact, dk, key: given, mode }) => {
    const decoded = message.decode(compact);
    await message.verify(decoded, unhex(dk));
    return message.open(decoded, key(given), mode);
  },
  "check-change": ({ payload: content, author, role, target }) => {
    payload.checkChange(payload.decode(unhex(content)), author, role, target);
    return true;
  },
  "check-target": ({ payload: content, target }) => {
    payload.checkTarget(payload.decode(unhex(content)), payload.decode(unhex(target)));
    return true;
  },
};
