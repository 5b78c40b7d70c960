/**
 * Arithmetic of SRP-6a, of which one group of 4,096 bits is ever used.
 *
 * The platform's integers give no promise about time: `power` does the same multiplications whatever the bits of the
 * exponent are, which is the best that can be done here. Spec: SRP-001 to SRP-004.
 */

import { type Bytes, concat, sha256 } from "../crypto.ts";
import { Downgrade } from "../errors.ts";
import { textBytes } from "../protocol/encoding.ts";

export interface Group {
  n: bigint;
  g: bigint;
  /** Length of n in bytes. */
  length: number;
  hash: (data: Uint8Array) => Uint8Array;
}

/** RFC 3526 group 16 (SRP-001). */
export const GROUP: Group = {
  n: BigInt(
    "0x" +
      "ffffffffffffffffc90fdaa22168c234c4c6628b80dc1cd129024e088a67cc74020bbea63b139b22514a08798e3404ddef9519b3" +
      "cd3a431b302b0a6df25f14374fe1356d6d51c245e485b576625e7ec6f44c42e9a637ed6b0bff5cb6f406b7edee386bfb5a899fa5" +
      "ae9f24117c4b1fe649286651ece45b3dc2007cb8a163bf0598da48361c55d39a69163fa8fd24cf5f83655d23dca3ad961c62f356" +
      "208552bb9ed529077096966d670c354e4abc9804f1746c08ca18217c32905e462e36ce3be39e772c180e86039b2783a2ec07a28f" +
      "b5c55df06f4c52c9de2bcbf6955817183995497cea956ae515d2261898fa051015728e5a8aaac42dad33170d04507a33a85521ab" +
      "df1cba64ecfb850458dbef0a8aea71575d060c7db3970f85a6e1e4c7abf5ae8cdb0933d71e8c94e04a25619dcee3d2261ad2ee6b" +
      "f12ffa06d98a0864d87602733ec86a64521f2b18177b200cbbe117577a615d6c770988c0bad946e208e24fa074e5ab3143db5bfc" +
      "e0fd108e4b82d120a92108011a723c12a787e6d788719a10bdba5b2699c327186af4e23c1a946834b6150bda2583e9ca2ad44ce8" +
      "dbbbc2db04de8ef92e8efc141fbecaa6287c59474e6bc05d99b2964fa090c3a2233ba186515be7ed1f612970cee2d7afb81bdd76" +
      "2170481cd0069127d5b05aa993b4ea988d8fddc186ffb7dc90a6c08f4df435c934063199ffffffffffffffff",
  ),
  g: 5n,
  length: 512,
  hash: sha256,
};

export function toInteger(data: Uint8Array): bigint {
  let text = "0x0";
  for (const byte of data) text += byte.toString(16).padStart(2, "0");
  return BigInt(text);
}

/** Big endian, as long as n (SRP-001). */
export function pad(group: Group, value: bigint): Bytes {
  const text = value.toString(16).padStart(2 * group.length, "0");
  return Uint8Array.from({ length: group.length }, (_, at) => parseInt(text.slice(2 * at, 2 * at + 2), 16));
}

/** An element as sent: full length, below N and not 0 (SRP-003). Throws Downgrade. */
export function element(group: Group, data: Uint8Array): bigint {
  const value = toInteger(data);
  if (data.length !== group.length || value === 0n || value >= group.n) throw new Downgrade("SRP-003");
  return value;
}

/** An exponent from 32 random bytes: the highest bit is set (SRP-002). */
export function exponent(random: Uint8Array): bigint {
  return toInteger(random) | (1n << BigInt(8 * random.length - 1));
}

/** base^exponent by a ladder of `bits` steps, each one product and one square. */
function power(group: Group, base: bigint, exponent: bigint, bits: number): bigint {
  let [low, high] = [1n, base % group.n];
  for (let at = BigInt(bits) - 1n; at >= 0n; at -= 1n) {
    const product = (low * high) % group.n;
    const bit = (exponent >> at) & 1n;
    const square = bit === 1n ? high : low;
    const squared = (square * square) % group.n;
    [low, high] = bit === 1n ? [product, squared] : [squared, product];
  }
  return low;
}

const bitsOf = (bytes: number): number => 8 * bytes;

/** k = H(PAD(N) ‖ PAD(g)). */
export function multiplier(group: Group): bigint {
  return toInteger(group.hash(concat(pad(group, group.n), pad(group, group.g))));
}

/** x = H(s ‖ H(I ":" P)). */
export function privateKey(group: Group, salt: Uint8Array, identity: string, secret: string): bigint {
  return toInteger(group.hash(concat(salt, group.hash(textBytes(`${identity}:${secret}`)))));
}

/** u = H(PAD(A) ‖ PAD(B)), never 0 (SRP-003). Throws Downgrade. */
export function scrambler(group: Group, a: bigint, b: bigint): bigint {
  const u = toInteger(group.hash(concat(pad(group, a), pad(group, b))));
  if (u === 0n) throw new Downgrade("SRP-003");
  return u;
}

/** g^exponent for an exponent of at most 32 bytes: A, v and the g^b of B. */
export function generate(group: Group, exponent: bigint): bigint {
  return power(group, group.g, exponent, bitsOf(32));
}

/** S = (B - k g^x)^(a + u x); a + u x has at most 513 bits. */
export function clientSecret(group: Group, x: bigint, a: bigint, u: bigint, b: bigint): bigint {
  const base = b - ((multiplier(group) * generate(group, x)) % group.n) + group.n;
  return power(group, base, a + u * x, bitsOf(64) + 1);
}

/** K = H(PAD(S)). */
export function sessionKey(group: Group, secret: bigint): Uint8Array {
  return group.hash(pad(group, secret));
}
