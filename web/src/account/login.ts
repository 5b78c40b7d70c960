/**
 * The two names people type: a login, and the address of a relay. Spec: PPF-005, SRP-006.
 */

import { UsageError } from "../errors.ts";

const LOGIN = /^[a-z0-9][a-z0-9._-]{0,62}$/;
const URL_FORM = /^(https?):\/\/(?:([a-z0-9.-]+)|(\[[0-9a-f:.]+\]))(?::([0-9]{1,5}))?(?:\/[!-"$->@-~]*)?$/i;
const HOST = /^(?!-)[a-z0-9-]{1,63}(?<!-)(?:\.(?!-)[a-z0-9-]{1,63}(?<!-))*$/;
const PORTS: Record<string, number> = { http: 80, https: 443 };

/** The login as every formula uses it; nothing but A-Z is mapped (PPF-005). Throws UsageError. */
export function loginName(text: string): string {
  const name = text.replace(/[A-Z]/g, (letter) => letter.toLowerCase());
  if (!LOGIN.test(name)) throw new UsageError("login");
  return name;
}

/** An IPv6 address in its shortest form; the platform's reader knows it (SRP-006). */
function shortest(literal: string): string {
  try {
    return new URL(`http://${literal}`).hostname;
  } catch {
    throw new UsageError("relay address");
  }
}

/** `scheme://host[:port]` of a relay address, lower case, without the scheme's own port (SRP-006). Throws UsageError. */
export function origin(url: string): string {
  const found = URL_FORM.exec(url);
  if (found === null) throw new UsageError("relay address");
  const scheme = found[1]!.toLowerCase();
  const host = found[3] === undefined ? found[2]!.toLowerCase() : shortest(found[3]);
  if (found[3] === undefined && !HOST.test(host)) throw new UsageError("relay address");
  if (found[4] === undefined) return `${scheme}://${host}`;
  const port = Number(found[4]);
  if (port < 1 || port > 65535) throw new UsageError("relay address");
  return `${scheme}://${host}${port === PORTS[scheme] ? "" : `:${port}`}`;
}
