"""The two proofs of a password sign-in, bound to everything both sides must agree on.

Knows K for the length of a call. M1 names the origin, the realm, the login, the salt and the password processing
version, so a sign-in carried to another relay, account or version proves nothing there.

Spec: 04-account.md, SRP-005.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from cloister import crypto
from cloister.protocol.encoding import lp


@dataclass(frozen=True)
class Binding:
    """What M1 binds besides A and B: the account's login, the realm (16 bytes), salt16 and PPF version."""

    realm: bytes
    login: str
    salt16: bytes = field(repr=False)
    version: int = 1


def m1(key: bytes, origin: str, binding: Binding, a_public: bytes, b_public: bytes) -> bytes:
    """M1 = HMAC(K, LP("sph/1 srp m1", origin, realm, login, salt, version, PAD(A), PAD(B))), 32 bytes."""
    bound = lp(
        "sph/1 srp m1", origin, binding.realm, binding.login, binding.salt16, binding.version, a_public, b_public
    )
    return crypto.hmac_sha256(key, bound)


def m2(key: bytes, proof: bytes) -> bytes:
    """M2 = HMAC(K, LP("sph/1 srp m2", M1)), 32 bytes."""
    return crypto.hmac_sha256(key, lp("sph/1 srp m2", proof))
