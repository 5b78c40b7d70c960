"""Closed lists of members and their kinds, compiled from ``wire.json`` and ``roles.json`` into checks.

A *kind* is a short word such as ``int``, ``dv``, ``bytes:32``, ``text:64`` or ``list:16:dv``; a *shape* maps member
names to kinds. A check raises FormatError at the first member that is missing, foreign or of another kind.

Spec: ENC-009, ENC-010 (kinds), JWS-002 (closed lists).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any, Final

from cloister import crypto
from cloister.errors import FormatError
from cloister.protocol.encoding import MAX_INT, b64d

Check = Callable[[Any], None]

_HASH43: Final = r"[A-Za-z0-9_-]{42}[AEIMQUYcgkosw048]"
LOGIN: Final = re.compile(r"[a-z0-9][a-z0-9._-]{0,62}")
_PATTERNS: Final = {
    "id": re.compile("id-" + _HASH43),
    "dv": re.compile("dv-" + _HASH43),
    "sph": re.compile("sp-" + _HASH43),
    "login": LOGIN,
    "bytes:0|32": re.compile(rf"(?:{_HASH43})?"),
    "bytes:12": re.compile(r"[A-Za-z0-9_-]{16}"),
    "bytes:16": re.compile(r"[A-Za-z0-9_-]{21}[AQgw]"),
    "bytes:32": re.compile(_HASH43),
    "history": re.compile("all|since-join|none|days:[1-9][0-9]{0,3}"),
}
_MAX_U32: Final = 2**32 - 1


def _integer(limit: int) -> Check:
    def check(value: Any) -> None:
        if type(value) is not int or not 0 <= value <= limit:
            raise FormatError("integer expected")

    return check


def _pattern(pattern: re.Pattern[str]) -> Check:
    match = pattern.fullmatch

    def check(value: Any) -> None:
        if type(value) is not str or not match(value):
            raise FormatError(f"value does not match {pattern.pattern[:24]}")

    return check


def _utf8_length(value: str) -> int:
    try:
        return len(value.encode())
    except UnicodeEncodeError:  # only a maker can get here: the parser lets no lone surrogate through
        raise FormatError("text is not Unicode") from None


def _text(limit: int) -> Check:
    def check(value: Any) -> None:
        if type(value) is not str or len(value) > limit or (not value.isascii() and _utf8_length(value) > limit):
            raise FormatError(f"text of at most {limit} bytes expected")

    return check


def _bytes(spec: str) -> Check:
    low, _, high = spec.partition("-")
    least, most = int(low), int(high or low)

    def check(value: Any) -> None:
        if type(value) is not str or not least <= len(b64d(value)) <= most:
            raise FormatError(f"{spec} bytes in base64url expected")

    return check


def _enum(spec: str) -> Check:
    allowed = frozenset(spec.split("|"))

    def check(value: Any) -> None:
        if type(value) is not str or value not in allowed:
            raise FormatError(f"one of {spec} expected")

    return check


def _list(spec: str) -> Check:
    most, _, inner = spec.partition(":")
    limit, item = int(most), kind(inner)

    def check(value: Any) -> None:
        if type(value) is not list or len(value) > limit:
            raise FormatError(f"list of at most {limit} expected")
        for member in value:
            item(member)

    return check


def _is(expected: type, name: str) -> Check:
    def check(value: Any) -> None:
        if type(value) is not expected:
            raise FormatError(f"{name} expected")

    return check


def _jwk(value: Any) -> None:
    if type(value) is not dict or set(value) != {"kty", "crv", "x", "y"}:
        raise FormatError("P-384 JWK expected")
    if value["kty"] != "EC" or value["crv"] != "P-384" or type(value["x"]) is not str or type(value["y"]) is not str:
        raise FormatError("P-384 JWK expected")
    crypto.p384_check_public(b64d(value["x"]), b64d(value["y"]))


def _tail(value: Any) -> None:
    """[dv, seq, H]: where a device's chain stands; seq 0 goes with an empty hash and only with it (LOG-017)."""
    if type(value) is not list or len(value) != 3:
        raise FormatError("tail expected")
    for member, check in zip(value, _TAIL, strict=True):
        check(member)
    if (value[1] == 0) != (value[2] == ""):
        raise FormatError("a tail has a hash exactly when its device has spoken")


_TAIL: Final = (_pattern(_PATTERNS["dv"]), _integer(MAX_INT), _pattern(_PATTERNS["bytes:0|32"]))


def kind(spec: str) -> Check:
    """Compile one kind (ENC-009). Raises KeyError for a word that is no kind (a mistake in the tables)."""
    if spec in _PATTERNS:
        return _pattern(_PATTERNS[spec])
    word, _, rest = spec.partition(":")
    simple: dict[str, Check] = {
        "int": _integer(MAX_INT),
        "u32": _integer(_MAX_U32),
        "bool": _is(bool, "bool"),
        "object": _is(dict, "object"),
        "jwk": _jwk,
        "tail": _tail,
    }
    if word in simple:
        return simple[word]
    makers: dict[str, Callable[[str], Check]] = {"bytes": _bytes, "enum": _enum, "list": _list}
    if word in ("text", "jws"):
        return _text(int(rest))
    return makers[word](rest)


def shape(members: Mapping[str, str]) -> Check:
    """Compile a closed list of members (ENC-010).

    A name ending in ``?`` is optional; ``*`` allows others, which are checked elsewhere.
    """
    required = {name: kind(spec) for name, spec in members.items() if not name.endswith("?") and name != "*"}
    optional = {name[:-1]: kind(spec) for name, spec in members.items() if name.endswith("?")}
    checks = required | optional
    closed = "*" not in members
    needed = len(required)

    def check(value: Any) -> None:
        if type(value) is not dict:
            raise FormatError("object expected")
        present = 0
        for name, member in value.items():
            one = checks.get(name)
            if one is None:
                if closed:
                    raise FormatError(f"member {name[:24]!r} is not in the list")
                continue
            one(member)
            present += name in required
        if present != needed:
            raise FormatError("a required member is missing")

    return check
