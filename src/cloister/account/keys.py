"""The keys of an account and how the two roots are wrapped.

The daily root MK opens what every device of the account needs. The rarely used root RK opens only the identity
key IK. Both are wrapped under ``kek``, each with its own associated data, so neither wrap can stand in for the
other. The wrap of MK also names its generation, so a relay cannot pass an earlier MK off as the present one.

Who erases: RK and IK live for one act (enrol, revoke, rotate); the caller drops ``rk`` and the IK scalar when the
act is sent, ``kek`` when the roots are open or wrapped. Only MK and ``DeviceKeys`` enter the vault. Python cannot
overwrite ``bytes``; holding no reference is the most it can promise, and the guides say so.

Spec: 04-account.md, SLOT-001 to SLOT-005.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

from cloister import crypto
from cloister.account.box import open_box, seal_box
from cloister.errors import FormatError, VaultError
from cloister.protocol import ids
from cloister.protocol.encoding import lp

ROOT_LENGTH: Final = 32
FIRST_MKV: Final = 1
KEMS: Final = {"xwing": 32, "p384": 48}  # bytes of the receiving key's secret; an RSA key is PKCS #8
RSA: Final = "rsa4096"


@dataclass(frozen=True)
class DeviceKeys:
    """A device: ``dv-``, signing key DK (Ed25519 seed and public key) and receiving key DE (kem, secret, public)."""

    dv: str
    dk_seed: bytes = field(repr=False)
    dk: bytes
    kem: str
    de_seed: bytes = field(repr=False)
    de: bytes = field(repr=False)


@dataclass(frozen=True)
class Roots:
    """MK with its generation ``mkv`` (from 1), and RK. 32 bytes each."""

    mk: bytes = field(repr=False)
    rk: bytes = field(repr=False)
    mkv: int = FIRST_MKV


def new_roots(rng: Callable[[int], bytes]) -> Roots:
    """Fresh MK and RK of generation 1."""
    return Roots(rng(ROOT_LENGTH), rng(ROOT_LENGTH))


def new_identity(rng: Callable[[int], bytes]) -> bytes:
    """A fresh IK scalar, 48 bytes: 56 random bytes mod (n - 1), plus 1 (SLOT-004, FIPS 186-5 A.2.1)."""
    return _scalar(rng)


def new_device(rng: Callable[[int], bytes], kem: str = "xwing") -> DeviceKeys:
    """Fresh DK and DE. ``kem`` is xwing, p384 or rsa4096. Raises FormatError for another."""
    return device(rng(32), kem, new_receiving(rng, kem))


def new_receiving(rng: Callable[[int], bytes], kem: str) -> bytes:
    """The secret of a fresh DE (SLOT-005). An RSA key is drawn by the operating system. Raises FormatError."""
    if kem == RSA:
        return crypto.rsa_generate()
    if kem not in KEMS:
        raise FormatError("unknown kem")
    return rng(32) if kem == "xwing" else _scalar(rng)


def device(dk_seed: bytes, kem: str, de_seed: bytes) -> DeviceKeys:
    """The device of known secrets, public parts computed. Raises FormatError."""
    if len(dk_seed) != 32 or (kem != RSA and len(de_seed) != KEMS.get(kem)):
        raise FormatError("device key length")
    dk = crypto.ed25519_public(dk_seed)
    de = crypto.rsa_public(de_seed) if kem == RSA else crypto.hpke_public(kem, de_seed)
    return DeviceKeys(ids.device_id(dk), dk_seed, dk, kem, de_seed, de)


def pack_device(keys: DeviceKeys) -> bytes:
    """Secrets of a device as bytes for the vault: LP(dk seed, kem, de seed) (SLOT-005)."""
    return lp(keys.dk_seed, keys.kem, keys.de_seed)


def unpack_device(data: bytes, dv: str) -> DeviceKeys:
    """Inverse of pack_device; public parts are computed again. Raises VaultError unless they give ``dv``."""
    for kem in (*KEMS, RSA):
        head = 36 + len(lp(kem))
        if data[36:head] == lp(kem):
            try:
                keys = device(data[4:36], kem, data[head + 4 :])
            except FormatError:
                break
            if keys.dv == dv and pack_device(keys) == data:
                return keys
    raise VaultError("device record")


def account_id(ik: bytes) -> str:
    """``id-`` of the account: of its first IK, for ever. ``ik`` is that scalar, 48 bytes."""
    return ids.identity_id(ids.jwk_public(ik))


def wrap_mk(kek: bytes, account: str, version: int, roots: Roots, rng: Callable[[int], bytes]) -> bytes:
    """wMK = nonce12 || AEAD(kek, MK, LP("mk", account, ver, mkv)), 60 bytes (SLOT-002)."""
    return seal_box(kek, roots.mk, lp("mk", account, version, roots.mkv), rng)


def unwrap_mk(kek: bytes, account: str, version: int, mkv: int, wrapped: bytes) -> bytes:
    """MK of generation ``mkv``. Raises VaultError, one message for every fault."""
    return open_box(kek, wrapped, lp("mk", account, version, mkv), ROOT_LENGTH)


def wrap_rk(kek: bytes, account: str, version: int, roots: Roots, rng: Callable[[int], bytes]) -> bytes:
    """wRK = nonce12 || AEAD(kek, RK, LP("root", account, ver)), 60 bytes (SLOT-003)."""
    return seal_box(kek, roots.rk, lp("root", account, version), rng)


def unwrap_rk(kek: bytes, account: str, version: int, wrapped: bytes) -> bytes:
    """RK. Raises VaultError, one message for every fault."""
    return open_box(kek, wrapped, lp("root", account, version), ROOT_LENGTH)


def _scalar(rng: Callable[[int], bytes]) -> bytes:
    value = int.from_bytes(rng(crypto.P384_BYTES + 8), "big") % (crypto.P384_ORDER - 1) + 1
    return value.to_bytes(crypto.P384_BYTES, "big")
