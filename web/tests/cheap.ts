/**
 * Derivations of passwords that cost a test next to nothing: the password function itself, with a thousandth of its memory.
 * What it has to cost stands in vectors. Accounts that another program opens as well need the full cost: `full(true)`.
 *
 *     vi.mock("../../src/crypto/argon2.ts", async (real) => (await import("../cheap.ts")).cheap(real));
 */

type Argon2 = typeof import("../src/crypto/argon2.ts");

/** The password function itself, which works out what it has worked out before only once: for cases that share a password. */
export async function once(real: () => Promise<unknown>): Promise<Argon2> {
  const { argon2id } = (await real()) as Argon2;
  const known = new Map<string, Promise<unknown>>();
  const held = (given: Parameters<Argon2["argon2id"]>[0]): Promise<unknown> => {
    const { password, salt, ...cost } = given;
    const name = JSON.stringify([[...(password as Uint8Array)], [...(salt as Uint8Array)], cost]);
    known.set(name, known.get(name) ?? argon2id(given));
    return known.get(name)!;
  };
  return { argon2id: held as Argon2["argon2id"] };
}

let whole = false;

/** From now on with its true cost. */
export function full(on: boolean): void {
  whole = on;
}

export async function cheap(real: () => Promise<unknown>): Promise<Argon2> {
  const { argon2id } = (await real()) as Argon2;
  const little = { memorySize: 64, iterations: 1 };
  const less = (given: Parameters<Argon2["argon2id"]>[0]): unknown => argon2id(whole ? given : { ...given, ...little });
  return { argon2id: less as Argon2["argon2id"] };
}
