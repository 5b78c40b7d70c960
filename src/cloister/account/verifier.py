"""What the relay keeps of a password, and what it shows for a login that does not exist.

Knows ``server.key``, which is a file beside the database and never in it. A stolen database alone holds verifiers
nobody can test a guess against; an asker cannot tell a login that exists from one that does not.

Spec: 04-account.md, SRP-009, SRP-012 to SRP-014.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

from cloister import crypto
from cloister.account.srp_group import GROUP, pad
from cloister.errors import DecryptFailed, FormatError, Internal
from cloister.protocol.encoding import kdf, lp

SERVER_KEY_LENGTH: Final = 32
VERSION: Final = 1  # what an unknown login pretends to have; the client never learns it
_SALT: Final = 16
_NONCE: Final = bytes(crypto.NONCE_LENGTH)  # the key is fresh for every record


@dataclass(frozen=True)
class ServerKeys:
    """Keys derived from server.key, 32 bytes each."""

    seal: bytes = field(repr=False)
    salt: bytes = field(repr=False)
    fake: bytes = field(repr=False)
    decoy: bytes = field(repr=False)


@dataclass(frozen=True)
class Record:
    """An account's sign-in row: ``sealed`` is 16 + 512 + 16 bytes, ``version`` the PPF version of its verifier."""

    login: str
    salt16: bytes
    version: int
    sealed: bytes = field(repr=False)


@dataclass(frozen=True)
class Candidate:
    """A record to run the protocol with, and whether it is real."""

    record: Record
    known: bool = field(repr=False)


def server_keys(server_key: bytes) -> ServerKeys:
    """Derive the relay's keys (SRP-012): KDF(server.key, "", "server", label, 32). Raises FormatError."""
    if len(server_key) != SERVER_KEY_LENGTH:
        raise FormatError("server.key is not 32 bytes")
    seal, salt, fake, decoy = (kdf(server_key, b"", "server", lp(n), 32) for n in ("seal", "salt", "fake", "decoy"))
    return ServerKeys(seal, salt, fake, decoy)


def salt_of(keys: ServerKeys, login: str) -> bytes:
    """salt16 of any login, real or not: HMAC(k_salt, LP("s", login))[:16] (SRP-013).

    Stored with the account at sign-up and unchanged by a password change, so no answer ever changes over time.
    """
    return crypto.hmac_sha256(keys.salt, lp("s", login))[:_SALT]


def seal_verifier(
    keys: ServerKeys, login: str, salt16: bytes, version: int, verifier: bytes, rng: Callable[[int], bytes]
) -> Record:
    """Seal PAD(v), 512 bytes, for the database (SRP-014). Raises FormatError unless 1 < v < N - 1."""
    if len(verifier) != GROUP.length or not 1 < int.from_bytes(verifier, "big") < GROUP.n - 1:
        raise FormatError("verifier out of range")
    seed = rng(16)
    sealed = crypto.aead_seal(_key(keys, seed, login), _NONCE, verifier, _aad(login, salt16, version))
    return Record(login, salt16, version, seed + sealed)


def open_verifier(keys: ServerKeys, record: Record) -> bytes:
    """PAD(v). Raises Internal when the record does not open: wrong server.key or a changed row."""
    seed, sealed = record.sealed[:16], record.sealed[16:]
    try:
        aad = _aad(record.login, record.salt16, record.version)
        return crypto.aead_open(_key(keys, seed, record.login), _NONCE, sealed, aad)
    except DecryptFailed:
        raise Internal("a verifier does not open under server.key") from None


def candidate(keys: ServerKeys, login: str, stored: Record | None, rng: Callable[[int], bytes]) -> Candidate:
    """The record to continue with, for a login with or without account (SRP-009).

    The stand-in is made every time, also when it is thrown away: the same work and the same bytes for every asker.
    """
    wide = b"".join(crypto.hmac_sha256(keys.fake, lp("v", login, block)) for block in range(17))
    v = 2 + int.from_bytes(wide, "big") % (GROUP.n - 3)
    stand_in = seal_verifier(keys, login, salt_of(keys, login), VERSION, pad(GROUP, v), rng)
    return Candidate(stand_in if stored is None else stored, stored is not None)


def _key(keys: ServerKeys, seed: bytes, login: str) -> bytes:
    return kdf(keys.seal, seed, "verifier", lp(login), 32)


def _aad(login: str, salt16: bytes, version: int) -> bytes:
    return lp("verifier", login, salt16, version)
