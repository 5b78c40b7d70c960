import { loginName, origin } from "../../src/account/login.ts";
import { checkNew, stretch } from "../../src/account/password.ts";
import { sha256 } from "../../src/crypto.ts";
import { AuthFailed, WeakPassword } from "../../src/errors.ts";
import { b64d, lp } from "../../src/protocol/encoding.ts";
import { type Op, hex, unhex } from "./index.ts";

/** The relay's half (SRP-015). */
function sessionHash(token: string): Uint8Array {
  if (!/^[A-Za-z0-9_-]{42}[AEIMQUYcgkosw048]$/.test(token)) throw new AuthFailed();
  return sha256(lp("session", b64d(token)));
}

export const OPS: Record<string, Op> = {
  ppf: async ({ password, login, realm, salt, account_key: key, ver, pinned }) => {
    const account = { login, realm: unhex(realm), salt16: unhex(salt), version: ver, pinned };
    const { auth, kek } = await stretch(password, { ...account, accountKey: key === undefined ? undefined : unhex(key) });
    return { auth: hex(auth), kek: hex(kek) };
  },
  "new-password": async ({ password, login }) => {
    await checkNew(password, login);
    return true;
  },
  "new-passwords": ({ passwords, login }) =>
    Promise.all((passwords as string[]).map((one) => checkNew(one, login).then(() => true, (error: unknown) => {
      if (error instanceof WeakPassword) return false;
      throw error;
    }))),
  "login-name": ({ text }) => loginName(text),
  origin: ({ url }) => origin(url),
  "session-hash": ({ token }) => hex(sessionHash(token)),
};
