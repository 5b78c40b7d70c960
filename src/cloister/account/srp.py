"""The client's half of SRP-6a: make a verifier, prove the password, make the relay prove that it knows the verifier.

Knows ``auth`` for the length of a call, never the password. Takes nothing from the relay but a salt and B; a reply
that names a group, a cost or a version is refused before the password is used.

Who erases: the caller drops ``Ephemeral`` and ``Proof`` when M2 has been checked.

Spec: 04-account.md, SRP-001 to SRP-008.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from cloister import crypto
from cloister.account import srp_group, srp_proof
from cloister.account.password import SALT_LENGTH, Stretched
from cloister.account.srp_group import GROUP, K
from cloister.errors import Downgrade, FormatError, SignatureInvalid
from cloister.protocol.encoding import b64d, b64e


@dataclass(frozen=True)
class Ephemeral:
    """The client's a and PAD(A), for one sign-in."""

    a: int = field(repr=False)
    public: bytes


@dataclass(frozen=True)
class Challenge:
    """The relay's answer to /auth/start. ``sid`` and ``public`` (PAD(B)) are absent when only the salt was asked."""

    salt16: bytes
    sid: str = ""
    public: bytes = b""


@dataclass(frozen=True)
class Proof:
    """M1 to send, and the M2 the relay must answer with."""

    m1: bytes
    expected_m2: bytes = field(repr=False)


def verifier(login: str, salt16: bytes, auth: bytes) -> bytes:
    """PAD(g^x), 512 bytes, sent once at sign-up and at a password change (SRP-001)."""
    x = srp_group.private_key(GROUP, salt16, login, b64e(auth))
    return srp_group.pad(GROUP, srp_group.power(GROUP, x))


def start(rng: Callable[[int], bytes]) -> Ephemeral:
    """Fresh a and A. A new one for every attempt (SRP-002)."""
    a = srp_group.exponent(rng(srp_group.EXPONENT_LENGTH))
    return Ephemeral(a, srp_group.pad(GROUP, srp_group.power(GROUP, a)))


def read_challenge(reply: Mapping[str, Any], *, pinned_salt: bytes | None = None) -> Challenge:
    """Read {salt} or {sid, salt, B} and nothing else (SRP-007).

    ``pinned_salt`` is the salt this device has used with the account, which never changes. Raises Downgrade for any
    further member, another salt or an element that fails SRP-003; FormatError for members of a wrong kind.
    """
    if not set(reply) <= {"sid", "salt", "B"}:
        raise Downgrade("the relay names parameters of the sign-in")
    if not all(isinstance(value, str) for value in reply.values()) or "salt" not in reply:
        raise FormatError("sign-in challenge")
    salt16 = b64d(reply["salt"])
    if len(salt16) != SALT_LENGTH or (pinned_salt is not None and salt16 != pinned_salt):
        raise Downgrade("the relay changed the salt of this account")
    if ("sid" in reply) != ("B" in reply):
        raise FormatError("sign-in challenge")
    if "B" not in reply:
        return Challenge(salt16)
    public = b64d(reply["B"])
    srp_group.element(GROUP, public)
    return Challenge(salt16, reply["sid"], public)


def prove(
    ephemeral: Ephemeral, challenge: Challenge, stretched: Stretched, *, login: str, realm: bytes, origin: str
) -> Proof:
    """Compute M1 and the M2 to expect (SRP-003 to SRP-005). ``origin`` is that of the configured relay URL.

    Raises Downgrade when B is 0 mod N, of another length or not reduced, or u is 0: before ``auth`` is used.
    """
    b_public = srp_group.element(GROUP, challenge.public)
    u = srp_group.scrambler(GROUP, int.from_bytes(ephemeral.public, "big"), b_public)
    x = srp_group.private_key(GROUP, challenge.salt16, login, b64e(stretched.auth))
    key = srp_group.session_key(GROUP, srp_group.client_secret(GROUP, K, x, ephemeral.a, u, b_public))
    binding = srp_proof.Binding(realm, login, challenge.salt16, stretched.version)
    proof = srp_proof.m1(key, origin, binding, ephemeral.public, challenge.public)
    return Proof(proof, srp_proof.m2(key, proof))


def check_reply(proof: Proof, m2: bytes) -> None:
    """The relay must know the verifier (SRP-008). Raises SignatureInvalid; until it returns, no code is asked for."""
    crypto.require_equal(proof.expected_m2, m2, SignatureInvalid("the relay did not prove that it knows this account"))
