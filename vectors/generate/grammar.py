"""Thousands of almost-right texts: both readers must draw the line between right and wrong at the same place.

A case holds many inputs; its value lists, for each, what was read, or false where the text is refused. Inputs are
right texts with one to four small edits made of the pieces in which JSON and base64url readers are known to differ.
"""

from __future__ import annotations

from collections.abc import Callable

from cloister.errors import FormatError
from cloister.protocol.encoding import b64d, json_parse
from vectors.generate import Case, good, rng

ORIGIN = "made by vectors/generate/grammar.py: seeded edits of right texts"
CASES, PER_CASE = 8, 250

_TEXTS = [
    b'{"a":1,"b":"x","c":[true,false,[]],"d":{}}',
    rb'{"t":"\"\\\/\b\f\n\r\t\u0041\u00e9","n":9007199254740991}',
    b'{"alg":"Ed25519","typ":"sph-msg+1","kid":"dv-x","seq":1}',
    b'{"a":{"b":{"c":{"d":{"e":{"f":{"g":{}}}}}}}}',
    '{"na\u00efve":"\U0001f511\u2028","\u00e9":["\ud7ff","\ue000"]}'.encode(),
    rb'{"x":"\ud83d\udd11"}',
    b"{}",
]
_PIECES = [
    *(b"{", b"}", b"[", b"]", b",", b":", b'"', b"\\", b" ", b"\n", b"\t", b"\0", b"\x7f", b"/", b"'", b"\xff", b"-"),
    *(b"0", b"00", b"1", b"-1", b"1.0", b"1e2", b"01", b"9007199254740992", b"99999999999999999", b"0x1", b"+1", b"."),
    *(b"null", b"true", b"false", b"True", b"NaN", b"Infinity", b"undefined", b"//", b"/**/"),
    *(rb"\u0061", rb"\ud800", rb"\udc00", rb"\uD83D\uDD11", rb"\u00", rb"\x41", rb"\"", rb"\\", rb"\u0000", rb"\/"),
    *(b'"a":1,', b',"a":1', b'"__proto__":1,', b'"constructor":1,', rb'"\u0061":1,', b'"":"",', b'"toString":1,'),
    *(b"\xc3\xa9", b"\xc3", b"\xc0\x80", b"\xed\xa0\x80", b"\xef\xbb\xbf", b"\xf4\x90\x80\x80", b"\xe2\x80\xa8"),
]
_LETTERS = b"AQgwZ09-_+/=. \n\xc3\xa9B"

Draw = Callable[[int], bytes]


def _below(draw: Draw, limit: int) -> int:
    return int.from_bytes(draw(4), "big") % limit


def _edit(draw: Draw, text: bytes, pieces: list[bytes]) -> bytes:
    for _ in range(1 + _below(draw, 4)):
        at, kind = _below(draw, len(text) + 1), _below(draw, 5)
        piece = pieces[_below(draw, len(pieces))]
        if kind <= 1:
            text = text[:at] + piece + text[at:]
        elif kind == 2:
            text = text[:at] + piece + text[at + len(piece) :]
        elif kind == 3:
            text = text[:at] + text[at + 1 + _below(draw, 3) :]
        else:
            end = at + _below(draw, 12)
            text = text[:at] + text[at:end] * 2 + text[end:]
    return text


def _verdict(read: Callable[[bytes], object], text: bytes) -> object:
    try:
        return read(text)
    except FormatError:
        return False


def cases() -> list[Case]:
    out = []
    for number in range(CASES):
        draw = rng(f"grammar {number}")
        texts = [_edit(draw, _TEXTS[_below(draw, len(_TEXTS))], _PIECES) for _ in range(PER_CASE)]
        value = [_verdict(json_parse, text) for text in texts]
        rules = "ENC-004 ENC-005 ENC-006 ENC-007 ENC-008"
        given = {"inputs": [text.hex() for text in texts]}
        out.append(good(f"grammar-json-{number}", rules, "json-verdicts", given, value))
    draw, letters = rng("grammar b64"), [bytes([byte]) for byte in _LETTERS]
    words = [b"".join(letters[_below(draw, 5)] for _ in range(_below(draw, 7))) for _ in range(PER_CASE)]
    edited = [word if n % 3 else _edit(draw, word, letters) for n, word in enumerate(words)]
    texts = [word.decode("latin-1") for word in edited]
    value = [_verdict(lambda text: b64d(text.decode("latin-1")).hex(), text.encode("latin-1")) for text in texts]
    out.append(good("grammar-b64", "ENC-003", "b64-verdicts", {"inputs": texts}, value))
    return out
