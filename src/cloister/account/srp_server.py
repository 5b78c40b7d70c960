"""The relay's half of SRP-6a: one attempt per B, sixty seconds, the same work for every login.

Knows the verifier for the length of a call, never the password. The relay keeps a ``Pending`` per sid in memory
only, removes it before ``finish`` (one attempt per B) and never tells why an attempt failed.

Spec: 04-account.md, SRP-002 to SRP-005, SRP-009 to SRP-011.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Final

from cloister import crypto
from cloister.account import srp_group, srp_proof
from cloister.account.srp_group import GROUP, K
from cloister.account.verifier import Candidate, ServerKeys, open_verifier
from cloister.errors import AuthFailed, Downgrade

LIFETIME: Final = 60  # seconds a B is good for
ELEMENT_LENGTH: Final = GROUP.length


@dataclass(frozen=True)
class Pending:
    """One started sign-in: kept in memory under its sid, used at most once, not after ``expires`` (unix seconds)."""

    login: str
    salt16: bytes
    public: bytes  # PAD(B), to be sent
    client_public: bytes  # PAD(A), as received
    expires: int
    known: bool = field(repr=False)
    version: int = field(repr=False)
    v: int = field(repr=False)
    b: int = field(repr=False)


def start(
    keys: ServerKeys, candidate: Candidate, client_public: bytes, now: int, rng: Callable[[int], bytes]
) -> Pending:
    """Answer A with B. The reply to the client is {sid, salt: salt16, B: public} (SRP-009).

    ``candidate`` comes from ``verifier.candidate`` and exists for every login. Raises AuthFailed for an A that is
    0 mod N, not reduced or of another length: judged before anything costly and without looking at the login.
    """
    try:
        srp_group.element(GROUP, client_public)
    except Downgrade:
        raise AuthFailed("SRP A") from None
    record = candidate.record
    v = int.from_bytes(open_verifier(keys, record), "big")
    b = srp_group.exponent(rng(srp_group.EXPONENT_LENGTH))
    public = srp_group.pad(GROUP, srp_group.server_public(GROUP, K, v, b))
    return Pending(
        record.login, record.salt16, public, client_public, now + LIFETIME, candidate.known, record.version, v, b
    )


def finish(pending: Pending, proof: bytes, *, realm: bytes, origins: Iterable[str], now: int) -> bytes:
    """Check M1 against every accepted origin and return M2 (SRP-005, SRP-010, SRP-011).

    The exponentiations and one HMAC per origin are computed for every attempt, known or not, expired or not. Raises
    AuthFailed, always the same.
    """
    a_public, b_public = int.from_bytes(pending.client_public, "big"), int.from_bytes(pending.public, "big")
    try:
        u = srp_group.scrambler(GROUP, a_public, b_public)
    except Downgrade:
        raise AuthFailed("SRP u") from None
    key = srp_group.session_key(GROUP, srp_group.server_secret(GROUP, pending.v, pending.b, u, a_public))
    binding = srp_proof.Binding(realm, pending.login, pending.salt16, pending.version)
    refused = AuthFailed("SRP M1")
    good = 0
    for origin in origins:
        try:
            crypto.require_equal(
                srp_proof.m1(key, origin, binding, pending.client_public, pending.public), proof, refused
            )
            good += 1
        except AuthFailed:
            continue
    if not (good and pending.known and now < pending.expires):
        raise refused
    return srp_proof.m2(key, proof)
