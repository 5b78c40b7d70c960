"""A sphere's keys saved outside: one line of text for a file, a password manager or a picture.

Sealed under a code that is made for it, or under a passphrase. The text is worth nothing without the code and the code
nothing without the text, so they are kept apart. What comes out of it is a guess like any other: only the commitments
of the own verified log make a key of it (``recognise``). The costs are constants here; a text that names others is
refused before the code is touched.

Who erases: the caller drops the code and the keys after the act. Spec: EXP-001 to EXP-008.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any, Final, Literal

from cloister import crypto
from cloister.errors import CommitmentMismatch, Downgrade, FormatError, KeyUnknown, VaultError, WeakPassword
from cloister.protocol.encoding import b64d, b64e, json_emit, json_parse, kdf, lp
from cloister.protocol.history import History
from cloister.protocol.shape import shape
from cloister.sphere import epoch as epochs
from cloister.sphere.epoch import EpochKey, Rng

PREFIX: Final = "sphsec1."
MAX_TEXT: Final = 1 << 20
MAX_KEYS: Final = 4096
MEMORY_KIB: Final = 65536  # as for passwords: whoever steals the text pays this for every guess
PASSES: Final = 3
LANES: Final = 1
SALT_LENGTH: Final = 16
CODE_LENGTH: Final = 16  # bytes
LEAST_WORDS: Final = 5
MAX_WORDS: Final = 1024  # code points
# No i l o u: these survive being read aloud or copied by hand.
ALPHABET: Final = "0123456789abcdefghjkmnpqrstvwxyz"
_SAID: Final = str.maketrans({"o": "0", "i": "1", "l": "1", "-": "", " ": "", "\t": "", "\r": "", "\n": ""})
_BLANK: Final = str.maketrans("", "", " \t\r\n")
_SIGNS: Final = 28  # 26 of the code, 2 to notice a slip
_GROUP: Final = 4
_COSTS: Final = {"alg": "argon2id", "m": MEMORY_KIB, "t": PASSES, "p": LANES}
_HEADER: Final = shape(
    {
        "v": "int",
        "by": "enum:code|words",
        "kdf": "object",
        "sph": "sph",
        "eps": f"list:{MAX_KEYS}:u32",
        "kcs": f"list:{MAX_KEYS}:bytes:32",
        "iat": "int",
        "n": "bytes:12",
        "cm": "bytes:32",
    }
)
_KDF: Final = shape({"alg": "text:32", "m": "int", "t": "int", "p": "int", "salt": "bytes:16"})
By = Literal["code", "words"]


@dataclass(frozen=True, slots=True)
class Secret:
    """What opens a saved text: the 16 bytes of a code, or the bytes of a passphrase."""

    by: By
    data: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class Export:
    """A saved text as read, not opened. ``eps`` and ``kcs``: numbers and commitments it claims to hold keys for."""

    sph: str
    by: By
    eps: tuple[int, ...]
    kcs: tuple[bytes, ...]
    iat: int
    salt: bytes
    nonce: bytes
    cm: bytes
    aad: bytes
    ct: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class Recognised:
    """What the own log says of opened keys: its own, of epochs it does not hold yet, and of other commitments."""

    keys: tuple[EpochKey, ...] = field(repr=False)
    unknown: tuple[int, ...]
    refused: tuple[int, ...]


# --- code and passphrase ------------------------------------------------------------------------------------------


def new_code(rng: Rng) -> str:
    """A fresh code of 128 bits in seven groups of four (EXP-005)."""
    return show_code(rng(CODE_LENGTH))


def show_code(raw: bytes) -> str:
    """16 bytes as people keep them (EXP-005). Raises FormatError for another length."""
    if len(raw) != CODE_LENGTH:
        raise FormatError("export code length")
    bits = int.from_bytes(raw, "big") << 2
    signs = [ALPHABET[bits >> at & 31] for at in range(125, -1, -5)]
    check = int.from_bytes(_check(raw), "big") >> 6
    text = "".join([*signs, ALPHABET[check >> 5], ALPHABET[check & 31]])
    return "-".join(text[at : at + _GROUP] for at in range(0, _SIGNS, _GROUP))


def read_code(text: str) -> Secret:
    """A code as typed: any case, blanks and dashes; o is 0, i and l are 1 (EXP-005). Raises FormatError."""
    signs = text.lower().translate(_SAID) if text.isascii() else ""
    if len(signs) != _SIGNS or not set(signs) <= set(ALPHABET):
        raise FormatError("export code form")
    bits = 0
    for sign in signs[:26]:
        bits = bits << 5 | ALPHABET.index(sign)
    raw = (bits >> 2).to_bytes(CODE_LENGTH, "big")
    if show_code(raw).replace("-", "") != signs:
        raise FormatError("export code check")
    return Secret("code", raw)


def _check(raw: bytes) -> bytes:
    return crypto.sha256(lp("sph/1 export code", raw))[:2]


def read_words(text: str) -> Secret:
    """A passphrase: NFC, its words joined by single blanks (EXP-006).

    Raises WeakPassword (``reason`` words, long or form) for fewer than five words, more than 1,024 code points, or
    what is not text.
    """
    words = [word for word in unicodedata.normalize("NFC", text).translate(_ONE_BLANK).split(" ") if word]
    said = " ".join(words)
    if len(words) < LEAST_WORDS:
        raise WeakPassword("fewer than five words", reason="words")
    if len(said) > MAX_WORDS:
        raise WeakPassword("longer than 1024 characters", reason="long")
    try:
        return Secret("words", said.encode())
    except UnicodeEncodeError:
        raise WeakPassword("not text", reason="form") from None


_ONE_BLANK: Final = str.maketrans("\t\r\n", "   ")


def read_secret(export: Export, typed: str) -> Secret:
    """What was typed, read as the kind of secret that the text names. Raises FormatError, WeakPassword."""
    return read_code(typed) if export.by == "code" else read_words(typed)


# --- the text -----------------------------------------------------------------------------------------------------


def seal(keys: Iterable[EpochKey], secret: Secret, *, iat: int, rng: Rng) -> str:
    """The text that holds these keys of one sphere (EXP-001 to EXP-004). Raises FormatError for none, or for two
    spheres' keys."""
    chosen = sorted(keys, key=lambda key: key.n)
    if not chosen or len(chosen) > MAX_KEYS or len({key.sph for key in chosen}) != 1:
        raise FormatError("the keys of one sphere are saved")
    sph, salt, nonce = chosen[0].sph, rng(SALT_LENGTH), rng(crypto.NONCE_LENGTH)
    key, cm = _derive(secret, salt, sph)
    header: dict[str, Any] = {
        "v": 1,
        "by": secret.by,
        "kdf": {**_COSTS, "salt": b64e(salt)},
        "sph": sph,
        "eps": [one.n for one in chosen],
        "kcs": [b64e(one.kc) for one in chosen],
        "iat": iat,
        "n": b64e(nonce),
        "cm": b64e(cm),
    }
    begin = PREFIX + b64e(json_emit(header))
    plain = b"".join(one.secret for one in chosen)
    return f"{begin}.{b64e(crypto.aead_seal(key, nonce, plain, begin.encode('ascii')))}"


def parse(text: str) -> Export:
    """Read a text without opening it (EXP-001, EXP-002, EXP-007).

    Raises FormatError for anything else, Downgrade for one sealed at other costs than ours.
    """
    if len(text) > MAX_TEXT:
        raise FormatError("saved keys: too long")
    packed = text.translate(_BLANK)
    begin, dot, sealed = packed.removeprefix(PREFIX).partition(".")
    if not dot or not packed.startswith(PREFIX):
        raise FormatError("saved keys: form")
    head, ct = json_parse(b64d(begin)), b64d(sealed)
    _HEADER(head)
    _KDF(head["kdf"])
    eps, kcs = head["eps"], head["kcs"]
    if head["v"] != 1 or not eps or len(eps) != len(kcs) or len(ct) != epochs.SECRET_LENGTH * len(eps) + 16:
        raise FormatError("saved keys: members do not fit together")
    if eps[0] < 1 or any(one >= two for one, two in pairwise(eps)):
        raise FormatError("saved keys: numbers are not ascending")
    if {name: head["kdf"][name] for name in _COSTS} != _COSTS:
        raise Downgrade("saved keys: other costs than ours")
    return Export(
        head["sph"],
        head["by"],
        tuple(eps),
        tuple(b64d(kc) for kc in kcs),
        head["iat"],
        b64d(head["kdf"]["salt"]),
        b64d(head["n"]),
        b64d(head["cm"]),
        f"{PREFIX}{begin}".encode("ascii"),
        ct,
    )


def open(export: Export, secret: Secret) -> dict[int, bytes]:  # noqa: A001
    """Number -> secret, as found: their authority is the log's (EXP-003, EXP-004, EXP-007).

    Raises VaultError when the code is not this text's, DecryptFailed when the text was changed.
    """
    if secret.by != export.by:
        raise VaultError("the code is not of this text")
    key, cm = _derive(secret, export.salt, export.sph)
    crypto.require_equal(cm, export.cm, VaultError("the code is not of this text"))
    plain = crypto.aead_open(key, export.nonce, export.ct, export.aad)
    size = epochs.SECRET_LENGTH
    return {n: plain[at * size : (at + 1) * size] for at, n in enumerate(export.eps)}


def _derive(secret: Secret, salt: bytes, sph: str) -> tuple[bytes, bytes]:
    slow = crypto.argon2id(secret.data, salt, memory_kib=MEMORY_KIB, passes=PASSES, lanes=LANES)
    both = kdf(slow, salt, "export", lp(sph), 64)
    return both[:32], both[32:]


def recognise(found: Mapping[int, bytes], log: History, sph: str) -> Recognised:
    """Which of the opened keys the own verified log of ``sph`` commits to (EXP-008, EPO-003)."""
    keys: list[EpochKey] = []
    unknown: list[int] = []
    refused: list[int] = []
    for n, secret in sorted(found.items()):
        try:
            keys.append(epochs.check(secret, log.epoch(n), sph))
        except KeyUnknown:
            unknown.append(n)
        except CommitmentMismatch:
            refused.append(n)
    return Recognised(tuple(keys), tuple(unknown), tuple(refused))
