"""VLT-006, VLT-009 to VLT-015: the PIN, the pepper, and ten tries that are spent before they are judged."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import pytest

from cloister.account import unlock, unlock_server, vault
from cloister.account.unlock_server import Row
from cloister.account.vault import Vault
from cloister.errors import AuthFailed, FormatError, VaultError, WeakPin
from tests.account.conftest import REALM, Person
from vectors.generate import rng

DRAW = rng("unlock")
PIN, WRONG = "804713", "271905"


@dataclass
class Relay:
    """The relay's order of steps over one row."""

    row: Row
    committed: list[int] = field(default_factory=list)

    def open(self, realm: bytes, nonce: bytes, tag: bytes, sig: bytes) -> bytes:
        self.row = unlock_server.spend(unlock_server.admit(self.row, realm, nonce, tag, sig))
        self.committed.append(self.row.left)
        judged = unlock_server.judge(self.row, tag)
        self.row = judged.row
        return judged.release()


def enrolled(ada: Person) -> tuple[Vault, Relay]:
    box, told = unlock.enrol(ada.signup.vault, ada.keys.vk, PIN, DRAW)
    return box, Relay(unlock_server.enrolled(told.dev, told.uk, told.tag, told.pep))


def try_pin(box: Vault, relay: Relay, pin: str) -> bytes:
    nonce = DRAW(32)
    tried = unlock.attempt(box, pin, nonce)
    return unlock.finish(box, tried, relay.open(REALM, nonce, tried.tag, tried.sig))


def test_right_pin(ada: Person) -> None:
    """VLT-009 to VLT-011, VLT-013: enrol, lose the memory, come back with the PIN."""
    box, relay = enrolled(ada)
    box = vault.decode(vault.encode(box))
    assert try_pin(box, relay, PIN) == ada.keys.vk
    assert relay.row.left == unlock_server.TRIES


def test_wrong_pins_until_the_pepper_is_gone(ada: Person) -> None:
    """VLT-014, VLT-015: ten wrong ones end it for the right one too; a right one in between restores all ten."""
    box, relay = enrolled(ada)
    nonce = DRAW(32)
    bad = unlock.attempt(box, WRONG, nonce)
    good = unlock.attempt(box, PIN, nonce)
    for left in range(9, 0, -1):
        with pytest.raises(AuthFailed) as caught:
            relay.open(REALM, nonce, bad.tag, bad.sig)
        assert caught.value.as_wire() == {"code": "E_AUTH", "left": left}
    assert relay.open(REALM, nonce, good.tag, good.sig)
    assert relay.row.left == 10
    for _ in range(10):
        with pytest.raises(AuthFailed):
            relay.open(REALM, nonce, bad.tag, bad.sig)
    assert relay.row.pep is None
    with pytest.raises(AuthFailed) as caught:
        relay.open(REALM, nonce, good.tag, good.sig)
    assert caught.value.data == {"left": 0}
    assert relay.committed == [9, 8, 7, 6, 5, 4, 3, 2, 1, 0, 9, 8, 7, 6, 5, 4, 3, 2, 1, 0]


def test_the_try_is_spent_before_it_is_judged(ada: Person) -> None:
    """VLT-014: ten attempts in flight at once are ten tries; control: judged first, all of them are free."""
    box, relay = enrolled(ada)
    bad = unlock.attempt(box, WRONG, bytes(32))
    row = relay.row
    spent = []
    for _ in range(15):
        try:
            row = unlock_server.spend(row)
            spent.append(row)
        except AuthFailed:
            continue
    assert len(spent) == 10
    judged = [unlock_server.judge(one, bad.tag) for one in spent]
    assert judged[-1].row.pep is None
    careless = [unlock_server.judge(relay.row, bad.tag) for _ in range(15)]
    assert all(one.row.pep is not None and one.row.left == 10 for one in careless)


def test_only_the_device_may_try(ada: Person) -> None:
    """VLT-010: a wrong signature, nonce, realm, device or tag costs no try and tells no count."""
    box, relay = enrolled(ada)
    nonce = DRAW(32)
    tried = unlock.attempt(box, PIN, nonce)
    before = relay.row
    for realm, n, tag, sig in (
        (REALM, DRAW(32), tried.tag, tried.sig),
        (bytes(16), nonce, tried.tag, tried.sig),
        (REALM, nonce, bytes(32), tried.sig),
        (REALM, nonce, tried.tag, bytes(64)),
        (REALM, nonce, tried.tag, b""),
    ):
        with pytest.raises(AuthFailed) as caught:
            relay.open(realm, n, tag, sig)
        assert caught.value.as_wire() == {"code": "E_AUTH"}
    with pytest.raises(AuthFailed):
        unlock_server.admit(None, REALM, nonce, tried.tag, tried.sig)
    with pytest.raises(AuthFailed):
        unlock_server.admit(replace(relay.row, dev="dv-other"), REALM, nonce, tried.tag, tried.sig)
    assert relay.row == before


def test_a_wrong_pepper_is_the_relays_fault(ada: Person, monkeypatch: pytest.MonkeyPatch) -> None:
    """VLT-011: told apart from a wrong PIN; control: unchecked, it would look like a damaged vault."""
    box, _ = enrolled(ada)
    tried = unlock.attempt(box, PIN, bytes(32))
    with pytest.raises(VaultError) as caught:
        unlock.finish(box, tried, bytes(32))
    assert caught.value.data == {"reason": "pepper"}
    assert "wrong pepper" in str(caught.value)
    monkeypatch.setattr(unlock.crypto, "require_equal", lambda left, right, error: None)
    with pytest.raises(VaultError) as caught:
        unlock.finish(box, tried, bytes(32))
    assert caught.value.data == {}


def test_neither_half_alone_tests_pins(ada: Person) -> None:
    """VLT-012: the relay's row does not change with the PIN without ds32; the device's does not open without pep."""
    box, told = unlock.enrol(ada.signup.vault, ada.keys.vk, PIN, rng("one"))
    local = unlock.local_record(box)
    assert told.pep not in vault.encode(box)
    a = unlock.attempt(box, PIN, bytes(32)).a
    for ds32 in (local.ds32, bytes(32)):
        same = unlock._tag(box, replace(local, ds32=ds32), a) == told.tag
        assert same == (ds32 == local.ds32)
    with pytest.raises(VaultError):
        vault.open_with_key(box, "pin", unlock._key(box, local, a, bytes(32)))


def test_a_new_pin_is_a_new_everything(ada: Person) -> None:
    """VLT-009: fresh UK, ds32, salt, pepper; the old relay row no longer opens the vault."""
    box, relay = enrolled(ada)
    changed, told = unlock.enrol(box, ada.keys.vk, "593028", DRAW)
    old, new = unlock.local_record(box), unlock.local_record(changed)
    assert not {old.uk_seed, old.ds32, old.salt, old.hp} & {new.uk_seed, new.ds32, new.salt, new.hp}
    assert told.pep != relay.row.pep
    with pytest.raises(AuthFailed):
        try_pin(changed, relay, "593028")


@pytest.mark.parametrize("pin", ["12345", "1234567890123", "80471x", "８０４７１３", "", "80 471"])
def test_pin_form(ada: Person, pin: str) -> None:
    """VLT-006, VLT-010: refused here, so no try is spent."""
    box, _ = enrolled(ada)
    for act in (lambda: unlock.check_pin(pin), lambda: unlock.attempt(box, pin, bytes(32))):
        with pytest.raises(WeakPin) as caught:
            act()
        assert caught.value.data == {"reason": "form"}


@pytest.mark.parametrize(
    "pin", ["123456", "000000", "112233", "456789", "987654", "890123", "474747", "471471", "1234567890"]
)
def test_common_pins(pin: str) -> None:
    """VLT-006."""
    with pytest.raises(WeakPin) as caught:
        unlock.check_pin(pin)
    assert caught.value.data == {"reason": "common"}


def test_a_thousand_pins_are_listed() -> None:
    """VLT-006."""
    from cloister.account.password import common

    assert len(common()["pins"]) == 1000
    assert unlock.check_pin(PIN) == b"804713"


def test_enrolment_is_checked(ada: Person) -> None:
    """VLT-013: a key of small order would let the relay's own data pass for the device."""
    with pytest.raises(FormatError):
        unlock_server.enrolled("dv", bytes(32), bytes(32), bytes(32))
    uk = unlock.enrol(ada.signup.vault, ada.keys.vk, PIN, DRAW)[1].uk
    with pytest.raises(FormatError):
        unlock_server.enrolled("dv", uk, bytes(31), bytes(32))


def test_no_pin_no_unlock(ada: Person) -> None:
    with pytest.raises(VaultError):
        unlock.attempt(ada.signup.vault, PIN, bytes(32))
