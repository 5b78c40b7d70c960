"""Edwards25519 by its definition, affine and slow: the reference the Ed25519 cases are made and judged with."""

from __future__ import annotations

import hashlib

P = 2**255 - 19
L = 2**252 + 27742317777372353535851937790883648493
D = -121665 * pow(121666, -1, P) % P
Point = tuple[int, int]
ZERO: Point = (0, 1)


def x_of(y: int, sign: int) -> int | None:
    """The x with x^2 = (y^2-1)/(d y^2+1) and the given lowest bit, or None when there is none."""
    square = (y * y - 1) * pow(D * y * y + 1, -1, P) % P
    x = pow(square, (P + 3) // 8, P)
    if (x * x - square) % P:
        x = x * pow(2, (P - 1) // 4, P) % P
    if (x * x - square) % P:
        return None
    return (P - x) % P if x & 1 != sign else x


def add(one: Point, two: Point) -> Point:
    (x1, y1), (x2, y2) = one, two
    k = D * x1 * x2 * y1 * y2 % P
    return (x1 * y2 + x2 * y1) * pow(1 + k, -1, P) % P, (y1 * y2 + x1 * x2) * pow(1 - k, -1, P) % P


def mul(n: int, point: Point) -> Point:
    total = ZERO
    while n:
        if n & 1:
            total = add(total, point)
        point = add(point, point)
        n >>= 1
    return total


def negate(point: Point) -> Point:
    return (P - point[0]) % P, point[1]


def encode(point: Point) -> bytes:
    return (point[1] | (point[0] & 1) << 255).to_bytes(32, "little")


def decode(data: bytes) -> Point | None:
    """The point as a lenient reader sees it: y taken modulo P, a zero x with any sign."""
    number = int.from_bytes(data, "little")
    y, sign = number & (2**255 - 1), number >> 255
    x = x_of(y % P, sign)
    return None if x is None else (x, y % P)


_BASE_Y = 4 * pow(5, -1, P) % P
_BASE_X = x_of(_BASE_Y, 0)
assert _BASE_X is not None
BASE: Point = (_BASE_X, _BASE_Y)


def _torsion() -> Point:
    """A point of order 8."""
    y = 2
    while True:
        x = x_of(y, 0)
        if x is not None:
            point = mul(L, (x, y))
            if mul(4, point) != ZERO:
                return point
        y += 1


T8 = _torsion()
TORSION = [mul(n, T8) for n in range(8)]
T2, T4 = TORSION[4], TORSION[2]


def challenge(r: bytes, a: bytes, message: bytes) -> int:
    return int.from_bytes(hashlib.sha512(r + a + message).digest(), "little") % L


def secret(seed: bytes) -> tuple[int, bytes]:
    """RFC 8032: the clamped scalar and the prefix."""
    digest = hashlib.sha512(seed).digest()
    return int.from_bytes(digest[:32], "little") & ((1 << 254) - 8) | (1 << 254), digest[32:]


def sign(seed: bytes, message: bytes) -> bytes:
    scalar, prefix = secret(seed)
    a = encode(mul(scalar, BASE))
    r = int.from_bytes(hashlib.sha512(prefix + message).digest(), "little") % L
    big_r = encode(mul(r, BASE))
    return big_r + ((r + challenge(big_r, a, message) * scalar) % L).to_bytes(32, "little")


def check_public(public: bytes) -> bool:
    """The rule: canonical, on the curve, in the prime-order subgroup, not the identity."""
    point = decode(public) if len(public) == 32 else None
    return point is not None and encode(point) == public and point != ZERO and mul(L, point) == ZERO


def verify(public: bytes, signature: bytes, message: bytes) -> bool:
    """The rule for a public key that passed: S < L and [S]B - [h]A encodes to R, byte for byte."""
    point = decode(public)
    s = int.from_bytes(signature[32:], "little")
    if point is None or len(signature) != 64 or s >= L:
        return False
    h = challenge(signature[:32], public, message)
    return encode(add(mul(s, BASE), mul(h, negate(point)))) == signature[:32]


def verify_with_cofactor(public: bytes, signature: bytes, message: bytes) -> bool:
    """The lenient rule of other implementations: [8]([S]B - [h]A - R) = 0, any encodings, any A."""
    point, r = decode(public), decode(signature[:32])
    s = int.from_bytes(signature[32:], "little")
    if point is None or r is None or s >= L:
        return False
    h = challenge(signature[:32], public, message)
    return mul(8, add(add(mul(s, BASE), mul(h, negate(point))), negate(r))) == ZERO
