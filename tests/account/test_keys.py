"""SLOT-004, SLOT-005: making keys, and a device that comes back from the vault as it went in."""

from __future__ import annotations

import pytest

from cloister import crypto
from cloister.account import keys
from cloister.errors import FormatError, VaultError
from cloister.protocol import ids
from tests.account.conftest import Person, damaged
from vectors.generate import rng


def test_identity_scalars_are_in_range() -> None:
    """SLOT-004: whatever the source of randomness gives."""
    for source in (lambda n: bytes(n), lambda n: b"\xff" * n, rng("scalar")):
        scalar = keys.new_identity(source)
        assert len(scalar) == 48
        assert 0 < int.from_bytes(scalar, "big") < crypto.P384_ORDER


@pytest.mark.parametrize("kem", ["xwing", "p384", "rsa4096"])
def test_device_survives_the_vault(kem: str) -> None:
    """SLOT-005."""
    device = keys.new_device(rng(kem), kem)
    assert device.dv == ids.device_id(device.dk)
    packed = keys.pack_device(device)
    assert keys.unpack_device(packed, device.dv) == device
    assert device.dk_seed.hex() not in repr(device)
    other = keys.new_device(rng("other"), kem)
    with pytest.raises(VaultError):
        keys.unpack_device(packed, other.dv)
    for bad in damaged(packed[:48]):
        with pytest.raises(VaultError):
            keys.unpack_device(bad + packed[48:], device.dv)


def test_unknown_kem_is_refused() -> None:
    with pytest.raises(FormatError):
        keys.new_device(rng("x"), "x25519")
    with pytest.raises(FormatError):
        keys.device(bytes(32), "xwing", bytes(48))


def test_account_is_named_by_its_first_identity(ada: Person) -> None:
    assert ada.keys.account == ids.identity_id(ids.jwk_public(ada.keys.ik)) == ada.first.log.id
