"""Every stored record of an account, damaged in every place: one class, one text, and nothing a relay could see.

SLOT-001: wMK, wRK, the slots ``ik``, ``e.…``, ``mk.…`` and ``state``, vault openers and vault records.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from cloister import crypto
from cloister.account import keys, slot_names, slots, state_slot, vault
from cloister.account.box import OVERHEAD, REFUSED
from cloister.account.keys import Roots
from cloister.errors import DecryptFailed, RelayError, VaultError
from cloister.protocol import ids
from cloister.protocol.encoding import b64d
from tests.account.conftest import Person, damaged
from vectors.generate import rng

SPH = ids.sphere_id(bytes(32))
Opener = Callable[[bytes], Any]


def records(ada: Person) -> dict[str, tuple[bytes, Opener]]:
    """Each stored record with the call that opens it."""
    draw = rng("records")
    roots, account, kek = ada.keys.roots, ada.keys.account, ada.stretched.kek
    jwk = ids.jwk_public(ada.keys.ik)
    devices = {ada.keys.device.dv: ada.keys.device.dk}
    box = ada.signup.vault
    pw = box.opener("pw")

    def with_box(sealed: bytes) -> vault.Vault:
        return vault.with_opener(box, vault.Opener("pw", pw.salt, sealed))

    agent = vault.with_opener(box, vault.key_opener(box, "session", bytes(32), ada.keys.vk, draw))

    def with_agent(sealed: bytes) -> vault.Vault:
        return vault.with_opener(box, vault.Opener("session", b"", sealed))

    return {
        "wMK": (b64d(ada.signup.body["wMK"]), lambda b: keys.unwrap_mk(kek, account, 1, 1, b)),
        "wRK": (b64d(ada.signup.body["wRK"]), lambda b: keys.unwrap_rk(kek, account, 1, b)),
        "ik": (b64d(ada.signup.body["ik"]), lambda b: slots.open_ik(roots.rk, account, jwk, b)),
        "epoch": (
            slots.seal_epoch(roots.mk, account, SPH, 1, b"E" * 32, draw),
            lambda b: slots.open_epoch(roots.mk, account, SPH, 1, b),
        ),
        "master": (
            slots.seal_master(roots.mk, account, 1, b"M" * 32, draw),
            lambda b: slots.open_masters(account, roots.mk, 2, {1: b}),
        ),
        "state": (
            b64d(ada.signup.body["state"]),
            lambda b: state_slot.open_state(roots.mk, account, 1, b, devices, None),
        ),
        "pw": (pw.box, lambda b: vault.open_with_password(with_box(b), kek)),
        "session": (agent.opener("session").box, lambda b: vault.open_with_key(with_agent(b), "session", bytes(32))),
        "record": (
            vault.seal_record(ada.keys.vk, box, "signup", b"a pending request", draw),
            lambda b: vault.open_record(ada.keys.vk, box, "signup", b),
        ),
    }


def refusals(stored: bytes, opens: Opener) -> set[tuple[type[Exception], str, str]]:
    """The distinct ways in which damaged forms of one record fail; None stands for success."""
    seen = set()
    for bad in damaged(stored):
        try:
            opens(bad)
            seen.add((type(None), "", ""))
        except Exception as fault:
            seen.add((type(fault), str(fault), str(getattr(fault, "data", ""))))
    return seen


NAMES = ("wMK", "wRK", "ik", "epoch", "master", "state", "pw", "session", "record")


@pytest.mark.parametrize("name", NAMES)
def test_every_damage_is_one_refusal(ada: Person, name: str) -> None:
    """SLOT-001: each byte changed, each truncation, each extension."""
    stored, opens = records(ada)[name]
    assert opens(stored) is not None
    assert refusals(stored, opens) == {(VaultError, REFUSED, "{}")}


def test_records_do_not_stand_in_for_each_other(ada: Person) -> None:
    """SLOT-001, SLOT-008: any record in the place of any other is refused the same way."""
    found = records(ada)
    for place, (_, opens) in found.items():
        for other, (stored, _) in found.items():
            if place != other:
                with pytest.raises(VaultError) as caught:
                    opens(stored)
                assert str(caught.value) == REFUSED, (place, other)


def test_nothing_reaches_the_relay() -> None:
    """SLOT-001: the refusal is a local class; it has no form on the wire."""
    assert not issubclass(VaultError, RelayError)
    assert not hasattr(VaultError, "as_wire")


@pytest.mark.parametrize("name", ["wMK", "epoch", "pw", "record"])
def test_control_without_the_tag_damage_is_taken(ada: Person, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Control for SLOT-001: decrypt without checking the tag, and flipped bytes come out as keys."""
    from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

    def careless(key: bytes, nonce: bytes, ciphertext: bytes, aad: bytes) -> bytes:
        if len(nonce) != 12 or len(ciphertext) < 16:
            raise DecryptFailed("aead")
        counter = modes.CTR(nonce + b"\0\0\0\2")
        return Cipher(algorithms.AES(key), counter).decryptor().update(ciphertext[:-16])

    stored, opens = records(ada)[name]
    monkeypatch.setattr(crypto, "aead_open", careless)
    assert (type(None), "", "") in refusals(stored, opens)


def test_control_one_message_matters(ada: Person, monkeypatch: pytest.MonkeyPatch) -> None:
    """Control for SLOT-001: let the decryption error through and the refusals are no longer one."""
    from cloister.account import box

    stored, _ = records(ada)["wMK"]

    def talkative(key: bytes, sealed: bytes, aad: bytes, length: int | None = None) -> bytes:
        if len(sealed) != 60:
            raise VaultError("length")
        return box.open_box(key, sealed, aad, length)

    monkeypatch.setattr(keys, "open_box", talkative)
    assert len(refusals(stored, records(ada)["wMK"][1])) == 2


def test_lengths(ada: Person) -> None:
    """SLOT-002, SLOT-003, SLOT-009: exact sizes of what the relay stores."""
    body = ada.signup.body
    assert OVERHEAD == 28
    assert [len(b64d(body[name])) for name in ("wMK", "wRK", "ik", "v")] == [60, 60, 76, 512]


def test_a_sealed_secret_of_another_length_is_refused(ada: Person) -> None:
    """SLOT-001: sealed under the right key and name, but not a key."""
    account, kek, draw = ada.keys.account, ada.stretched.kek, rng("length")
    wrong = keys.wrap_mk(kek, account, 1, Roots(b"short", bytes(32)), draw)
    with pytest.raises(VaultError) as caught:
        keys.unwrap_mk(kek, account, 1, 1, wrong)
    assert str(caught.value) == REFUSED


def test_wraps_bind_version_and_generation(ada: Person, monkeypatch: pytest.MonkeyPatch) -> None:
    """SLOT-002, SLOT-003: a relay cannot pass off an earlier master key, or a wrap of another PPF version."""
    account, kek = ada.keys.account, ada.stretched.kek
    wmk, wrk = b64d(ada.signup.body["wMK"]), b64d(ada.signup.body["wRK"])
    assert keys.unwrap_mk(kek, account, 1, 1, wmk) == ada.keys.roots.mk
    assert keys.unwrap_rk(kek, account, 1, wrk) == ada.keys.roots.rk
    other = "id-" + "A" * 43
    for wrong in (
        lambda: keys.unwrap_mk(kek, account, 1, 2, wmk),
        lambda: keys.unwrap_mk(kek, account, 0, 1, wmk),
        lambda: keys.unwrap_mk(kek, other, 1, 1, wmk),
        lambda: keys.unwrap_mk(ada.stretched.auth, account, 1, 1, wmk),
        lambda: keys.unwrap_rk(kek, account, 0, wrk),
        lambda: keys.unwrap_rk(kek, other, 1, wrk),
    ):
        with pytest.raises(VaultError):
            wrong()
    # Control: leave the generation out of the associated data, and the old wrap passes as generation 2.
    real = keys.lp
    monkeypatch.setattr(keys, "lp", lambda *parts: real(*parts[:3]))
    old = keys.wrap_mk(kek, account, 1, ada.keys.roots, rng("control"))
    assert keys.unwrap_mk(kek, account, 1, 2, old) == ada.keys.roots.mk


def test_slot_names() -> None:
    """SLOT-006, SLOT-007."""
    assert slot_names.parse("ik") == slot_names.SlotName("ik")
    assert slot_names.parse(slot_names.epoch(SPH, 7)) == slot_names.SlotName("e", SPH, 7)
    assert slot_names.parse(slot_names.master(2)) == slot_names.SlotName("mk", "", 2)
    assert [slot_names.parse(n).create_only for n in ("ik", "state", "mk.1", f"e.{SPH}.1")] == [
        False,
        False,
        True,
        True,
    ]
    assert [slot_names.parse(n).password_only for n in ("ik", "state", "mk.1", f"e.{SPH}.1")] == [
        True,
        False,
        True,
        False,
    ]


@pytest.mark.parametrize(
    "name",
    [
        "",
        "IK",
        "mk.0",
        "mk.01",
        "mk.4294967296",
        "mk.",
        f"e.{SPH}",
        f"e.{SPH}.0",
        f"e.{SPH}x.1",
        "e.id.1",
        "state ",
        "../x",
    ],
)
def test_slot_names_refused(name: str) -> None:
    """SLOT-006."""
    from cloister.errors import FormatError

    with pytest.raises(FormatError):
        slot_names.parse(name)


def test_ik_thumbprint_is_checked_after_opening(ada: Person, monkeypatch: pytest.MonkeyPatch) -> None:
    """SLOT-009: whoever holds RK cannot make another identity pass for this one; the control drops the comparison."""
    rk, account = ada.keys.roots.rk, ada.keys.account
    expected = ids.jwk_public(ada.keys.ik)
    foreign = keys.new_identity(rng("foreign"))
    aad = slots.slot_aad(account, "ik", ids.thumbprint(expected))
    forged = slots.seal_box(slots.slot_key(rk, account, "ik"), foreign, aad, rng("forge"))
    with pytest.raises(VaultError) as caught:
        slots.open_ik(rk, account, expected, forged)
    assert str(caught.value) == REFUSED
    zero = slots.seal_box(slots.slot_key(rk, account, "ik"), bytes(48), aad, rng("forge"))
    with pytest.raises(VaultError):
        slots.open_ik(rk, account, expected, zero)
    with pytest.raises(VaultError):
        slots.open_ik(rk, account, ids.jwk_public(foreign), b64d(ada.signup.body["ik"]))
    monkeypatch.setattr(crypto, "require_equal", lambda left, right, error: None)
    assert slots.open_ik(rk, account, expected, forged) == foreign


def test_mk_does_not_open_ik(ada: Person) -> None:
    """SLOT-009: the daily root opens no identity key, so a thief of a device certifies nothing."""
    with pytest.raises(VaultError):
        slots.open_ik(ada.keys.roots.mk, ada.keys.account, ids.jwk_public(ada.keys.ik), b64d(ada.signup.body["ik"]))


def test_master_chain(ada: Person) -> None:
    """SLOT-011: old epoch keys stay readable, newer slots do not open under an older master key."""
    account, draw = ada.keys.account, rng("chain")
    mks = {n: bytes([n]) * 32 for n in (1, 2, 3)}
    kept = {n: slots.seal_master(mks[n + 1], account, n, mks[n], draw) for n in (1, 2)}
    assert slots.open_masters(account, mks[3], 3, kept) == mks
    assert slots.open_masters(account, mks[3], 3, {1: kept[1]}) == {3: mks[3]}
    with pytest.raises(VaultError):
        slots.open_masters(account, mks[3], 3, {2: kept[1]})
    new = slots.seal_epoch(mks[2], account, SPH, 9, b"E" * 32, draw)
    with pytest.raises(VaultError):
        slots.open_epoch(mks[1], account, SPH, 9, new)


def test_epoch_slot_is_for_one_epoch_of_one_sphere(ada: Person) -> None:
    """SLOT-008, SLOT-010."""
    mk, account = ada.keys.roots.mk, ada.keys.account
    stored = slots.seal_epoch(mk, account, SPH, 3, b"E" * 32, rng("epoch"))
    assert slots.open_epoch(mk, account, SPH, 3, stored) == b"E" * 32
    for sph, n in ((SPH, 4), (ids.sphere_id(b"\1" * 32), 3)):
        with pytest.raises(VaultError):
            slots.open_epoch(mk, account, sph, n, stored)
