"""SLOT-022 to SLOT-025: a new password keeps the keys, a new master key shuts a lost device out."""

from __future__ import annotations

import msgspec
import pytest

from cloister.account import credentials, keys, slots, state_slot
from cloister.account.box import REFUSED
from cloister.account.password import Stretched
from cloister.errors import Downgrade, VaultError
from cloister.protocol import api, ids
from cloister.protocol.encoding import b64d
from tests.account.conftest import LOGIN, SALT, Person, damaged
from vectors.generate import rng

NEW = Stretched(b"A" * 32, b"K" * 32)
SPH = ids.sphere_id(bytes(32))


def wraps(body: dict[str, str]) -> dict[str, bytes]:
    return {name: b64d(body[name]) for name in ("wMK", "wRK")}


def test_password_change_keeps_roots(ada: Person) -> None:
    """SLOT-022, SLOT-023: the old password opens nothing of what is stored now."""
    account, roots = ada.keys.account, ada.keys.roots
    body = credentials.change_password(3, roots, NEW, account=account, login=LOGIN, salt16=SALT, rng=rng("change"))
    assert msgspec.to_builtins(msgspec.convert(body, api.NewRoots)) == body
    assert body["cred_ver"] == 3
    assert credentials.open_roots(NEW, account, wraps(body), 1, seen=1) == roots
    with pytest.raises(VaultError):
        credentials.open_roots(ada.stretched, account, wraps(body), 1, seen=1)


def rotation(ada: Person, seed: str = "rotate") -> credentials.Rotation:
    body = ada.signup.body
    state = state_slot.open_state(
        ada.keys.roots.mk, ada.keys.account, 1, b64d(body["state"]), {ada.keys.device.dv: ada.keys.device.dk}, None
    )
    return credentials.rotate_master(
        1,
        ada.keys.roots,
        ada.stretched,
        account=ada.keys.account,
        author=ada.keys.device,
        state=state,
        content={"after": True},
        rng=rng(seed),
    )


def test_new_master_key(ada: Person) -> None:
    """SLOT-024, SLOT-011: one request; the thief's MK opens neither the new roots, nor the state, nor newer slots."""
    made, account, thief = rotation(ada), ada.keys.account, ada.keys.roots.mk
    assert msgspec.to_builtins(msgspec.convert(made.body, api.NewRoots)) == made.body
    assert made.roots.mkv == 2
    assert made.roots.rk == ada.keys.roots.rk
    assert made.roots.mk != thief
    assert credentials.open_roots(ada.stretched, account, wraps(made.body), 2, seen=1) == made.roots
    stored = {slot["name"]: slot for slot in made.body["slots"]}
    assert set(stored) == {"mk.1", "state"}
    assert slots.open_masters(account, made.roots.mk, 2, {1: b64d(stored["mk.1"]["bytes"])}) == {
        1: thief,
        2: made.roots.mk,
    }
    active = {ada.keys.device.dv: ada.keys.device.dk}
    sealed = b64d(stored["state"]["bytes"])
    state = state_slot.open_state(made.roots.mk, account, 2, sealed, active, ada.signup.state_pin)
    assert (state.content, state.pin) == ({"after": True}, made.state_pin)
    with pytest.raises(VaultError):
        state_slot.open_state(thief, account, 2, sealed, active, None)
    with pytest.raises(VaultError):
        slots.open_masters(account, thief, 2, {1: b64d(stored["mk.1"]["bytes"])})
    newer = slots.seal_epoch(made.roots.mk, account, SPH, 2, b"E" * 32, rng("e"))
    with pytest.raises(VaultError):
        slots.open_epoch(thief, account, SPH, 2, newer)
    # Control: without the new master key the next epoch key goes under the one the thief holds.
    careless = slots.seal_epoch(ada.keys.roots.mk, account, SPH, 2, b"E" * 32, rng("e"))
    assert slots.open_epoch(thief, account, SPH, 2, careless) == b"E" * 32


def test_an_earlier_generation_is_refused(ada: Person) -> None:
    """SLOT-002, SLOT-022: told openly it is a downgrade, told falsely it does not open."""
    made, account = rotation(ada), ada.keys.account
    with pytest.raises(Downgrade):
        credentials.open_roots(ada.stretched, account, wraps(ada.signup.body), 1, seen=2)
    mixed = {"wMK": b64d(ada.signup.body["wMK"]), "wRK": b64d(made.body["wRK"])}
    with pytest.raises(VaultError) as caught:
        credentials.open_roots(ada.stretched, account, mixed, 2, seen=1)
    assert str(caught.value) == REFUSED


@pytest.mark.parametrize("kem", ["xwing", "p384"])
def test_share_with_own_devices(ada: Person, kem: str) -> None:
    """SLOT-025: for one device, from one device, of one generation; damaged anywhere it is one refusal."""
    made, account, sender = rotation(ada), ada.keys.account, ada.keys.device.dv
    other, third = keys.new_device(rng("other" + kem), kem), keys.new_device(rng("third" + kem), kem)
    ct = credentials.seal_mk_share(account, sender, other.dv, kem, other.de, made.roots)
    got = credentials.open_mk_share(account, sender, other, 2, ct, ada.keys.roots)
    assert got == made.roots
    with pytest.raises(Downgrade):
        credentials.open_mk_share(account, sender, other, 2, ct, made.roots)
    for wrong in (
        lambda: credentials.open_mk_share(account, sender, other, 3, ct, ada.keys.roots),
        lambda: credentials.open_mk_share(account, third.dv, other, 2, ct, ada.keys.roots),
        lambda: credentials.open_mk_share(account, sender, third, 2, ct, ada.keys.roots),
        lambda: credentials.open_mk_share("id-" + "A" * 43, sender, other, 2, ct, ada.keys.roots),
    ):
        with pytest.raises(VaultError):
            wrong()
    for bad in damaged(ct)[::17]:
        with pytest.raises(VaultError) as caught:
            credentials.open_mk_share(account, sender, other, 2, bad, ada.keys.roots)
        assert str(caught.value) == REFUSED


def test_a_key_planted_before_the_revocation(ada: Person) -> None:
    """SLOT-025: a thief sends a high MK of his own; once his device is revoked the honest one replaces it."""
    made, account, sender = rotation(ada), ada.keys.account, ada.keys.device.dv
    mine, thief = keys.new_device(rng("mine")), keys.new_device(rng("thief"))
    planted = keys.Roots(b"T" * 32, b"", 900)
    ct = credentials.seal_mk_share(account, thief.dv, mine.dv, "xwing", mine.de, planted)
    fooled = credentials.open_mk_share(account, thief.dv, mine, 900, ct, ada.keys.roots)
    assert fooled.mk == planted.mk
    honest = credentials.seal_mk_share(account, sender, mine.dv, "xwing", mine.de, made.roots)
    with pytest.raises(Downgrade):
        credentials.open_mk_share(account, sender, mine, 2, honest, fooled)
    assert credentials.open_mk_share(account, sender, mine, 2, honest, fooled, tainted=True).mk == made.roots.mk
