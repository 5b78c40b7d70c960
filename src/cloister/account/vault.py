"""The vault: one random key per device, VK, and the ways to open it.

Everything a device keeps is sealed under VK. An *opener* wraps VK for one way in: ``pw`` (the password, also
offline), ``pin`` (PIN and the relay's pepper), ``session`` (a key held by an agent or browser), ``file`` (a bot's
key file). Setting a PIN deletes ``pw``, because a stolen device could otherwise be tried against the password
without anyone noticing.

Knows bytes; files belong to the client. Spec: 04-account.md, VLT-001 to VLT-008.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Final

from cloister.account.box import open_box, seal_box
from cloister.errors import FormatError, NotFound
from cloister.protocol.encoding import b64d, b64e, json_emit, json_parse, kdf, lp
from cloister.protocol.shape import shape

VK_LENGTH: Final = 32
SALT_LENGTH: Final = 32
KINDS: Final = ("pw", "pin", "session", "file")
_KEY_FILE: Final = re.compile(rb"cloister-key-1 ([A-Za-z0-9_-]{43})\r?\n?")
_HEADER: Final = shape(
    {
        "v": "int",
        "origin": "text:320",
        "realm": "bytes:16",
        "account": "id",
        "login": "login",
        "dv": "dv",
        "salt": "bytes:16",
        "ver": "int",
        "mkv": "int",
        "pending": "bool",
        "openers": "object",
        "pin?": "object",
    }
)
_OPENER: Final = shape({"salt": "bytes:0|32", "box": "bytes:60"})


@dataclass(frozen=True)
class Opener:
    """One way in. ``salt`` is 32 bytes for ``pw``, empty for the others; ``box`` is VK sealed, 60 bytes."""

    kind: str
    salt: bytes
    box: bytes = field(repr=False)


@dataclass(frozen=True)
class Vault:
    """What a device must know before anything is open: plain, and worthless to change (VLT-002).

    ``ver`` pins the PPF version, ``salt16`` the account's salt, ``mkv`` the highest generation of MK seen.
    ``pending``: the account was asked for and the answer was not seen. ``pin`` is the unlock record (``unlock``).
    """

    origin: str
    realm: bytes
    account: str
    login: str
    dv: str
    salt16: bytes
    ver: int
    mkv: int
    pending: bool
    openers: tuple[Opener, ...] = ()
    pin: dict[str, Any] | None = None

    def opener(self, kind: str) -> Opener:
        """The opener of one kind. Raises NotFound."""
        for one in self.openers:
            if one.kind == kind:
                return one
        raise NotFound(f"this vault has no {kind} opener")


def encode(vault: Vault) -> bytes:
    """The vault header as strict JSON (VLT-002)."""
    value: dict[str, Any] = {
        "v": 1,
        "origin": vault.origin,
        "realm": b64e(vault.realm),
        "account": vault.account,
        "login": vault.login,
        "dv": vault.dv,
        "salt": b64e(vault.salt16),
        "ver": vault.ver,
        "mkv": vault.mkv,
        "pending": vault.pending,
        "openers": {one.kind: {"salt": b64e(one.salt), "box": b64e(one.box)} for one in vault.openers},
    }
    if vault.pin is not None:
        value["pin"] = vault.pin
    return json_emit(value)


def decode(data: bytes) -> Vault:
    """Inverse of encode. Raises FormatError."""
    value = json_parse(data)
    _HEADER(value)
    if value["v"] != 1 or not set(value["openers"]) <= set(KINDS):
        raise FormatError("vault header of another version")
    for kind, one in value["openers"].items():
        _OPENER(one)
        if (kind == "pw") != bool(one["salt"]):
            raise FormatError("only the password opener has a salt")
    openers = tuple(Opener(k, b64d(one["salt"]), b64d(one["box"])) for k, one in value["openers"].items())
    return Vault(
        value["origin"],
        b64d(value["realm"]),
        value["account"],
        value["login"],
        value["dv"],
        b64d(value["salt"]),
        value["ver"],
        value["mkv"],
        value["pending"],
        openers,
        value.get("pin"),
    )


def password_opener(vault: Vault, vk: bytes, kek: bytes, rng: Callable[[int], bytes]) -> Opener:
    """``pw``: key = KDF(kek, salt, "vault-pw", LP(account, dv), 32) with a fresh salt of 32 bytes (VLT-003)."""
    salt = rng(SALT_LENGTH)
    return Opener("pw", salt, seal_box(_password_key(vault, kek, salt), vk, _aad(vault, "pw"), rng))


def key_opener(vault: Vault, kind: str, key: bytes, vk: bytes, rng: Callable[[int], bytes]) -> Opener:
    """``session``, ``file`` or ``pin``: VK under a 32-byte key (VLT-004). Raises FormatError for another kind."""
    if kind not in ("session", "file", "pin") or len(key) != VK_LENGTH:
        raise FormatError("opener kind or key length")
    return Opener(kind, b"", seal_box(key, vk, _aad(vault, kind), rng))


def open_with_password(vault: Vault, kek: bytes) -> bytes:
    """VK by ``pw``. Raises NotFound (no such opener), VaultError (wrong password or damaged: indistinguishable)."""
    one = vault.opener("pw")
    return open_box(_password_key(vault, kek, one.salt), one.box, _aad(vault, "pw"), VK_LENGTH)


def open_with_key(vault: Vault, kind: str, key: bytes) -> bytes:
    """VK by ``session``, ``file`` or ``pin``. Raises NotFound, VaultError."""
    if kind not in ("session", "file", "pin"):
        raise FormatError("opener kind")
    return open_box(key, vault.opener(kind).box, _aad(vault, kind), VK_LENGTH)


def with_opener(vault: Vault, opener: Opener) -> Vault:
    """The vault with ``opener`` added or replaced; ``pin`` removes ``pw`` (VLT-005).

    Raises FormatError for ``pw`` while a PIN is set: it would undo what the PIN promises.
    """
    if opener.kind == "pw" and any(one.kind == "pin" for one in vault.openers):
        raise FormatError("a vault with a PIN has no password opener")
    dropped = {opener.kind, "pw"} if opener.kind == "pin" else {opener.kind}
    kept = tuple(one for one in vault.openers if one.kind not in dropped)
    return replace(vault, openers=(*kept, opener))


def without_opener(vault: Vault, kind: str) -> Vault:
    """The vault without one way in; ``pin`` also drops the unlock record."""
    kept = tuple(one for one in vault.openers if one.kind != kind)
    return replace(vault, openers=kept, pin=None if kind == "pin" else vault.pin)


def seal_record(vk: bytes, vault: Vault, name: str, data: bytes, rng: Callable[[int], bytes]) -> bytes:
    """A local record under VK: key = KDF(VK, "", "vault-record", LP(account, dv, name), 32) (VLT-007)."""
    key = kdf(vk, b"", "vault-record", lp(vault.account, vault.dv, name), 32)
    return seal_box(key, data, lp(vault.account, vault.dv, name), rng)


def open_record(vk: bytes, vault: Vault, name: str, box: bytes) -> bytes:
    """Inverse of seal_record. Raises VaultError, one message for every fault."""
    key = kdf(vk, b"", "vault-record", lp(vault.account, vault.dv, name), 32)
    return open_box(key, box, lp(vault.account, vault.dv, name))


def store_key(vk: bytes, vault: Vault) -> bytes:
    """Key of the local database: KDF(VK, "", "vault-store", LP(account, dv), 32) (VLT-007)."""
    return kdf(vk, b"", "vault-store", lp(vault.account, vault.dv), 32)


def key_file(key: bytes) -> bytes:
    """Content of a bot's key file: ``cloister-key-1 `` and 43 characters, one line (VLT-008)."""
    if len(key) != VK_LENGTH:
        raise FormatError("key length")
    return f"cloister-key-1 {b64e(key)}\n".encode()


def read_key_file(data: bytes) -> bytes:
    """The 32-byte key of a key file. Raises FormatError. Owner and mode are the client's check."""
    found = _KEY_FILE.fullmatch(data)
    if not found:
        raise FormatError("not a key file")
    return b64d(found[1])


def opener_kinds(vault: Vault) -> Mapping[str, Opener]:
    """Openers by kind (VLT-001)."""
    return {one.kind: one for one in vault.openers}


def _password_key(vault: Vault, kek: bytes, salt: bytes) -> bytes:
    return kdf(kek, salt, "vault-pw", lp(vault.account, vault.dv), 32)


def _aad(vault: Vault, kind: str) -> bytes:
    return lp("vault-opener", kind, vault.account, vault.dv)
