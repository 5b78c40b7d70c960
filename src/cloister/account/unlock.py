"""Unlocking with a PIN, the device's half: the PIN alone opens nothing, nor does the relay's pepper.

Knows the PIN for the length of a call. The device keeps an unlock key UK (in no certificate, good for nothing
else), a random ds32, a salt and the hash of the pepper; the relay keeps the pepper and ten tries. A stolen relay
cannot test PINs without ds32, a stolen device cannot test more than ten (VLT-012).

Spec: 04-account.md, VLT-006, VLT-009 to VLT-012.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from itertools import pairwise
from typing import Any, Final

from cloister import crypto
from cloister.account import vault as vaults
from cloister.account.password import LANES, MEMORY_KIB, PASSES, common
from cloister.account.vault import Vault
from cloister.errors import VaultError, WeakPin
from cloister.protocol.encoding import b64d, b64e, kdf, lp
from cloister.protocol.shape import shape

MIN_DIGITS: Final = 6
MAX_DIGITS: Final = 12
RECORD: Final = "*"  # one PIN per device; a sphere's own PIN would name the sphere here
_LOCAL: Final = shape({"uk": "bytes:32", "ds": "bytes:32", "salt": "bytes:32", "hp": "bytes:32"})


@dataclass(frozen=True)
class Local:
    """What stays on the device, plain: UK seed, ds32, salt (32 bytes each) and hp = H(LP("pep", pep))."""

    uk_seed: bytes = field(repr=False)
    ds32: bytes = field(repr=False)
    salt: bytes
    hp: bytes


@dataclass(frozen=True)
class Enrolment:
    """What the relay is told at enrolment. ``dev`` is the device handle (dv); 32 bytes each."""

    dev: str
    uk: bytes
    tag: bytes
    pep: bytes = field(repr=False)


@dataclass(frozen=True)
class Attempt:
    """One try: ``tag`` and ``sig`` go to the relay, ``a`` waits for the pepper."""

    tag: bytes
    sig: bytes
    a: bytes = field(repr=False)


def check_pin(pin: str) -> bytes:
    """ASCII of a PIN of 6 to 12 digits that is not among the first guesses (VLT-006).

    Raises WeakPin (``reason``: form, common): listed, one digit or pair or triple repeated, or counting up or down.
    """
    data = _digits(pin)
    steps = {(int(b) - int(a)) % 10 for a, b in pairwise(pin)}
    repeated = any(pin[n:] == pin[:-n] for n in (1, 2, 3))
    if pin in common()["pins"] or repeated or steps in ({1}, {9}):
        raise WeakPin("among the first guesses", reason="common")
    return data


def enrol(vault: Vault, vk: bytes, pin: str, rng: Callable[[int], bytes]) -> tuple[Vault, Enrolment]:
    """Set or change the PIN: fresh UK, ds32, salt and pepper (VLT-009).

    Returns the vault with the ``pin`` opener and without ``pw``, to be stored only after the relay took the
    Enrolment. Raises WeakPin.
    """
    secret = check_pin(pin)
    uk_seed, ds32, salt, pep = rng(32), rng(32), rng(32), rng(32)
    local = Local(uk_seed, ds32, salt, crypto.sha256(lp("pep", pep)))
    a = _stretch(secret, salt)
    opener = vaults.key_opener(vault, "pin", _key(vault, local, a, pep), vk, rng)
    told = Enrolment(vault.dv, crypto.ed25519_public(uk_seed), _tag(vault, local, a), pep)
    return replace(vaults.with_opener(vault, opener), pin=_encode(local)), told


def attempt(vault: Vault, pin: str, nonce: bytes) -> Attempt:
    """Answer the relay's nonce (32 bytes) with tag and UK signature (VLT-010).

    Raises WeakPin (``form``) for text that is no PIN, before a try is spent; VaultError without an unlock record.
    """
    local, secret = local_record(vault), _digits(pin)
    a = _stretch(secret, local.salt)
    tag = _tag(vault, local, a)
    signed = lp("sph/1 unlock", vault.realm, vault.dv, nonce, tag)
    return Attempt(tag, crypto.ed25519_sign(local.uk_seed, signed), a)


def finish(vault: Vault, tried: Attempt, pep: bytes) -> bytes:
    """VK from the attempt and the pepper the relay released (VLT-011).

    Raises VaultError with ``data["reason"] == "pepper"`` when the relay returned another pepper than was enrolled: not
    a wrong PIN, and no try of the person's. A wrong PIN is the relay's E_AUTH with ``left``.
    """
    local = local_record(vault)
    wrong = VaultError("the relay returned a wrong pepper", reason="pepper")
    crypto.require_equal(crypto.sha256(lp("pep", pep)), local.hp, wrong)
    return vaults.open_with_key(vault, "pin", _key(vault, local, tried.a, pep))


def local_record(vault: Vault) -> Local:
    """The unlock record of a vault with a PIN. Raises VaultError."""
    if vault.pin is None:
        raise VaultError("this vault has no PIN")
    _LOCAL(vault.pin)
    uk, ds32, salt, hp = (b64d(vault.pin[name]) for name in ("uk", "ds", "salt", "hp"))
    return Local(uk, ds32, salt, hp)


def _digits(pin: str) -> bytes:
    if not (pin.isascii() and pin.isdigit() and MIN_DIGITS <= len(pin) <= MAX_DIGITS):
        raise WeakPin("a PIN has 6 to 12 digits", reason="form")
    return pin.encode()


def _stretch(secret: bytes, salt: bytes) -> bytes:
    """a = Argon2id(PIN, salt[:16], 64 MiB, 3, 1, 32)."""
    return crypto.argon2id(secret, salt[:16], memory_kib=MEMORY_KIB, passes=PASSES, lanes=LANES)


def _tag(vault: Vault, local: Local, a: bytes) -> bytes:
    return kdf(a, local.ds32, "vault-tag", lp(vault.dv), 32)


def _key(vault: Vault, local: Local, a: bytes, pep: bytes) -> bytes:
    return kdf(lp(a, pep), local.salt, "vault", lp(vault.account, vault.dv, RECORD), 32)


def _encode(local: Local) -> dict[str, Any]:
    return {"uk": b64e(local.uk_seed), "ds": b64e(local.ds32), "salt": b64e(local.salt), "hp": b64e(local.hp)}
