"""SLOT-013 to SLOT-017: the account's own memory is signed, counted, and never goes back."""

from __future__ import annotations

from typing import Any

import pytest

from cloister.account import keys, slots, state_slot
from cloister.account.box import REFUSED
from cloister.account.state_slot import Pin, Sealed
from cloister.errors import FormatError, LogRollback, VaultError
from cloister.protocol import jws
from cloister.protocol.encoding import b64e
from tests.account.conftest import Person
from vectors.generate import rng

DRAW = rng("state")
THIEF = keys.new_device(DRAW)


def opened(ada: Person, sealed: Sealed, pin: Pin | None, ctr: int | None = None) -> state_slot.State:
    devices = {ada.keys.device.dv: ada.keys.device.dk}
    return state_slot.open_state(
        ada.keys.roots.mk, ada.keys.account, sealed.ctr if ctr is None else ctr, sealed.slot, devices, pin
    )


def after(ada: Person, prev: Pin | None, **content: Any) -> Sealed:
    return state_slot.seal(ada.keys.roots.mk, ada.keys.account, ada.keys.device, prev, content, DRAW)


def test_three_states_in_a_row(ada: Person) -> None:
    """SLOT-013, SLOT-014: each names its predecessor."""
    one = after(ada, None, read={"x": 1})
    two = after(ada, one.pin, read={"x": 2})
    three = after(ada, two.pin, read={"x": 3})
    assert [one.ctr, two.ctr, three.ctr] == [1, 2, 3]
    got = opened(ada, three, two.pin)
    assert (got.content, got.dv, got.prev, got.pin) == (
        {"read": {"x": 3}},
        ada.keys.device.dv,
        two.pin.digest,
        three.pin,
    )
    assert not got.provisional
    assert opened(ada, three, three.pin).pin == three.pin
    assert opened(ada, three, one.pin).ctr == 3


def test_a_new_device_reads_provisionally(ada: Person) -> None:
    """SLOT-017: without a memory of its own nothing can be compared, and the state says so."""
    one = after(ada, None)
    assert opened(ada, one, None).provisional
    state_slot.agree(opened(ada, one, None), one.pin)


def test_rollback_is_refused(ada: Person, monkeypatch: pytest.MonkeyPatch) -> None:
    """SLOT-016: an older state, a rival at the same counter, a successor of something else; then the control."""
    one = after(ada, None, a=1)
    two, rival = after(ada, one.pin, a=2), after(ada, one.pin, a=3)
    three_of_rival = after(ada, rival.pin, a=4)
    for sealed in (one, rival, three_of_rival):
        with pytest.raises(LogRollback):
            opened(ada, sealed, two.pin)
    monkeypatch.setattr(state_slot, "agree", lambda state, pin: None)
    assert opened(ada, one, two.pin).content == {"a": 1}


def test_the_relay_cannot_relabel_a_counter(ada: Person) -> None:
    """SLOT-015: the counter stands in the associated data and inside the signature."""
    one = after(ada, None)
    two = after(ada, one.pin)
    with pytest.raises(VaultError):
        opened(ada, one, None, ctr=2)
    with pytest.raises(VaultError):
        opened(ada, two, None, ctr=1)


def forged(ada: Person, payload: dict[str, Any], ctr: int, author: keys.DeviceKeys) -> Sealed:
    """What somebody who holds MK (a stolen device) can put into the slot."""
    compact = jws.sign("sph-state+1", {"kid": author.dv}, payload, jws.device_signer(author.dk_seed))
    slot = slots.seal_box(
        slots.slot_key(ada.keys.roots.mk, ada.keys.account, "state"),
        compact.encode(),
        slots.slot_aad(ada.keys.account, "state", b"", ctr),
        DRAW,
    )
    return Sealed(ctr, slot, Pin(ctr, jws.decode(compact, "sph-state+1").digest))


def test_only_active_devices_write(ada: Person, monkeypatch: pytest.MonkeyPatch) -> None:
    """SLOT-015: MK alone is not enough: the signer must be active in the key log; then the control."""
    payload: dict[str, Any] = {"id": ada.keys.account, "ctr": 1, "content": {"evil": True}}
    stolen = forged(ada, payload, 1, THIEF)
    with pytest.raises(VaultError) as caught:
        opened(ada, stolen, None)
    assert str(caught.value) == REFUSED
    pretended = jws.sign("sph-state+1", {"kid": ada.keys.device.dv}, payload, jws.device_signer(THIEF.dk_seed))
    key = slots.slot_key(ada.keys.roots.mk, ada.keys.account, "state")
    aad = slots.slot_aad(ada.keys.account, "state", b"", 1)
    slot = slots.seal_box(key, pretended.encode(), aad, DRAW)
    wrong_signature = Sealed(1, slot, stolen.pin)
    with pytest.raises(VaultError):
        opened(ada, wrong_signature, None)
    monkeypatch.setattr(jws, "verify_ed25519", lambda envelope, public: None)
    assert opened(ada, wrong_signature, None).content == {"evil": True}


@pytest.mark.parametrize(
    "change",
    [
        {"id": "id-" + "A" * 43},
        {"ctr": 7},
        {"prev": b64e(bytes(32))},
        {"content": {"spheres": {}}, "ctr": 2},
    ],
    ids=str,
)
def test_inner_members_must_agree(ada: Person, change: dict[str, Any]) -> None:
    """SLOT-015: another account, another counter, a predecessor of the first, the second without one."""
    payload = {"id": ada.keys.account, "ctr": 1, "content": {}, **change}
    with pytest.raises(VaultError):
        opened(ada, forged(ada, payload, payload["ctr"] if change.get("content") else 1, ada.keys.device), None)


def test_garbage_inside_is_one_refusal(ada: Person) -> None:
    """SLOT-015: sealed by MK but no envelope."""
    key = slots.slot_key(ada.keys.roots.mk, ada.keys.account, "state")
    aad = slots.slot_aad(ada.keys.account, "state", b"", 1)
    for inner in (b"", b"x", b"a.b.c", b"\xff" * 40, b"." * 300_000):
        with pytest.raises(VaultError) as caught:
            opened(ada, Sealed(1, slots.seal_box(key, inner, aad, DRAW), Pin(1, bytes(32))), None)
        assert str(caught.value) == REFUSED


def test_limits(ada: Person) -> None:
    """SLOT-014: strict JSON, at most 256 KiB."""
    with pytest.raises(FormatError):
        after(ada, None, big="x" * 200_000)
    with pytest.raises(FormatError):
        after(ada, None, nothing=None)
