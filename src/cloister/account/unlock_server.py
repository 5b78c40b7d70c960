"""Unlocking with a PIN, the relay's half: ten tries, spent before they are judged.

Knows the pepper and a tag it cannot test PINs against. Pure functions over a row; the relay runs them in this
order, each step in its own committed transaction of ``pepper.db``: consume the nonce, ``admit``, ``spend`` (commit),
``judge`` (store its row), ``release``.

Spec: 04-account.md, VLT-010, VLT-013 to VLT-015.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Final

from cloister import crypto
from cloister.errors import AuthFailed, FormatError, SignatureInvalid
from cloister.protocol.encoding import lp

TRIES: Final = 10
NONCE_LENGTH: Final = 32
NONCE_LIFETIME: Final = 60  # seconds; single use


@dataclass(frozen=True)
class Row:
    """One device's row. ``pep`` is None once the tries are gone. 32 bytes each."""

    dev: str
    uk: bytes
    tag: bytes = field(repr=False)
    pep: bytes | None = field(repr=False)
    left: int = TRIES


@dataclass(frozen=True)
class Judged:
    """The row to store now, and what the attempt earned."""

    row: Row
    good: bool

    def release(self) -> bytes:
        """The pepper. Raises AuthFailed with ``left`` tries. Call after ``row`` is committed (VLT-015)."""
        if not self.good or self.row.pep is None:
            raise AuthFailed("wrong PIN", left=self.row.left)
        return self.row.pep


def enrolled(dev: str, uk: bytes, tag: bytes, pep: bytes) -> Row:
    """The row of a new enrolment; it replaces an earlier one of the same device (VLT-013). Raises FormatError."""
    if not len(tag) == len(pep) == 32:
        raise FormatError("tag or pepper length")
    crypto.ed25519_check_public(uk)
    return Row(dev, uk, tag, pep)


def admit(row: Row | None, realm: bytes, nonce: bytes, tag: bytes, sig: bytes) -> Row:
    """Only the enrolled device may try: its UK signature over the nonce it was given (VLT-010).

    A bad signature, a wrong realm or an unknown device costs no try. Raises AuthFailed without ``left``.
    """
    if row is None:
        raise AuthFailed("unlock")
    try:
        crypto.ed25519_verify(row.uk, sig, lp("sph/1 unlock", realm, row.dev, nonce, tag))
    except (SignatureInvalid, FormatError):
        raise AuthFailed("unlock") from None
    return row


def spend(row: Row) -> Row:
    """One try less, to be committed before ``judge`` (VLT-014).

    In SQL: UPDATE … SET left = left - 1 WHERE dev = ? AND left > 0. Raises AuthFailed with left 0 when none is left.
    """
    if row.left <= 0 or row.pep is None:
        raise AuthFailed("no tries left", left=0)
    return replace(row, left=row.left - 1)


def judge(row: Row, tag: bytes) -> Judged:
    """Compare in constant time after the try was spent (VLT-015).

    Right: ten tries again. Wrong with none left: the pepper is deleted with this very row.
    """
    try:
        crypto.require_equal(row.tag, tag, AuthFailed("tag"))
    except AuthFailed:
        return Judged(replace(row, pep=None) if row.left == 0 else row, good=False)
    return Judged(replace(row, left=TRIES), good=True)
