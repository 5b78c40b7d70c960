"""How bytes, text and numbers become wire bytes: LP, strict base64url, strict JSON.

Knows nothing of meaning. Everything that is hashed, signed or fed to a key derivation passes through ``lp``;
everything received passes through ``b64d`` and ``json_parse``, which refuse every second spelling of a value.

Spec: ENC-001 to ENC-010 (RFC 4648 section 5, RFC 8259 restricted).
"""

from __future__ import annotations

import binascii
import json
import re
from typing import Any, Final

import msgspec

from cloister import crypto
from cloister.errors import FormatError

MAX_INT: Final = 2**53 - 1
MAX_DEPTH: Final = 8
PROTOCOL: Final = "sph/1"

_TOKENS: Final = re.compile(
    r"""(?:[{}\[\],:]|"[^"\\\x00-\x1f]*+(?:\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4})[^"\\\x00-\x1f]*+)*+"|"""
    r"""(?:0|[1-9][0-9]{0,15})(?![0-9])|true|false)*+"""
)
_STRING: Final = re.compile(r'"(?:[^"\\]|\\.)*+"')
_FORBIDDEN_KEYS: Final = frozenset({"__proto__", "constructor"})

Part = bytes | str | int


def lp(*parts: Part) -> bytes:
    """Length-prefixed concatenation: for each part u32be(len) then the bytes (ENC-001).

    Text is UTF-8, integers are u64be, bytes stay as they are. Raises FormatError for an integer outside u64.
    """
    out = []
    for part in parts:
        if isinstance(part, str):
            part = part.encode()
        elif isinstance(part, int):
            if not 0 <= part < 2**64:
                raise FormatError("integer outside u64")
            part = part.to_bytes(8, "big")
        length = len(part)
        out.append(_LENGTHS[length] if length < 256 else length.to_bytes(4, "big"))
        out.append(part)
    return b"".join(out)


_LENGTHS: Final = tuple(length.to_bytes(4, "big") for length in range(256))


def kdf(ikm: bytes, salt: bytes, label: str, ctx: bytes, length: int) -> bytes:
    """KDF of the spec: HKDF-SHA-256 with info = LP("sph/1", label, ctx) (ENC-002)."""
    return crypto.hkdf_sha256(ikm, salt, lp(PROTOCOL, label, ctx), length)


def b64e(data: bytes) -> str:
    """base64url without padding (ENC-003)."""
    if len(data) < _LONG:
        return binascii.b2a_base64(data, newline=False).translate(_FROM_STANDARD).rstrip(b"=").decode("ascii")
    return _ENCODE(data)[1:-1].rstrip(b"=").replace(b"+", b"-").replace(b"/", b"_").decode("ascii")


def b64d(text: str | bytes) -> bytes:
    """Strict inverse of b64e: no padding, no other alphabet, zero trailing bits (ENC-003). Raises FormatError."""
    if len(text) >= _LONG and isinstance(text, str):
        return _long(text)
    try:
        raw = text.encode("ascii") if isinstance(text, str) else text
    except UnicodeEncodeError:
        raise FormatError("base64url alphabet") from None
    extra = len(raw) % 4
    try:
        data = binascii.a2b_base64(raw.translate(_TO_STANDARD) + _PADDING[extra], strict_mode=True)
    except (binascii.Error, IndexError):
        raise FormatError("base64url form") from None
    if extra and raw[-1] not in _LAST[extra]:
        raise FormatError("base64url trailing bits")
    return data


def _long(text: str) -> bytes:
    """The same verdicts by a decoder three times as fast, which reads JSON strings of the standard alphabet: what an
    escape could hide comes out shorter than the text, and is refused."""
    extra = len(text) % 4
    if "+" in text or "/" in text or extra == 1 or (extra and text[-1] not in _LAST_TEXT[extra]):
        raise FormatError("base64url form")
    try:
        data: bytes = _DECODE('"' + text.replace("-", "+").replace("_", "/") + _END[extra])
    except (ValueError, UnicodeEncodeError):
        raise FormatError("base64url form") from None
    if len(data) != len(text) * 3 // 4:
        raise FormatError("base64url form")
    return data


# What the standard alphabet has and ours has not is sent to a byte that the strict decoder refuses.
_TO_STANDARD: Final = bytes.maketrans(b"-_+/=", b"+/...")
_FROM_STANDARD: Final = bytes.maketrans(b"+/", b"-_")
_PADDING: Final = (b"", b".", b"==", b"=")
_LAST: Final = (b"", b"", b"AQgw", b"AEIMQUYcgkosw048")
_LAST_TEXT: Final = tuple(last.decode() for last in _LAST)
_END: Final = ('"', '"', '=="', '="')
_LONG: Final = 64
_ENCODE: Final = msgspec.json.Encoder().encode
_DECODE: Final = msgspec.json.Decoder(bytes).decode


def json_emit(value: dict[str, Any]) -> bytes:
    """Compact UTF-8 JSON (ENC-004). Raises FormatError for what JSON or UTF-8 cannot carry.

    What it writes, json_parse reads, provided the members are of the kinds of ENC-009.
    """
    try:
        return json.dumps(value, separators=(",", ":"), ensure_ascii=False, allow_nan=False).encode()
    except (TypeError, ValueError):
        raise FormatError("value is not JSON") from None


def json_parse(data: bytes) -> dict[str, Any]:
    """Parse one strict JSON object (ENC-004 to ENC-008). Raises FormatError, never anything else.

    Refused: bytes that are not UTF-8, a byte order mark, white space between tokens, duplicate keys, lone
    surrogates, null, negative or fractional or exponent numbers, integers from 2^53, depth over 8, the keys
    ``__proto__`` and ``constructor``, and any top level but an object.
    """
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError:
        raise FormatError("JSON is not UTF-8") from None
    if not text.startswith("{") or not _TOKENS.fullmatch(text):
        raise FormatError("JSON grammar")
    if text.count("{") + text.count("[") > MAX_DEPTH:
        _check_depth(text)
    try:
        value, end = _SCAN(text, 0)
    except (StopIteration, ValueError, RecursionError):
        raise FormatError("JSON grammar") from None
    if end != len(text) or type(value) is not dict:
        raise FormatError("JSON grammar")
    if "\\u" in text:
        _check_surrogates(value)
    return value


def _check_depth(text: str) -> None:
    # ENC-008
    depth = 0
    for char in _STRING.sub("", text):
        if char in "{[":
            depth += 1
            if depth > MAX_DEPTH:
                raise FormatError("JSON depth")
        elif char in "}]":
            depth -= 1


def _check_surrogates(value: Any) -> None:
    # ENC-006
    try:
        json.dumps(value, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        raise FormatError("JSON lone surrogate") from None


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    # ENC-005: compared after unescaping, as a reader would see them
    value = dict(pairs)
    if len(value) != len(pairs) or not _FORBIDDEN_KEYS.isdisjoint(value):
        raise FormatError("JSON duplicate or forbidden key")
    return value


def _integer(digits: str) -> int:
    # ENC-007: what every language holds exactly
    value = int(digits)
    if value > MAX_INT:
        raise FormatError("JSON integer from 2^53")
    return value


# The scanner itself: the grammar above already excludes the white space that ``decode`` would look for.
_SCAN: Final[Any] = json.scanner.make_scanner(json.JSONDecoder(object_pairs_hook=_object, parse_int=_integer))  # type: ignore[attr-defined]
