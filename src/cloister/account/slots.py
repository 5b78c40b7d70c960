"""Slots: secrets the relay keeps for an account, each sealed for one name.

``ik`` is sealed under RK; ``e.<sph>.<n>`` and ``mk.<n>`` under MK. A slot's key depends on account and name, and
the name stands in the associated data again, so a slot moved to another name or account does not open. What is
written once (E_n, earlier master keys) needs no counter: for E_n the log's commitment decides, for an earlier
master key the chain of generations.

Who erases: the caller drops the IK scalar after the act it was opened for (SLOT-012).

Spec: 04-account.md, SLOT-006 to SLOT-012.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from cloister import crypto
from cloister.account import slot_names
from cloister.account.box import open_box, refused, seal_box
from cloister.account.keys import ROOT_LENGTH
from cloister.errors import FormatError
from cloister.protocol import ids
from cloister.protocol.encoding import kdf, lp


def slot_key(root: bytes, account: str, name: str) -> bytes:
    """KDF(root, "", "slot", LP(account, name), 32) (SLOT-008)."""
    return kdf(root, b"", "slot", lp(account, name), 32)


def slot_aad(account: str, name: str, thumbprint: bytes = b"", ctr: int = 0) -> bytes:
    """LP(account, name, thumbprint, ctr). Thumbprint: of the public key for ``ik``, empty for the others."""
    return lp(account, name, thumbprint, ctr)


def seal_ik(rk: bytes, account: str, ik: bytes, rng: Callable[[int], bytes]) -> bytes:
    """The slot ``ik``: the identity scalar, 48 bytes, under RK (SLOT-009)."""
    aad = slot_aad(account, slot_names.IK, ids.thumbprint(ids.jwk_public(ik)))
    return seal_box(slot_key(rk, account, slot_names.IK), ik, aad, rng)


def open_ik(rk: bytes, account: str, current: ids.Jwk, slot: bytes) -> bytes:
    """The identity scalar. ``current`` is the identity key the verified key log ends with.

    The public key is computed again and compared (SLOT-009). Raises VaultError, one message for every fault.
    """
    expected = ids.thumbprint(current)
    aad = slot_aad(account, slot_names.IK, expected)
    ik = open_box(slot_key(rk, account, slot_names.IK), slot, aad, crypto.P384_BYTES)
    try:
        found = ids.thumbprint(ids.jwk_public(ik))
    except FormatError:
        raise refused() from None
    crypto.require_equal(found, expected, refused())
    return ik


def seal_epoch(mk: bytes, account: str, sph: str, n: int, secret: bytes, rng: Callable[[int], bytes]) -> bytes:
    """The slot ``e.<sph>.<n>``: E_n, 32 bytes, under MK (SLOT-010)."""
    return _seal(mk, account, slot_names.epoch(sph, n), secret, rng)


def open_epoch(mk: bytes, account: str, sph: str, n: int, slot: bytes) -> bytes:
    """E_n as found: its authority is the commitment in the sphere's log, to be checked by the caller (SLOT-010).

    Raises VaultError, one message for every fault.
    """
    return _open(mk, account, slot_names.epoch(sph, n), slot)


def seal_master(new_mk: bytes, account: str, old_mkv: int, old_mk: bytes, rng: Callable[[int], bytes]) -> bytes:
    """The slot ``mk.<old>``: the previous MK under the next one (SLOT-011). Create-only."""
    return _seal(new_mk, account, slot_names.master(old_mkv), old_mk, rng)


def open_masters(account: str, mk: bytes, mkv: int, slots: Mapping[int, bytes]) -> dict[int, bytes]:
    """Every MK reachable from the present one: {generation: MK}, walking ``mk.<n>`` downward (SLOT-011).

    ``slots`` maps n to the bytes of ``mk.<n>``; a missing one ends the walk. Raises VaultError for one that does not
    open.
    """
    found = {mkv: mk}
    while mkv > 1 and mkv - 1 in slots:
        mk = _open(mk, account, slot_names.master(mkv - 1), slots[mkv - 1])
        mkv -= 1
        found[mkv] = mk
    return found


def _seal(mk: bytes, account: str, name: str, secret: bytes, rng: Callable[[int], bytes]) -> bytes:
    if len(secret) != ROOT_LENGTH:
        raise FormatError("slot secret is not 32 bytes")
    return seal_box(slot_key(mk, account, name), secret, slot_aad(account, name), rng)


def _open(mk: bytes, account: str, name: str, slot: bytes) -> bytes:
    return open_box(slot_key(mk, account, name), slot, slot_aad(account, name), ROOT_LENGTH)
