import { aeadOpen, aeadSeal, argon2id, hkdfSha256, hmacSha256, pbkdf2Sha256 } from "../../src/crypto.ts";
import { type Op, hex, unhex } from "./index.ts";

export const OPS: Record<string, Op> = {
  "hkdf-sha256": ({ ikm, salt, info, length }) => hex(hkdfSha256(unhex(ikm), unhex(salt), unhex(info), length)),
  "hmac-sha256": ({ key, data }) => hex(hmacSha256(unhex(key), unhex(data))),
  "aead-seal": async ({ key, nonce, plaintext, aad }) =>
    hex(await aeadSeal(unhex(key), unhex(nonce), unhex(plaintext), unhex(aad))),
  "aead-open": async ({ key, nonce, sealed, aad }) =>
    hex(await aeadOpen(unhex(key), unhex(nonce), unhex(sealed), unhex(aad))),
  argon2id: async ({ secret, salt, memory_kib: memoryKib, passes, lanes, length }) =>
    hex(await argon2id(unhex(secret), unhex(salt), { memoryKib, passes, lanes, length })),
  "pbkdf2-sha256": async ({ secret, salt, iterations, length }) =>
    hex(await pbkdf2Sha256(unhex(secret), unhex(salt), iterations, length)),
};
