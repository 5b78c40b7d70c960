/**
 * HPKE for receiving keys on P-384, which only devices without X-Wing have: loaded when such a key is met.
 */

import { Aes256Gcm, CipherSuite, DhkemP384HkdfSha384, HkdfSha384 } from "@hpke/core";

export const p384Suite = new CipherSuite({ kem: new DhkemP384HkdfSha384(), kdf: new HkdfSha384(), aead: new Aes256Gcm() });
