"""Quick readers of the hot path take exactly what the general ones take, and read the same (MSG-002, MSG-009, JWS-002).

A difference here would be a message that one member reads and another refuses.
"""

from __future__ import annotations

import base64
import random
from typing import Any

import pytest

from cloister.errors import FormatError, VersionTooOld
from cloister.protocol import jws
from cloister.protocol.encoding import b64e, json_parse
from cloister.sphere import message, payload
from vectors.generate import _sphere as world

PIECES = [
    *(
        b'"',
        b"\\",
        b",",
        b":",
        b"{",
        b"}",
        b" ",
        b"\n",
        b"0",
        b"1",
        b"-1",
        b"1.0",
        b"01",
        b"4294967296",
        b"null",
        b"true",
    ),
    *(b"9007199254740992", rb"\u0041", rb"\ud800", b"\xff", b"\xc3\xa9", b"\0", b'"try":1,', b'"thr":"', b'"seq":0,'),
    *(
        b'"ph":"",',
        b"none",
        b"A256GCM",
        b"AAAA",
        b"B",
        b'"pt":true',
        b'"k":"msg",',
        b'"t":""',
        b"\x7f",
        b"\xe2\x80\xa8",
    ),
]


def _edit(draw: random.Random, data: bytes) -> bytes:
    for _ in range(draw.randint(1, 3)):
        at = draw.randint(0, len(data))
        end = at + draw.choice((0, 0, 1, 4, 12))
        data = data[:at] + draw.choice(PIECES) + data[end:]
    return data


@pytest.fixture(scope="module")
def said() -> list[str]:
    made = world.Sphere(world.Person("ada"))
    talker = made.talker(made.owner)
    first = talker.say("Hello")
    return [first, talker.make("x" * 300), talker.make("again", tries=2)]


def _quick(compact: str) -> Any:
    try:
        return message.decode(compact).head
    except FormatError:
        return None


def _general(compact: str) -> Any:
    try:
        head = message._general(jws.decode(compact, "sph-msg+1").header)
    except FormatError:
        return None
    first = head.seq > 0 and (head.seq == 1) == (head.ph == "")
    sealed = (head.enc == "A256GCM") == (head.n != "") and (head.n == "") == (head.cm == "")
    return head if first and sealed else None


@pytest.mark.parametrize("seed", range(8))
def test_message_headers(said: list[str], seed: int) -> None:
    draw, read = random.Random(seed), 0
    for _ in range(1000):
        header, rest = draw.choice(said).split(".", 1)
        inside = base64.urlsafe_b64decode(header + "=" * (-len(header) % 4))
        compact = f"{b64e(_edit(draw, inside))}.{rest}"
        quick = _quick(compact)
        assert quick == _general(compact), compact
        read += quick is not None
    assert read, "every edit was refused: the edits are too coarse to compare anything"


@pytest.mark.parametrize("seed", range(8))
def test_payloads(seed: int) -> None:
    draw = random.Random(seed)
    texts = [payload.encode(world.text(text)) for text in ("Hello", 'a "quoted" \\ word', "\u00e9\U0001f511", "")]
    read = 0
    for _ in range(1000):
        data = _edit(draw, draw.choice(texts))
        try:
            found = payload.decode(data)
        except (FormatError, VersionTooOld):
            continue
        read += 1
        assert json_parse(data)["k"] == found[0]
        assert payload.decode(payload.encode(found)) == found
    assert read
