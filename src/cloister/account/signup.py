"""Signing up: every key of an account and of its first device, and the one request that creates both.

The vault is written before the request, flagged pending, with the request sealed inside. After a crash the password
decides: if it signs in, the account exists; if not, the same request is sent again.

Who erases: the caller drops RK, IK, ``auth`` and ``kek`` when the relay has answered; the sealed request goes with
the pending flag.

Spec: 04-account.md, SLOT-018 to SLOT-021.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any, Final

from cloister.account import devices, keys, slots, srp, state_slot
from cloister.account import vault as vaults
from cloister.account.keys import DeviceKeys, Roots
from cloister.account.password import Stretched
from cloister.account.vault import Vault
from cloister.errors import FormatError
from cloister.protocol import keylog
from cloister.protocol.encoding import b64e, json_emit, json_parse
from cloister.protocol.keylog import KeyLog

RECORD: Final = "signup"  # name of the vault record that holds the pending request


@dataclass(frozen=True)
class NewKeys:
    """All keys of a new account. ``ik`` (48-byte scalar) and ``roots.rk`` are dropped after sign-up."""

    account: str
    ik: bytes = field(repr=False)
    roots: Roots
    device: DeviceKeys
    vk: bytes = field(repr=False)


@dataclass(frozen=True)
class First:
    """The key log of a new account: entry 0, entry 1 with the certificate of the first device, the log after them."""

    start: str
    entry: str
    cert: str
    log: KeyLog


@dataclass(frozen=True)
class Signup:
    """The request body, the vault to write before sending it, and the pin of the first state."""

    body: dict[str, Any] = field(repr=False)
    vault: Vault
    record: bytes = field(repr=False)
    state_pin: state_slot.Pin


def new_keys(rng: Callable[[int], bytes], kem: str = "xwing") -> NewKeys:
    """Make MK, RK, IK, DK, DE and VK (SLOT-018)."""
    ik = keys.new_identity(rng)
    return NewKeys(keys.account_id(ik), ik, keys.new_roots(rng), keys.new_device(rng, kem), rng(vaults.VK_LENGTH))


def first_device(new: NewKeys, now: int) -> First:
    """Certify the first device and begin the key log. Before ``build``: a join request carries the certificate."""
    start = keylog.start(new.ik, now)
    change = devices.enrol(new.ik, keylog.apply(None, start), new.device, now)
    return First(start, change.entry, change.cert, change.log)


def build(
    new: NewKeys,
    first: First,
    stretched: Stretched,
    *,
    login: str,
    origin: str,
    realm: bytes,
    salt16: bytes,
    content: dict[str, Any],
    rng: Callable[[int], bytes],
    ticket: str | None = None,
    join: str | None = None,
) -> Signup:
    """Build POST /accounts (SLOT-019): {idem, login, ver, v, wMK, wRK, ik, klog, cert, state, ticket? or join?}.

    ``content`` is the first state; ``ticket`` a set-up or sign-up code, ``join`` a ``sph-join+1`` of this device. The
    vault comes with its password opener and ``pending`` set; ``record`` is the body sealed under VK.
    """
    account, device = new.account, new.device
    state = state_slot.seal(new.roots.mk, account, device, None, content, rng)
    body: dict[str, Any] = {
        "idem": b64e(rng(16)),
        "login": login,
        "ver": stretched.version,
        "v": b64e(srp.verifier(login, salt16, stretched.auth)),
        "wMK": b64e(keys.wrap_mk(stretched.kek, account, stretched.version, new.roots, rng)),
        "wRK": b64e(keys.wrap_rk(stretched.kek, account, stretched.version, new.roots, rng)),
        "ik": b64e(slots.seal_ik(new.roots.rk, account, new.ik, rng)),
        "klog": [first.start, first.entry],
        "cert": first.cert,
        "state": b64e(state.slot),
    }
    if ticket is not None:
        body["ticket"] = ticket
    if join is not None:
        body["join"] = join
    vault = Vault(origin, realm, account, login, device.dv, salt16, stretched.version, new.roots.mkv, pending=True)
    vault = vaults.with_opener(vault, vaults.password_opener(vault, new.vk, stretched.kek, rng))
    record = vaults.seal_record(new.vk, vault, RECORD, json_emit(body), rng)
    return Signup(body, vault, record, state.pin)


def pending_body(vk: bytes, vault: Vault, record: bytes) -> dict[str, Any]:
    """The request of an unfinished sign-up, exactly as it was first sent (SLOT-020).

    Raises FormatError when the vault is not pending, VaultError when the record does not open.
    """
    if not vault.pending:
        raise FormatError("this sign-up is finished")
    return json_parse(vaults.open_record(vk, vault, RECORD, record))


def settled(vault: Vault) -> Vault:
    """The vault once the account is known to exist: the relay answered, or the password signs in (SLOT-020).

    Otherwise, on E_AUTH, send ``pending_body`` again: the same idem makes a repetition harmless, and E_CONFLICT then
    means that the name belongs to somebody else.
    """
    return replace(vault, pending=False)
