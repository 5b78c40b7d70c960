"""Tokens in whatever somebody pasted: wrapped, quoted, hyphenated, between words, several at once.

A mail program may break a token at any place and put marks before the pieces; nothing it does changes which letters the
token has, and every token ends with a signature of known length. So a token is read on over marks and line ends, and
ends by itself. What begins like one and does not come to its end is reported as cut. Spec: GRID-060, GRID-061.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any, Final

from cloister.errors import FormatError
from cloister.grid import envelope, v1_jws
from cloister.protocol.encoding import b64d, json_parse
from cloister.protocol.jws import MAX_HEADER

V1, V2 = "grid-v1", "grid-v2"
CUT = ("", "")  # profile and kind of a token that is cut within its header
SIGNATURE: Final = 128  # characters of an ES384 signature
_INVISIBLE: Final = dict.fromkeys(map(ord, "\u00ad\u200b\u200c\u200d\u2060\ufeff\u180e")) | {0x2010: "-", 0x2011: "-"}
_QUOTE: Final = re.compile(r"^[ \t\u00a0]*(?:[>|][ \t\u00a0]?)+", re.MULTILINE)
_SOFT: Final = re.compile(r"=[ \t]*\n")
_START: Final = re.compile(r"(?<![A-Za-z0-9_-])eyJ")
_BEGUN: Final = 16  # letters of a header that are looked at before the rest
_FIRST: Final = re.compile(rb'\{"(?:alg|typ|kid|jwk|sub|iat|from|re|iv|epk|invite|th|seq|ph|rk|cs|enc|n|cm|jti)"')
_PIECE: Final = re.compile(r"([A-Za-z0-9_-]+)|(\.)|([\t-\r \u00a0\u2000-\u200a\u2028\u2029\u202f\u205f\u3000]+)")


@dataclass(frozen=True)
class Found:
    """A token: its profile, its kind (``typ`` or ``sub``) and the line it begins in, from 1."""

    compact: str
    profile: str
    kind: str
    line: int


@dataclass(frozen=True)
class Cut:
    """The beginning of a token whose end is not there."""

    profile: str
    kind: str
    line: int
    length: int


def find(text: str) -> tuple[list[Found], list[Cut]]:
    """Every token in a pasted text, in order, each once per place (GRID-060, GRID-061). Nothing is verified."""
    text = text.translate(_INVISIBLE).replace("\r\n", "\n").replace("\r", "\n")
    clean = _SOFT.sub("", _QUOTE.sub("", text))
    found: list[Found] = []
    cut: list[Cut] = []
    at, line, counted = 0, 1, 0
    lines = _lines(text)
    while match := _START.search(clean, at):
        at = match.end()
        kind = _kind_at(clean, match.start())
        if kind is None:
            continue
        compact, end = _read(clean, match.start())
        line, counted = line + clean.count("\n", counted, match.start()), match.start()
        where = lines[min(line, len(lines)) - 1]
        if compact.count(".") == 2 and len(compact) - compact.rindex(".") - 1 == SIGNATURE:
            found.append(Found(compact, *kind, where))
        elif len(compact) >= _BEGUN:
            cut.append(Cut(*kind, where, len(compact)))
        at = max(at, end)
    return found, cut


def _lines(text: str) -> list[int]:
    """For each line left after soft breaks are taken out, the number of the line it began as."""
    out, joined = [], False
    for number, line in enumerate(text.split("\n"), 1):
        if not joined:
            out.append(number)
        joined = line.rstrip(" \t").endswith("=")
    return out


def _read(text: str, start: int) -> tuple[str, int]:
    """The letters of the token that begins at ``start``, up to the end of its signature, and where it stopped."""
    parts, at = [""], start
    while match := _PIECE.match(text, at):
        word, dot, blank = match.groups()
        if dot:
            if len(parts) == 3:
                break
            parts.append("")
        elif word and len(parts) == 3:
            parts[2] += word[: SIGNATURE - len(parts[2])]
        elif word:
            parts[-1] += word
        elif blank and _kind_at(text, match.end()) is not None:
            break
        at = match.end()
        if len(parts) == 3 and len(parts[2]) == SIGNATURE:
            break
    return ".".join(parts), at


def _kind_at(text: str, at: int) -> tuple[str, str] | None:
    """(profile, kind) when a token's header begins at ``at``, CUT when the text ends within it."""
    if not text.startswith("eyJ", at):
        return None
    letters = ""
    while match := _PIECE.match(text, at):
        word, dot, _ = match.groups()
        if dot:
            return kind_of(letters) or (None if _is_json(letters) or len(letters) < _BEGUN else CUT)
        began = len(letters) < _BEGUN
        letters += word or ""
        at = match.end()
        if len(letters) > MAX_HEADER or (began and len(letters) >= _BEGUN and not _begins(letters)):
            return None
    return CUT if len(letters) >= _BEGUN and _begins(letters) else None


def _is_json(letters: str) -> bool:
    """Whether it is a whole header, if only of somebody else's token."""
    try:
        json_parse(b64d(letters))
    except FormatError:
        return False
    return True


def _begins(letters: str) -> bool:
    """Whether a header's first letters name a member that headers of this chapter have (GRID-061)."""
    return _FIRST.match(b64d(letters[:_BEGUN])) is not None


def kind_of(header_part: str) -> tuple[str, str] | None:
    """(profile, kind) that a token's first part shows; None for what is no token of this chapter (GRID-061)."""
    try:
        header: dict[str, Any] = json_parse(b64d(header_part))
    except FormatError:
        return None
    typ, sub = header.get("typ"), header.get("sub", v1_jws.BACKUP)
    if header.get("alg") != envelope.ALG or type(sub) is not str:
        return None
    if "typ" in header:
        return (V2, typ) if type(typ) is str and typ in envelope.TYPS else None
    if sub in v1_jws.KINDS and (sub or "jwk" in header):
        return V1, sub
    return None
