"""One way to seal a stored secret, one way it fails.

Knows a key for the length of a call. Every record of an account (wrapped roots, slots, vault openers, vault
records) is nonce12 || AES-256-GCM; whatever is wrong with one, its error is the same class with the same text, so
that nothing is learnt from how a record fails.

Spec: 04-account.md, SLOT-001.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from cloister import crypto
from cloister.errors import DecryptFailed, VaultError

OVERHEAD: Final = crypto.NONCE_LENGTH + 16
REFUSED: Final = "a sealed record does not open"


def seal_box(key: bytes, secret: bytes, aad: bytes, rng: Callable[[int], bytes]) -> bytes:
    """nonce12 || AEAD(key, secret, aad): 28 bytes longer than ``secret``."""
    nonce = rng(crypto.NONCE_LENGTH)
    return nonce + crypto.aead_seal(key, nonce, secret, aad)


def open_box(key: bytes, box: bytes, aad: bytes, length: int | None = None) -> bytes:
    """Inverse of seal_box. Raises VaultError, always with the same text, also when ``length`` does not fit."""
    try:
        secret = crypto.aead_open(key, box[: crypto.NONCE_LENGTH], box[crypto.NONCE_LENGTH :], aad)
    except DecryptFailed:
        raise refused() from None
    if length is not None and len(secret) != length:
        raise refused()
    return secret


def refused() -> VaultError:
    """The one error of a stored record."""
    return VaultError(REFUSED)
