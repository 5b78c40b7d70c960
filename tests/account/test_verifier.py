"""SRP-012 to SRP-015: what a stolen database is worth without server.key, and what never changes over time."""

from __future__ import annotations

from dataclasses import replace

import pytest

from cloister.account import session, srp, verifier
from cloister.account.srp_group import GROUP
from cloister.errors import AuthFailed, FormatError, Internal
from tests.account.conftest import damaged
from vectors.generate import rng

KEYS = verifier.server_keys(bytes(32))
SALT = verifier.salt_of(KEYS, "ada")
V = srp.verifier("ada", SALT, bytes(32))


def test_server_keys_differ() -> None:
    """SRP-012."""
    other = verifier.server_keys(b"\1" * 32)
    assert len({KEYS.seal, KEYS.salt, KEYS.fake, KEYS.decoy, other.seal, other.salt, other.fake, other.decoy}) == 8
    with pytest.raises(FormatError):
        verifier.server_keys(bytes(31))


def test_salts_are_stable_and_own() -> None:
    """SRP-013: one per login, the same before and after the account exists."""
    assert verifier.salt_of(KEYS, "bob") == verifier.candidate(KEYS, "bob", None, rng("x")).record.salt16
    assert len({verifier.salt_of(KEYS, name) for name in ("ada", "bob", "eve")}) == 3


def test_stand_ins_are_stable() -> None:
    """SRP-009: asked twice, an unknown login has the same verifier under fresh sealing."""
    one, two = (verifier.candidate(KEYS, "bob", None, rng(seed)).record for seed in ("x", "y"))
    assert verifier.open_verifier(KEYS, one) == verifier.open_verifier(KEYS, two)
    assert one.sealed != two.sealed
    assert not verifier.candidate(KEYS, "bob", None, rng("x")).known


def test_sealed_verifier() -> None:
    """SRP-014: opens only under its server key, login, salt and version; every byte counts."""
    record = verifier.seal_verifier(KEYS, "ada", SALT, 1, V, rng("seal"))
    assert verifier.open_verifier(KEYS, record) == V
    assert len(record.sealed) == 544
    assert V not in record.sealed
    wrong = [replace(record, sealed=one) for one in damaged(record.sealed)[::7]]
    wrong += [replace(record, login="bob"), replace(record, salt16=bytes(16)), replace(record, version=0)]
    for one in wrong:
        with pytest.raises(Internal):
            verifier.open_verifier(KEYS, one)
    with pytest.raises(Internal):
        verifier.open_verifier(verifier.server_keys(b"\1" * 32), record)


@pytest.mark.parametrize("value", [0, 1, GROUP.n - 1, GROUP.n])
def test_degenerate_verifiers_are_refused(value: int) -> None:
    """SRP-014: a verifier of small order would let anybody in."""
    with pytest.raises(FormatError):
        verifier.seal_verifier(KEYS, "ada", SALT, 1, value.to_bytes(512, "big"), rng("seal"))


def test_session_tokens() -> None:
    """SRP-015: 256 bits at the client, a hash at the relay."""
    token = session.new_token(rng("token"))
    assert len(token) == 43
    assert len(session.token_hash(token)) == 32
    assert token.encode() not in session.token_hash(token)
    for wrong in ("", "x", token[:-1], token + "A", "*" * 43, "é" * 43):
        with pytest.raises(AuthFailed):
            session.token_hash(wrong)
