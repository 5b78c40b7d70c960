"""Changing what opens an account: a new password, or a new master key after a device is gone.

Both are one PUT /account/roots, compare-and-swap on ``cred_ver``; the caller keeps the old and the new keys until
the relay has answered. After a device is revoked the old MK may be in a thief's hands, so no epoch key is stored
under it again: old generations stay readable through ``mk.<n>``, new slots go under the new one.

Who erases: the caller drops ``kek``, RK and the earlier MK once the answer is stored.

Spec: 04-account.md, SLOT-011, SLOT-022 to SLOT-025.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

from cloister import crypto
from cloister.account import keys, slot_names, slots, srp, state_slot
from cloister.account.box import refused
from cloister.account.keys import DeviceKeys, Roots
from cloister.account.password import Stretched
from cloister.errors import DecryptFailed, Downgrade, FormatError
from cloister.protocol.encoding import b64e, lp


@dataclass(frozen=True)
class Rotation:
    """A new master key: the request body, the new roots and the pin of the re-sealed state."""

    body: dict[str, Any] = field(repr=False)
    roots: Roots
    state_pin: state_slot.Pin


def open_roots(stretched: Stretched, account: str, reply: dict[str, bytes], mkv: int, *, seen: int) -> Roots:
    """MK and RK from {wMK, wRK} (bytes) of GET /account/roots. ``seen`` is the highest mkv this device knows.

    Raises Downgrade when the relay offers an earlier generation, VaultError when a wrap does not open: with the
    generation it names (SLOT-002, SLOT-022).
    """
    if mkv < seen:
        raise Downgrade("an earlier master key than this device has seen")
    mk = keys.unwrap_mk(stretched.kek, account, stretched.version, mkv, reply["wMK"])
    return Roots(mk, keys.unwrap_rk(stretched.kek, account, stretched.version, reply["wRK"]), mkv)


def change_password(
    cred_ver: int, roots: Roots, new: Stretched, *, account: str, login: str, salt16: bytes, rng: Callable[[int], bytes]
) -> dict[str, Any]:
    """Body of a password change: new v, wMK, wRK; salt16 and the roots stay (SLOT-023)."""
    return {
        "cred_ver": cred_ver,
        **new_verifier(new, login, salt16),
        **_wraps(new, account, roots, rng),
        "slots": [],
    }


def new_verifier(new: Stretched, login: str, salt16: bytes) -> dict[str, Any]:
    """The members that tell the relay of a new password (SLOT-023, SLOT-024)."""
    return {"ver": new.version, "v": b64e(srp.verifier(login, salt16, new.auth))}


def rotate_master(
    cred_ver: int,
    roots: Roots,
    stretched: Stretched,
    *,
    account: str,
    author: DeviceKeys,
    state: state_slot.State,
    content: dict[str, Any],
    rng: Callable[[int], bytes],
    verifier: dict[str, Any] | None = None,
) -> Rotation:
    """Body of a new master key: wMK under mkv + 1, the old MK as ``mk.<old>``, the state re-sealed (SLOT-024).

    ``state`` is the present state (the new one follows it with ``content``); RK stays. While the password stays,
    neither ``v`` nor ``ver`` is sent; with a new one ``stretched`` is of it and ``verifier`` its ``new_verifier``.
    """
    fresh = Roots(rng(keys.ROOT_LENGTH), roots.rk, roots.mkv + 1)
    sealed = state_slot.seal(fresh.mk, account, author, state.pin, content, rng)
    old = slots.seal_master(fresh.mk, account, roots.mkv, roots.mk, rng)
    body = {
        "cred_ver": cred_ver,
        **(verifier or {}),
        **_wraps(stretched, account, fresh, rng),
        "slots": [
            {"name": slot_names.master(roots.mkv), "mkv": fresh.mkv, "bytes": b64e(old)},
            {"name": slot_names.STATE, "mkv": fresh.mkv, "bytes": b64e(sealed.slot), "ctr": sealed.ctr},
        ],
    }
    return Rotation(body, fresh, sealed.pin)


def seal_mk_share(account: str, sender: str, recipient: str, kem: str, de: bytes, roots: Roots) -> bytes:
    """MK for another own device: HPKE to its DE, to be carried as ``p2p`` k:"mk" (SLOT-025). Random by design."""
    return crypto.hpke_seal(kem, de, _share_info(account, sender, recipient, kem, roots.mkv), roots.mk)


def open_mk_share(
    account: str, sender: str, own: DeviceKeys, mkv: int, ct: bytes, roots: Roots, *, tainted: bool = False
) -> Roots:
    """The newer MK an own, active device sent (SLOT-025). ``roots`` are the present ones; their RK may be empty.

    The caller has checked the envelope's signature and that the sender is an active device of the same account in
    the verified key log, and remembers the sender with the MK. ``tainted``: the present MK came from a device that
    is revoked by now, so its generation says nothing. Raises Downgrade for a generation that is not newer, VaultError.
    """
    if mkv <= roots.mkv and not tainted:
        raise Downgrade("an earlier master key than this device has seen")
    try:
        mk = crypto.hpke_open(own.kem, own.de_seed, _share_info(account, sender, own.dv, own.kem, mkv), ct)
    except (DecryptFailed, FormatError):
        raise refused() from None
    if len(mk) != keys.ROOT_LENGTH:
        raise refused()
    return replace(roots, mk=mk, mkv=mkv)


def _wraps(stretched: Stretched, account: str, roots: Roots, rng: Callable[[int], bytes]) -> dict[str, Any]:
    if not 0 < roots.mkv < 2**32:
        raise FormatError("mkv out of range")
    return {
        "wMK": b64e(keys.wrap_mk(stretched.kek, account, stretched.version, roots, rng)),
        "wRK": b64e(keys.wrap_rk(stretched.kek, account, stretched.version, roots, rng)),
        "mkv": roots.mkv,
    }


def _share_info(account: str, sender: str, recipient: str, kem: str, mkv: int) -> bytes:
    return lp("sph/1 mk", account, sender, recipient, kem, mkv)
