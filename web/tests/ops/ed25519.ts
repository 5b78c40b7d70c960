import { ed25519CheckPublic, ed25519Public, ed25519Sign, ed25519Verify } from "../../src/crypto.ts";
import { type Op, hex, unhex } from "./index.ts";

export const OPS: Record<string, Op> = {
  "ed25519-sign": async ({ seed, message }) => ({
    public: hex(ed25519Public(unhex(seed))),
    signature: hex(await ed25519Sign(unhex(seed), unhex(message))),
  }),
  "ed25519-verify": async (given) => {
    await ed25519Verify(unhex(given.public), unhex(given.signature), unhex(given.message));
    return true;
  },
  "ed25519-check-public": (given) => {
    ed25519CheckPublic(unhex(given.public));
    return true;
  },
};
