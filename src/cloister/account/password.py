"""From a password to two keys: one that proves, one that opens.

Knows the password for the length of a call. Takes no parameter from a relay: the costs are constants here, the
version is chosen on this machine, and a device that has seen version 1 refuses version 0. The account key, where
one is used, is mixed in after the costly step.

Who erases: the caller drops ``Stretched`` and the password after the act they were typed for. Python cannot
overwrite ``str`` and ``bytes``; holding no reference is the most it can promise, and the guides say so.

Spec: 04-account.md, PPF-001 to PPF-008.
"""

from __future__ import annotations

import json
import unicodedata
from dataclasses import dataclass, field
from functools import cache
from importlib.resources import files
from typing import Any, Final

from zxcvbn import zxcvbn

from cloister import crypto
from cloister.errors import Downgrade, FormatError, WeakPassword
from cloister.protocol.encoding import kdf, lp

V0: Final = 0  # PBKDF2, only on request of the person
V1: Final = 1  # Argon2id
MEMORY_KIB: Final = 65536  # 64 MiB: a quarter second in a browser, and a guess costs as much
PASSES: Final = 3
LANES: Final = 1
PBKDF2_ITERATIONS: Final = 600_000
MIN_LENGTH: Final = 12
MAX_LENGTH: Final = 1024
REALM_LENGTH: Final = 16
SALT_LENGTH: Final = 16
ACCOUNT_KEY_LENGTH: Final = 16
_GUESSABLE: Final = 10**8  # estimated guesses below which a new password counts as common
_ESTIMATED: Final = 64  # the estimator is quadratic; longer input is judged by its beginning


@dataclass(frozen=True)
class Stretched:
    """``auth`` goes into SRP, ``kek`` opens the roots; 32 bytes each. ``version`` is the PPF version used."""

    auth: bytes = field(repr=False)
    kek: bytes = field(repr=False)
    version: int = V1


@cache
def common() -> dict[str, frozenset[str]]:
    """The embedded lists: ``passwords`` (lower case, 12 characters and more) and ``pins`` (6 to 12 digits)."""
    table: dict[str, Any] = json.loads(files("cloister.account").joinpath("common.json").read_text("utf-8"))
    return {name: frozenset(table[name]) for name in ("passwords", "pins")}


def prepare(password: str) -> bytes:
    """UTF-8 of the NFC form, otherwise unchanged (PPF-001).

    Raises WeakPassword (``reason``: short, long, form) outside 12 to 1024 code points or for a lone surrogate.
    """
    text = unicodedata.normalize("NFC", password)
    if len(text) < MIN_LENGTH:
        raise WeakPassword("shorter than 12 characters", reason="short")
    if len(text) > MAX_LENGTH:
        raise WeakPassword("longer than 1024 characters", reason="long")
    try:
        return text.encode()
    except UnicodeEncodeError:
        raise WeakPassword("not text", reason="form") from None


def check_new(password: str, login: str) -> None:
    """Refuse a new password that others use or that names the account (PPF-002, PPF-003).

    No rule about kinds of characters. Raises WeakPassword (``reason``: short, long, form, common). Local advice
    only: never applied at sign-in, never told to a relay.
    """
    prepare(password)
    text = unicodedata.normalize("NFC", password).lower()
    if text in common()["passwords"] or len(set(text)) < 4 or _period(text) <= 6:
        raise WeakPassword("among the first guesses", reason="common")
    if zxcvbn(text[:_ESTIMATED], user_inputs=[login, "cloister"])["guesses"] < _GUESSABLE:
        raise WeakPassword("among the first guesses", reason="common")


def _period(text: str) -> int:
    """Length of the shortest unit whose repetition, possibly cut, is ``text``."""
    return next(n for n in range(1, len(text) + 1) if text[n:] == text[:-n])


def stretch(
    password: str,
    *,
    login: str,
    realm: bytes,
    salt16: bytes,
    account_key: bytes | None = None,
    version: int = V1,
    pinned: int | None = None,
) -> Stretched:
    """PPF: password to ``auth`` and ``kek`` (PPF-004, PPF-006, PPF-007, PPF-008).

    ``realm`` and ``salt16`` are 16 bytes; ``account_key`` is 16 bytes or None. ``version`` is this machine's
    choice (V0 only when the person asked for it), ``pinned`` the version this device has used with the account.
    Raises Downgrade for version 0 after 1 or for an unknown version, before the password is touched; FormatError
    for lengths; WeakPassword for text no account can have.
    """
    if version not in (V0, V1) or (pinned is not None and version < pinned):
        raise Downgrade("password processing weaker than this device has used")
    if len(realm) != REALM_LENGTH or len(salt16) != SALT_LENGTH:
        raise FormatError("realm or salt length")
    if account_key is not None and len(account_key) != ACCOUNT_KEY_LENGTH:
        raise FormatError("account key length")
    secret = prepare(password)
    salt = crypto.sha256(lp("ppf-salt", realm, login, salt16))[:16]
    if version == V1:
        slow = crypto.argon2id(secret, salt, memory_kib=MEMORY_KIB, passes=PASSES, lanes=LANES)
    else:
        slow = crypto.pbkdf2_sha256(secret, salt, iterations=PBKDF2_ITERATIONS)
    ikm = slow + (account_key or b"")
    scope = crypto.sha256(lp(realm, login))
    return Stretched(kdf(ikm, scope, "ppf-auth", b"", 32), kdf(ikm, scope, "ppf-kek", b"", 32), version)
