"""T-S8: a relay that asks for weaker password processing, another group, another salt, another server.

Each is refused before the password is used: no costly function runs and no proof leaves.
"""

from __future__ import annotations

import os
from typing import Any

import pytest

from cloister import crypto
from cloister.account import srp
from cloister.account.srp_group import GROUP, pad
from cloister.client import Client, signing
from cloister.errors import AuthFailed, CheckFailed, Downgrade, UsageError
from cloister.protocol.encoding import b64e
from tests.hostile.world import HostileWorld
from tests.scenarios.world import PASSWORD

OTHER = "another long enough passphrase 0815"
NAMED: list[dict[str, Any]] = [
    {"kdf": "argon2id", "t": 1, "m": 8},
    {"m": 8},
    {"iterations": 1},
    {"kdf": "pbkdf2-sha256", "iterations": 1},
    {"ver": 0},
    {"v": 0},
    {"N": b64e(os.urandom(128)), "g": 2},
    {"group": 1024},
]
ELEMENTS = {
    "zero": bytes(512),
    "N": pad(GROUP, GROUP.n),
    "not reduced": pad(GROUP, GROUP.n + 1),
    "1024 bit": os.urandom(128),
    "empty": b"",
}


@pytest.fixture
def used(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Names of the password functions that ran."""
    ran: list[str] = []
    for name in ("argon2id", "pbkdf2_sha256"):
        real = getattr(crypto, name)
        monkeypatch.setattr(crypto, name, lambda *a, _n=name, _r=real, **k: (ran.append(_n), _r(*a, **k))[1])
    return ran


async def _ada(hw: HostileWorld) -> Client:
    return await hw.first("ada")


def _proofs(hw: HostileWorld, since: int) -> int:
    return len([c for c in hw.liar.calls[since:] if c.path == "/v1/auth/finish"])


async def _refused(hw: HostileWorld, client: Client, used: list[str]) -> None:
    """A new device and an act on the old one: both stop before the password is used."""
    since = len(hw.liar.calls)
    used.clear()
    with pytest.raises(CheckFailed):
        await client.change_password(PASSWORD.format("ada"), OTHER)
    phone = await hw.open("ada-phone")
    with pytest.raises(CheckFailed):
        await phone.sign_in("ada", PASSWORD.format("ada"))
    assert used == []
    assert _proofs(hw, since) == 0


async def test_parameters_nobody_asked_for(hw: HostileWorld, used: list[str]) -> None:
    """SRP-007, PPF-006: whatever the relay names besides salt and element ends the sign-in."""
    client = await _ada(hw)
    for named in NAMED:
        hw.liar.honest()
        hw.clock.forward(1800)  # the relay's own limit on tries is not what refuses
        hw.liar.lie(r"POST /v1/auth/start", lambda body, named=named: {**body, **named})
        await _refused(hw, client, used)


async def test_elements_of_other_groups(hw: HostileWorld, used: list[str]) -> None:
    """SRP-003: 0, N, not reduced, of 1024 bit, nothing."""
    client = await _ada(hw)
    for element in ELEMENTS.values():
        hw.liar.honest()
        hw.clock.forward(1800)  # the relay's own limit on tries is not what refuses
        hw.liar.lie(r"POST /v1/auth/start", lambda body, b=element: {**body, "B": b64e(b)})
        await _refused(hw, client, used)


async def test_another_salt_server_or_address(hw: HostileWorld, used: list[str]) -> None:
    """SRP-007, CLT-028: what this device has pinned does not change."""
    client = await _ada(hw)
    used.clear()
    since = len(hw.liar.calls)
    hw.liar.lie(r"POST /v1/auth/start", lambda body: {**body, "salt": b64e(os.urandom(16))})
    with pytest.raises(Downgrade):
        await client.change_password(PASSWORD.format("ada"), OTHER)
    hw.liar.honest()
    hw.liar.lie(r"GET /v1/server", lambda body: {**body, "realm": b64e(os.urandom(16))})
    with pytest.raises(Downgrade):
        await client.server_info()
    hw.liar.honest()
    hw.liar.lie(r"GET /v1/server", lambda body: {**body, "origins": ["https://elsewhere.example"]})
    phone = await hw.open("ada-phone")
    with pytest.raises(UsageError):
        await phone.sign_in("ada", PASSWORD.format("ada"))
    assert used == []
    assert _proofs(hw, since) == 0


async def test_version_0_after_version_1(hw: HostileWorld, used: list[str]) -> None:
    """PPF-007: a device that has used version 1 goes back for nobody, not even for its own settings."""
    client = await _ada(hw)
    used.clear()
    vault = client._need_vault()
    with pytest.raises(Downgrade):
        await signing.prove(
            client.relay, os.urandom, "ada", PASSWORD.format("ada"), vault.realm, version=0, vault=vault
        )
    assert used == []


@pytest.mark.parametrize("weak", [False, True])
async def test_version_0_after_version_1_through_a_whole_sign_in(
    hw: HostileWorld, used: list[str], monkeypatch: pytest.MonkeyPatch, weak: bool
) -> None:
    """PPF-007, CLT-005: a profile that knows the account by version 1 becomes a new device, by a program that was told
    to use version 0: refused before the password is processed so, and no proof leaves. Control: without the pin."""
    client = await _ada(hw)
    client.context.store.put("retired", {"sph": "", "seq": 1})  # a device of no more use is replaced
    await client.close()
    again = await Client.open(hw.folder / "ada", transport=hw.network("ada"), clock=hw.clock, legacy_kdf=True)
    hw.clients["ada"] = again
    used.clear()
    since = len(hw.liar.calls)
    if weak:
        real = signing.stretch
        monkeypatch.setattr(signing, "stretch", lambda *a, **k: real(*a, **{**k, "pinned": None}))
    with pytest.raises(AuthFailed if weak else Downgrade):
        await again.sign_in("ada", PASSWORD.format("ada"))
    assert ("pbkdf2_sha256" in used) is weak
    assert (_proofs(hw, since) > 0) is weak


async def test_control_a_client_that_takes_what_it_is_told_uses_the_password(
    hw: HostileWorld, used: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """SRP-007 taken away: the password is processed, and a proof made from it leaves."""
    client = await _ada(hw)
    real = srp.read_challenge

    def obliging(reply: dict[str, Any], **more: Any) -> srp.Challenge:
        return real({k: v for k, v in reply.items() if k in ("sid", "salt", "B")}, **more)

    monkeypatch.setattr(srp, "read_challenge", obliging)
    hw.liar.lie(r"POST /v1/auth/start", lambda body: {**body, **NAMED[0]})
    used.clear()
    since = len(hw.liar.calls)
    await client.change_password(PASSWORD.format("ada"), OTHER)
    assert "argon2id" in used
    assert _proofs(hw, since) == 1
