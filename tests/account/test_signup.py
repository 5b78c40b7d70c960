"""SLOT-018 to SLOT-021: one request makes an account; a crash at any moment loses nothing."""

from __future__ import annotations

from typing import Any

import pytest

from cloister.account import devices, keys, signup, signup_check, slots, state_slot, vault
from cloister.errors import BadFormat, FormatError, VaultError
from cloister.protocol import ids, keylog
from cloister.protocol.encoding import b64d, b64e, json_emit
from tests.account.conftest import NOW, Person
from vectors.generate import rng


def test_the_relay_finds_it_sound(ada: Person) -> None:
    """SLOT-019, SLOT-021."""
    checked = signup_check.check(ada.signup.body, NOW)
    assert checked.klog.id == ada.keys.account
    assert checked.cert.dv == ada.keys.device.dv
    assert checked.login == "ada"
    assert set(ada.signup.body) == {
        "idem", "login", "ver", "v", "wMK", "wRK", "ik", "klog", "cert", "state", "ticket",
    }  # fmt: skip


def test_it_is_the_api_s_body(ada: Person) -> None:
    """SLOT-019: the same closed list of members as the relay decodes."""
    import msgspec

    from cloister.protocol import api

    decoded = msgspec.convert(ada.signup.body, api.NewAccount)
    assert msgspec.to_builtins(decoded) == ada.signup.body


def test_no_secret_leaves(ada: Person) -> None:
    """SLOT-019, SLOT-012: keys and password parts are in neither request nor vault, RK and IK not even sealed."""
    new = ada.keys
    sent = str(ada.signup.body).encode() + vault.encode(ada.signup.vault)
    secrets = [
        new.ik, new.roots.mk, new.roots.rk, new.vk, new.device.dk_seed, new.device.de_seed,
        ada.stretched.auth, ada.stretched.kek,
    ]  # fmt: skip
    opened = json_emit(signup.pending_body(new.vk, ada.signup.vault, ada.signup.record))
    sent += opened
    blobs = [b64d(ada.signup.body[name]) for name in ("v", "wMK", "wRK", "ik", "state")]
    for secret in secrets:
        assert b64e(secret).encode() not in sent
        assert secret.hex().encode() not in sent
        assert not any(secret in blob for blob in blobs)
    for text in (repr(ada.signup), repr(ada.keys), repr(ada.stretched)):
        assert not any(secret.hex() in text or repr(secret)[2:-1] in text for secret in secrets)


def other_identity() -> tuple[str, str, str]:
    draw = rng("other identity")
    new = signup.new_keys(draw)
    first = signup.first_device(new, NOW)
    return first.start, first.entry, first.cert


@pytest.mark.parametrize("member", ["klog", "cert", "login", "ver", "v", "wMK", "wRK", "ik", "state"])
def test_what_does_not_hang_together_is_refused(ada: Person, member: str) -> None:
    """SLOT-021: each member wrong in its own way."""
    start, entry, cert = other_identity()
    body = ada.signup.body
    wrong: dict[str, list[Any]] = {
        "klog": [[start, entry], body["klog"][:1], [*body["klog"], entry], [start, body["klog"][1]], [], ["x"]],
        "cert": [cert, "x", body["klog"][0]],
        "login": ["Ada", "a b", ""],
        "ver": [2, 7],
        "v": [b64e(bytes(512)), b64e(b"\1" * 511), b64e(b"\xff" * 512), "*"],
        "wMK": ["", b64e(bytes(59))],
        "wRK": ["", b64e(bytes(61))],
        "ik": [b64e(bytes(60))],
        "state": ["", b64e(bytes(262_145))],
    }
    for value in wrong[member]:
        with pytest.raises(BadFormat):
            signup_check.check({**body, member: value}, NOW)


def test_certificate_must_be_in_force(ada: Person) -> None:
    """SLOT-021."""
    for now in (NOW - 601, NOW + devices.CERT_LIFETIME):
        with pytest.raises(BadFormat):
            signup_check.check(ada.signup.body, now)
    assert signup_check.check(ada.signup.body, NOW + devices.CERT_LIFETIME - 1)


def test_crash_before_the_answer(ada: Person) -> None:
    """SLOT-020: only the vault file and the password are left; the same request goes out again."""
    box = vault.decode(vault.encode(ada.signup.vault))
    assert box.pending
    vk = vault.open_with_password(box, ada.stretched.kek)
    assert signup.pending_body(vk, box, ada.signup.record) == ada.signup.body
    done = signup.settled(box)
    assert not done.pending
    with pytest.raises(FormatError):
        signup.pending_body(vk, done, ada.signup.record)
    with pytest.raises(VaultError):
        signup.pending_body(bytes(32), box, ada.signup.record)


def test_a_second_device_finds_everything(ada: Person) -> None:
    """SLOT-018, SLOT-026: from the password and what the relay stored, to a certified second device."""
    body, kek, account = ada.signup.body, ada.stretched.kek, ada.keys.account
    mk = keys.unwrap_mk(kek, account, 1, 1, b64d(body["wMK"]))
    rk = keys.unwrap_rk(kek, account, 1, b64d(body["wRK"]))
    log = keylog.verify_chain(body["klog"])
    ik = slots.open_ik(rk, account, log.ik, b64d(body["ik"]))
    state = state_slot.open_state(
        mk, account, 1, b64d(body["state"]), {dv: cert.dk for dv, cert in log.devices.items()}, None
    )
    assert state.content == {"spheres": {}}
    assert state.provisional
    second = keys.new_device(rng("second"))
    change = devices.enrol(ik, log, second, NOW + 5)
    assert set(change.log.devices) == {ada.keys.device.dv, second.dv}
    assert keylog.verify_chain([*body["klog"], change.entry]) == change.log
    gone = devices.revoke(ik, change.log, ada.keys.device.dv, NOW + 9)
    assert set(gone.log.devices) == {second.dv}
    assert ids.identity_id(log.ik) == account
