"""Epoch keys: how one comes to be, how it is recognised, and how an older one hangs on a newer one.

An epoch secret E_n is bound to the history before it, so members whose logs differ derive different keys, and it is
recognised by its commitment kc in the signed log whatever way it travelled (share, slot, link blob, live transfer).
This module never looks at who sent a secret; ``share`` does.

Spec: EPO-001 to EPO-005, EPO-010.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final, Protocol

from cloister import crypto
from cloister.errors import CommitmentMismatch, DecryptFailed, FormatError
from cloister.protocol.encoding import kdf, lp

SECRET_LENGTH: Final = 32
LINK_LENGTH: Final = crypto.NONCE_LENGTH + SECRET_LENGTH + 16
MANY_MESSAGES: Final = 1000
Rng = Callable[[int], bytes]


class EpochEntry(Protocol):
    """What is needed of an ``epoch`` entry of the verified log: number, commitment, hash of the entry before it."""

    @property
    def n(self) -> int: ...
    @property
    def kc(self) -> bytes: ...
    @property
    def prev(self) -> bytes: ...


@dataclass(frozen=True, slots=True)
class EpochKey:
    """The secret of epoch ``n`` of ``sph``, its commitment ``kc``, and ``prev``: H of the entry before the epoch's."""

    sph: str
    n: int
    secret: bytes = field(repr=False)
    kc: bytes
    prev: bytes


def derive(r: bytes, prev: bytes, sph: str, n: int) -> EpochKey:
    """E_n = KDF(r, prev, "epoch", LP(sph, n), 32) and its commitment (EPO-001).

    ``r`` is 32 fresh random bytes, ``prev`` the raw 32 bytes of the epoch entry's header.prev. Raises FormatError.
    """
    if len(r) != SECRET_LENGTH or len(prev) != 32 or not 1 <= n < 2**32:
        raise FormatError("epoch input")
    secret = kdf(r, prev, "epoch", lp(sph, n), SECRET_LENGTH)
    return EpochKey(sph, n, secret, commitment(secret, prev, sph, n), prev)


def derive_org(org: EpochKey, prev: bytes, sph: str, n: int) -> EpochKey:
    """E_n of a sphere of an organisation: KDF(E_org, "", "org-sphere", LP(sph, n, m), 32), m the organisation's epoch
    number (EPO-004). Everybody in the organisation can derive it; kc stays mandatory."""
    secret = kdf(org.secret, b"", "org-sphere", lp(sph, n, org.n), SECRET_LENGTH)
    return EpochKey(sph, n, secret, commitment(secret, prev, sph, n), prev)


def commitment(secret: bytes, prev: bytes, sph: str, n: int) -> bytes:
    """kc = KDF(E_n, prev, "kc", LP(sph, n), 32), the value in the signed epoch entry (EPO-002)."""
    return kdf(secret, prev, "kc", lp(sph, n), 32)


def check(secret: bytes, entry: EpochEntry, sph: str) -> EpochKey:
    """Recognise ``secret`` as the key of the epoch entry (EPO-003). Raises CommitmentMismatch."""
    if len(secret) != SECRET_LENGTH:
        raise CommitmentMismatch("epoch secret length")
    kc = commitment(secret, entry.prev, sph, entry.n)
    crypto.require_equal(kc, entry.kc, CommitmentMismatch(f"epoch {entry.n}"))
    return EpochKey(sph, entry.n, secret, kc, entry.prev)


def is_old(began: int, now: int, T: int, opened: int) -> bool:
    """Whether a new epoch should be made before speaking (EPO-010): a soft mark, never a reason to refuse.

    ``began`` is the earlier of the entry's iat and when this device first saw it, ``T`` seconds (0: never), ``opened``
    how many messages this device has opened under it.
    """
    return (T > 0 and now - began > T) or opened > MANY_MESSAGES


def link_seal(newer: EpochKey, older: EpochKey, rng: Rng) -> bytes:
    """The link blob of epoch n: E_(n-1) sealed under E_n, 60 bytes: nonce, ciphertext, tag (EPO-005)."""
    if newer.n != older.n + 1 or newer.sph != older.sph:
        raise FormatError("a link blob joins neighbouring epochs of one sphere")
    nonce = rng(crypto.NONCE_LENGTH)
    return nonce + crypto.aead_seal(_link_key(newer), nonce, older.secret, _link_aad(newer))


def link_open(blob: bytes, newer: EpochKey, older: EpochEntry) -> EpochKey:
    """E_(n-1) from the link blob of epoch n, recognised by its own entry (EPO-005, EPO-003).

    Raises DecryptFailed for a blob that does not open, CommitmentMismatch for one that holds another secret.
    """
    if len(blob) != LINK_LENGTH or newer.n != older.n + 1:
        raise DecryptFailed("link blob")
    nonce, sealed = blob[: crypto.NONCE_LENGTH], blob[crypto.NONCE_LENGTH :]
    return check(crypto.aead_open(_link_key(newer), nonce, sealed, _link_aad(newer)), older, newer.sph)


def _link_key(newer: EpochKey) -> bytes:
    return kdf(newer.secret, newer.prev, "prev-key", lp(newer.sph, newer.n), crypto.KEY_LENGTH)


def _link_aad(newer: EpochKey) -> bytes:
    return lp("sph/1 link", newer.sph, newer.n)
