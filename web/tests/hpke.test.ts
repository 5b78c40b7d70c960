/** Receiving keys: what is sealed opens, and the few points that must not be sealed to are all known (CRY-009 to CRY-011). */

import { ed25519, x25519 } from "@noble/curves/ed25519.js";
import { describe, expect, test } from "vitest";

import { concat, hpkeCheckPublic, hpkeOpen, hpkePublic, hpkeSeal, randomBytes } from "../src/crypto.ts";
import { CloisterError } from "../src/errors.ts";

const INFO = new TextEncoder().encode("info");
const P = 2n ** 255n - 19n;

function bytes(value: bigint): Uint8Array<ArrayBuffer> {
  return Uint8Array.from({ length: 32 }, (_, at) => Number((value >> BigInt(8 * at)) & 255n));
}

describe.each(["xwing", "p384"])("%s", (kem) => {
  test("what is sealed to a key opens with its secret and no other, once for every sealing", async () => {
    const [secret, other] = [randomBytes(kem === "xwing" ? 32 : 48), randomBytes(kem === "xwing" ? 32 : 48)];
    for (const one of [secret, other]) one[0] = 1;
    const key = await hpkePublic(kem, secret);
    const text = randomBytes(48);
    const [first, second] = await Promise.all([hpkeSeal(kem, key, INFO, text), hpkeSeal(kem, key, INFO, text)]);
    expect(first).not.toEqual(second);
    for (const sealed of [first, second]) expect(await hpkeOpen(kem, secret, INFO, sealed)).toEqual(text);
    await expect(hpkeOpen(kem, other, INFO, first)).rejects.toThrow(CloisterError);
    await expect(hpkeOpen(kem, secret, randomBytes(4), first)).rejects.toThrow(CloisterError);
    first[first.length - 1]! ^= 1;
    await expect(hpkeOpen(kem, secret, INFO, first)).rejects.toThrow(CloisterError);
  });
});

describe("points of small order", () => {
  /** Coordinates of every point whose order divides eight, and of those of the twist; in each of their spellings. */
  const points = (): bigint[] => {
    const torsion = ["c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a"].map((one) => ed25519.Point.fromHex(one));
    const multiples = torsion.flatMap((one) => [1, 2, 3, 4, 5, 6, 7, 8].map((n) => Array.from({ length: n }, () => one)
      .reduce((sum, next) => sum.add(next), ed25519.Point.ZERO)));
    const { Fp } = ed25519.Point;
    const onCurve = multiples.filter((one) => !one.is0()).map((one) => {
      const { y } = one.toAffine();
      return Fp.mul(Fp.add(1n, y), Fp.inv(Fp.sub(1n, y)));
    });
    const all = new Set([...onCurve, 0n, 1n, P - 1n]);
    return [...all].flatMap((one) => [one, one + P].filter((each) => each < 2n ** 255n)).flatMap((one) => [one, one + 2n ** 255n]);
  };

  test("are refused in all their spellings, as the ladder refuses them", async () => {
    const mlkem = (await hpkePublic("xwing", randomBytes(32))).subarray(0, 1184);
    expect(new Set(points()).size).toBeGreaterThanOrEqual(14);
    for (const one of points()) {
      expect(() => x25519.getSharedSecret(randomBytes(32), bytes(one))).toThrow();
      expect(() => hpkeCheckPublic("xwing", concat(mlkem, bytes(one)))).toThrow(CloisterError);
    }
    for (const one of [2n, 9n, P + 2n, P - 2n]) hpkeCheckPublic("xwing", concat(mlkem, bytes(one)));
  });
});
