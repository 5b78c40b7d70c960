"""VLT-001 to VLT-008: one key per device, the ways to open it, and what a PIN takes away."""

from __future__ import annotations

from dataclasses import replace

import pytest

from cloister.account import unlock, vault
from cloister.account.password import Stretched
from cloister.account.vault import Opener, Vault
from cloister.errors import FormatError, NotFound, VaultError
from tests.account.conftest import Person
from vectors.generate import rng

DRAW = rng("vault")
PIN = "804713"


def test_password_opener(ada: Person) -> None:
    """VLT-001, VLT-003: works offline; another password, account or device does not open."""
    box, kek = ada.signup.vault, ada.stretched.kek
    assert vault.open_with_password(box, kek) == ada.keys.vk
    for wrong in (
        lambda: vault.open_with_password(box, ada.stretched.auth),
        lambda: vault.open_with_password(replace(box, account="id-" + "A" * 43), kek),
        lambda: vault.open_with_password(replace(box, dv="dv-" + "A" * 43), kek),
    ):
        with pytest.raises(VaultError):
            wrong()


@pytest.mark.parametrize("kind", ["session", "file"])
def test_key_openers(ada: Person, kind: str) -> None:
    """VLT-004: a key opens the opener of its kind only."""
    box = vault.with_opener(ada.signup.vault, vault.key_opener(ada.signup.vault, kind, b"K" * 32, ada.keys.vk, DRAW))
    assert vault.open_with_key(box, kind, b"K" * 32) == ada.keys.vk
    with pytest.raises(VaultError):
        vault.open_with_key(box, kind, bytes(32))
    other = "file" if kind == "session" else "session"
    moved = replace(box, openers=(Opener(other, b"", box.opener(kind).box),))
    with pytest.raises(VaultError):
        vault.open_with_key(moved, other, b"K" * 32)
    with pytest.raises(NotFound):
        vault.open_with_key(ada.signup.vault, kind, b"K" * 32)
    assert [one.kind for one in vault.without_opener(box, kind).openers] == ["pw"]


def test_wrong_kinds(ada: Person) -> None:
    box = ada.signup.vault
    with pytest.raises(FormatError):
        vault.key_opener(box, "pw", bytes(32), bytes(32), DRAW)
    with pytest.raises(FormatError):
        vault.key_opener(box, "file", bytes(16), bytes(32), DRAW)
    with pytest.raises(FormatError):
        vault.open_with_key(box, "pw", bytes(32))


def offline_guess(stolen: Vault, guesses: list[Stretched]) -> bytes | None:
    """What a thief of a switched-off device tries: every password he can think of, without asking anybody."""
    for guess in guesses:
        try:
            return vault.open_with_password(stolen, guess.kek)
        except (VaultError, NotFound):
            continue
    return None


def test_a_pin_removes_the_password_opener(ada: Person, monkeypatch: pytest.MonkeyPatch) -> None:
    """VLT-005: with a PIN the device cannot be tried against the password; control: with the opener kept it can."""
    pinned, _ = unlock.enrol(ada.signup.vault, ada.keys.vk, PIN, DRAW)
    assert [one.kind for one in pinned.openers] == ["pin"]
    assert offline_guess(pinned, [ada.stretched]) is None
    with pytest.raises(FormatError):
        vault.with_opener(pinned, vault.password_opener(pinned, ada.keys.vk, ada.stretched.kek, DRAW))
    back = vault.without_opener(pinned, "pin")
    assert back.pin is None
    assert vault.with_opener(back, vault.password_opener(back, ada.keys.vk, ada.stretched.kek, DRAW)).openers
    kept = replace(pinned, openers=(*pinned.openers, ada.signup.vault.opener("pw")))
    assert offline_guess(kept, [ada.stretched]) == ada.keys.vk


def test_header_survives_and_is_strict(ada: Person) -> None:
    """VLT-002."""
    pinned, _ = unlock.enrol(ada.signup.vault, ada.keys.vk, PIN, DRAW)
    for box in (ada.signup.vault, pinned):
        assert vault.decode(vault.encode(box)) == box
        assert ada.keys.vk not in vault.encode(box)
    good = vault.encode(ada.signup.vault)
    for bad in (
        good[:-1],
        good.replace(b'"v":1', b'"v":2'),
        good.replace(b'"pw"', b'"px"'),
        good.replace(b'"pending":true', b'"pending":1'),
        good.replace(b'"mkv":1', b'"mkv":1,"kdf":"weak"'),
        b"",
        b"\xff",
    ):
        with pytest.raises(FormatError):
            vault.decode(bad)


def test_records_and_store_key(ada: Person) -> None:
    """VLT-007: bound to account, device and name."""
    box, vk = ada.signup.vault, ada.keys.vk
    sealed = vault.seal_record(vk, box, "device", b"secret", DRAW)
    assert vault.open_record(vk, box, "device", sealed) == b"secret"
    other = replace(box, dv="dv-" + "A" * 43)
    for wrong in (
        lambda: vault.open_record(vk, box, "token", sealed),
        lambda: vault.open_record(vk, other, "device", sealed),
        lambda: vault.open_record(bytes(32), box, "device", sealed),
    ):
        with pytest.raises(VaultError):
            wrong()
    assert len({vault.store_key(vk, box), vault.store_key(vk, other), vault.store_key(bytes(32), box), vk}) == 4


def test_key_file() -> None:
    """VLT-008."""
    content = vault.key_file(b"K" * 32)
    assert content == b"cloister-key-1 S0tLS0tLS0tLS0tLS0tLS0tLS0tLS0tLS0tLS0tLS0s\n"
    assert vault.read_key_file(content) == b"K" * 32
    assert vault.read_key_file(content.replace(b"\n", b"\r\n")) == b"K" * 32
    for bad in (b"", content[:-2], content + b"x", content.replace(b"-1", b"-2"), content.replace(b"0s\n", b"0t\n")):
        with pytest.raises(FormatError):
            vault.read_key_file(bad)
    with pytest.raises(FormatError):
        vault.key_file(b"short")
