/**
 * HPKE for receiving keys on P-384, which only devices without X-Wing have: loaded when such a key is met (CRY-011).
 */

import { Aes256Gcm, CipherSuite, DhkemP384HkdfSha384, HkdfSha384 } from "@hpke/core";

type Bytes = Uint8Array<ArrayBuffer>;

const suite = new CipherSuite({ kem: new DhkemP384HkdfSha384(), kdf: new HkdfSha384(), aead: new Aes256Gcm() });

export async function p384Seal(key: Bytes, info: Bytes, text: Bytes): Promise<{ enc: ArrayBuffer; ct: ArrayBuffer }> {
  const recipientPublicKey = await suite.kem.deserializePublicKey(key.buffer);
  return suite.seal({ recipientPublicKey, info: info.buffer }, text.buffer);
}

export async function p384Open(secret: Bytes, info: Bytes, enc: Bytes, ct: Bytes): Promise<ArrayBuffer> {
  const recipientKey = await suite.kem.importKey("raw", secret.buffer, false);
  return suite.open({ recipientKey, info: info.buffer, enc: enc.buffer }, ct.buffer);
}
