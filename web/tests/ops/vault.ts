/** The relay's half of unlocking (VLT-010, VLT-013 to VLT-015) stands here, because no browser needs it. */

import * as unlock from "../../src/account/unlock.ts";
import * as vault from "../../src/account/vault.ts";
import { ed25519CheckPublic, ed25519Verify } from "../../src/crypto.ts";
import { FormatError } from "../../src/errors.ts";
import { jsonEmit, lp, textBytes } from "../../src/protocol/encoding.ts";
import { type Given, type Op, hex, unhex } from "./index.ts";

const read = (given: Given): vault.Vault => vault.decode(jsonEmit(given.vault));

async function relay(given: Given): Promise<unknown[]> {
  ed25519CheckPublic(unhex(given.uk));
  if (given.tag.length !== 64 || given.pep.length !== 64) throw new FormatError("VLT-009");
  let left = 10;
  const outcome: unknown[] = [];
  for (const { nonce, tag, sig } of given.tries) {
    const message = lp("sph/1 unlock", unhex(given.realm), given.dev, unhex(nonce), unhex(tag));
    const signed = await ed25519Verify(unhex(given.uk), unhex(sig), message).then(() => true, () => false);
    if (!signed) {
      outcome.push("refused");
      continue;
    }
    const spent = left > 0;
    if (spent) left -= 1;
    const right = spent && tag === given.tag;
    if (right) left = 10;
    outcome.push(right ? given.pep : left);
  }
  return outcome;
}

export const OPS: Record<string, Op> = {
  "vault-header": ({ text }) => vault.decode(textBytes(text)),
  "vault-password": async (given) => hex(await vault.openWithPassword(read(given), unhex(given.kek))),
  "vault-key": async (given) => hex(await vault.openWithKey(read(given), given.kind, unhex(given.key))),
  "vault-record": async (given) => hex(await vault.openRecord(unhex(given.vk), read(given), given.name, unhex(given.box))),
  "vault-store-key": (given) => hex(vault.storeKey(unhex(given.vk), read(given))),
  "key-file": ({ text }) => hex(vault.readKeyFile(text)),
  pin: async ({ pin }) => new TextDecoder().decode(await unlock.checkPin(pin)),
  "unlock-attempt": async (given) => {
    const { tag, sig, a } = await unlock.attempt(read(given), given.pin, unhex(given.nonce));
    return { tag: hex(tag), sig: hex(sig), a: hex(a) };
  },
  "unlock-finish": async (given) => hex(await unlock.finish(read(given), unhex(given.a), unhex(given.pep))),
  "unlock-relay": relay,
};
