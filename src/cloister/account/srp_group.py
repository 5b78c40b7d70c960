"""SRP-6a arithmetic of RFC 5054, one function per formula, over any group and hash.

Knows numbers. The account protocol uses exactly one group (4096 bit, g = 5, SHA-256); the parameters exist so that
the vectors of RFC 5054 run through the same code. Exponents that are secret go through the constant-time
exponentiation.

Spec: 04-account.md, SRP-001 to SRP-004 (RFC 5054, RFC 2945, RFC 3526).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from gmpy2 import powmod, powmod_sec

from cloister import crypto
from cloister.errors import Downgrade

EXPONENT_LENGTH: Final = 32


@dataclass(frozen=True)
class Group:
    """A safe prime, its generator and the hash; ``length`` is the byte length of N."""

    n: int
    g: int
    hash: Callable[[bytes], bytes]

    @property
    def length(self) -> int:
        return (self.n.bit_length() + 7) // 8


GROUP: Final = Group(
    int(
        "ffffffffffffffffc90fdaa22168c234c4c6628b80dc1cd129024e088a67cc74020bbea63b139b22514a08798e3404dd"
        "ef9519b3cd3a431b302b0a6df25f14374fe1356d6d51c245e485b576625e7ec6f44c42e9a637ed6b0bff5cb6f406b7ed"
        "ee386bfb5a899fa5ae9f24117c4b1fe649286651ece45b3dc2007cb8a163bf0598da48361c55d39a69163fa8fd24cf5f"
        "83655d23dca3ad961c62f356208552bb9ed529077096966d670c354e4abc9804f1746c08ca18217c32905e462e36ce3b"
        "e39e772c180e86039b2783a2ec07a28fb5c55df06f4c52c9de2bcbf6955817183995497cea956ae515d2261898fa0510"
        "15728e5a8aaac42dad33170d04507a33a85521abdf1cba64ecfb850458dbef0a8aea71575d060c7db3970f85a6e1e4c7"
        "abf5ae8cdb0933d71e8c94e04a25619dcee3d2261ad2ee6bf12ffa06d98a0864d87602733ec86a64521f2b18177b200c"
        "bbe117577a615d6c770988c0bad946e208e24fa074e5ab3143db5bfce0fd108e4b82d120a92108011a723c12a787e6d7"
        "88719a10bdba5b2699c327186af4e23c1a946834b6150bda2583e9ca2ad44ce8dbbbc2db04de8ef92e8efc141fbecaa6"
        "287c59474e6bc05d99b2964fa090c3a2233ba186515be7ed1f612970cee2d7afb81bdd762170481cd0069127d5b05aa9"
        "93b4ea988d8fddc186ffb7dc90a6c08f4df435c934063199ffffffffffffffff",
        16,
    ),
    5,
    crypto.sha256,
)


def pad(group: Group, value: int) -> bytes:
    """PAD: big endian, as long as N."""
    return value.to_bytes(group.length, "big")


def element(group: Group, data: bytes) -> int:
    """A received A or B: as long as N, canonical (below N) and not 0 mod N (SRP-003). Raises Downgrade."""
    value = int.from_bytes(data, "big")
    if len(data) != group.length:
        raise Downgrade("SRP element of another group")
    if value % group.n == 0:
        raise Downgrade("SRP element is 0 mod N")
    if value > group.n:
        raise Downgrade("SRP element is not reduced")
    return value


def exponent(random: bytes) -> int:
    """A fresh ephemeral exponent of 256 bits: 32 random bytes with the top bit set (SRP-002)."""
    if len(random) != EXPONENT_LENGTH:
        raise ValueError("32 random bytes expected")
    return int.from_bytes(random, "big") | 1 << 255


def multiplier(group: Group) -> int:
    """k = H(N | PAD(g))."""
    return int.from_bytes(group.hash(pad(group, group.n) + pad(group, group.g)), "big")


K: Final = multiplier(GROUP)


def private_key(group: Group, salt: bytes, identity: str, secret: str) -> int:
    """x = H(salt | H(I | ":" | P))."""
    inner = group.hash(f"{identity}:{secret}".encode())
    return int.from_bytes(group.hash(salt + inner), "big")


def scrambler(group: Group, a_public: int, b_public: int) -> int:
    """u = H(PAD(A) | PAD(B)). Raises Downgrade when it is 0 (SRP-003)."""
    u = int.from_bytes(group.hash(pad(group, a_public) + pad(group, b_public)), "big")
    if u == 0:
        raise Downgrade("SRP u is 0")
    return u


def power(group: Group, exponent_: int) -> int:
    """g^e mod N for a secret exponent (> 0): A from a, v from x."""
    return int(powmod_sec(group.g, exponent_, group.n))


def server_public(group: Group, k: int, v: int, b: int) -> int:
    """B = (k v + g^b) mod N. Raises Downgrade in the impossible case of 0."""
    value = (k * v + power(group, b)) % group.n
    if value == 0:
        raise Downgrade("SRP B is 0")
    return value


def client_secret(group: Group, k: int, x: int, a: int, u: int, b_public: int) -> int:
    """S = (B - k g^x)^(a + u x) mod N."""
    base = (b_public - k * power(group, x)) % group.n
    return int(powmod_sec(base, a + u * x, group.n))


def server_secret(group: Group, v: int, b: int, u: int, a_public: int) -> int:
    """S = (A v^u)^b mod N. u is public, b is not (SRP-004)."""
    return int(powmod_sec(a_public * powmod(v, u, group.n) % group.n, b, group.n))


def session_key(group: Group, secret: int) -> bytes:
    """K = H(PAD(S))."""
    return group.hash(pad(group, secret))
