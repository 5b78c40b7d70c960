/**
 * Saving a sphere's keys outside this program, checking that they were saved, and taking them back.
 *
 * What is saved is a text and a code that opens it; the sphere counts as saved only when the text was read back and found
 * to hold what is here. What is taken back is believed by nobody: the own verified log decides, key by key.
 *
 * As `src/cloister/client/export.py`. Spec: CLT-060, EXP-006 to EXP-008.
 */

import { checkNew } from "../account/password.ts";
import { CommitmentMismatch, NotFound, UsageError } from "../errors.ts";
import { b64e } from "../protocol/encoding.ts";
import * as exported from "../sphere/export.ts";
import { type Context, now, replica } from "./context.ts";
import * as expiry from "./expiry.ts";
import * as keys from "./keys.ts";
import { writer } from "./locks.ts";
import * as memory from "./memory.ts";
import type { Imported, SavedInfo, SavedKeys } from "./records.ts";
import type { Replica } from "./replica.ts";

/**
 * The text with every key of a sphere that is here, and its code; with `passphrase` that opens it instead. Nothing counts
 * as saved by this (`check`). Throws UsageError without a key, WeakPassword.
 */
export async function save(ctx: Context, rep: Replica, passphrase = ""): Promise<SavedKeys> {
  if (rep.keys.size === 0) throw new UsageError("no key of this sphere is here");
  const code = passphrase === "" ? exported.newCode(ctx.rng) : "";
  const secret = passphrase === "" ? exported.readCode(code) : exported.readWords(passphrase);
  if (passphrase !== "") await checkNew(new TextDecoder().decode(secret.data), ctx.login);
  const text = await exported.seal([...rep.keys.values()], secret, now(ctx), ctx.rng);
  return { sph: rep.sph, text, code, keys: ascending(rep.keys.keys()) };
}

const ascending = (ns: Iterable<number>): number[] => [...ns].sort((one, other) => one - other);

/** What a text says of itself, unopened and unproven. Throws FormatError, Downgrade. */
export async function look(ctx: Context, text: string): Promise<SavedInfo> {
  const { sph, by, eps, iat } = exported.parse(text);
  return { sph, by, keys: eps, at: iat, known: (await ctx.store.get("sphere", sph)) !== undefined };
}

/**
 * Read a saved text back: it opens with what was `typed` and holds every key that is here up to the newest that is in both,
 * whose number is given and remembered (CLT-060). Numbers that no key here confirms count for nothing.
 *
 * Throws FormatError, Downgrade, VaultError (another code), DecryptFailed (changed), CommitmentMismatch (another sphere's,
 * or not these keys).
 */
export async function check(ctx: Context, rep: Replica, text: string, typed: string): Promise<number> {
  const parsed = exported.parse(text);
  if (parsed.sph !== rep.sph) throw new CommitmentMismatch("the text is another sphere's");
  const found = await exported.open(parsed, exported.readSecret(parsed, typed));
  const upto = Math.max(0, ...[...found.keys()].filter((n) => rep.keys.has(n)));
  const held = [...rep.keys.values()].filter(({ n }) => n <= upto);
  const same = ({ n, secret }: { n: number; secret: Uint8Array }): boolean => {
    const one = found.get(n);
    return one !== undefined && b64e(one) === b64e(secret);
  };
  if (held.length === 0 || !held.every(same)) throw new CommitmentMismatch("the text does not hold the keys that are here");
  await memory.setSetting(ctx, `saved.${rep.sph}`, { n: upto, at: now(ctx) });
  return upto;
}

/**
 * Take the keys of a saved text back (CLT-060). Throws what `check` does, and NotFound when this device does not know the
 * sphere; CommitmentMismatch when not one key of it is the sphere's.
 */
export async function take(ctx: Context, text: string, typed: string): Promise<Imported> {
  const parsed = exported.parse(text);
  const { sph } = parsed;
  if ((await ctx.store.get("sphere", sph)) === undefined) throw new NotFound("this account is not in the sphere of the text");
  const found = await exported.open(parsed, exported.readSecret(parsed, typed));
  return writer(ctx, sph, async () => {
    const rep = await replica(ctx, sph);
    const { keys: own, unknown, refused } =
      rep.history === undefined
        ? { keys: [], unknown: ascending(found.keys()), refused: [] }
        : exported.recognise(found, rep.history, sph);
    const had = new Set(rep.keys.keys());
    const fresh = await ctx.store.step(async (tx) => {
      for (const n of unknown) keys.waiting(tx, "kept", sph, n, found.get(n)!);
      return own.length > 0 ? keys.keep(ctx, rep, own, tx) : [];
    });
    if (refused.length > 0 && own.length === 0 && unknown.length === 0) {
      throw new CommitmentMismatch("the keys of the text are not those of this sphere");
    }
    const ns = own.map(({ n }) => n);
    const letGo = ns.filter((n) => n <= expiry.shredded(rep));
    return { sph, new: fresh, had: ns.filter((n) => had.has(n)), waiting: unknown, refused, letGo };
  });
}
