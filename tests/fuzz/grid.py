"""The decoders of the off-grid chapter, for the table in decoders.py.

Where a signature or a seal would stop everything at the door, the input is what stands behind it: a header that is then
signed by the right person, a content that is then sealed under the right key.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import cache
from typing import Any

from cloister import crypto
from cloister import errors as e
from cloister.grid import box as boxes
from cloister.grid import envelope, inspector, pouch, public, ratchet, recognise, v1, v1_backup, v1_jws, v2
from cloister.grid.box import Box
from cloister.grid.keys import Identity
from cloister.protocol.encoding import b64d, b64e, json_emit, json_parse
from cloister.sphere import padding
from vectors.generate.grid_paste import NOW, World

CHECKS = (e.FormatError, e.SignatureInvalid, e.KeyUnknown, e.NotMember, e.DecryptFailed, e.Gap, e.Expired)
BACKUP = (e.FormatError, e.VaultError)
READING = (*CHECKS, e.KeyChanged, e.Replay)
TOKEN = re.compile(r"[A-Za-z0-9_-]+\.[A-Za-z0-9_-]*\.[A-Za-z0-9_-]{128}")
Row = tuple[str, Callable[[bytes], object], tuple[type[Exception], ...], Callable[[], list[bytes]], int]


def text(data: bytes) -> str:
    return data.decode("utf-8", "surrogateescape")


@cache
def world() -> World:
    return World()


def everything(*, ours: bool = True, theirs: bool = True) -> list[bytes]:
    w = world()
    replies = [token for tokens in w.replies.values() for token in tokens]
    tokens = [w.invite1, w.invite2, w.opening1, w.opening2, *replies, w.receipt, w.auth, w.proof, w.backup]
    wanted = (theirs, ours)
    return [token.encode() for token in tokens if wanted["typ" in json_parse(b64d(token.split(".")[0]))]]


def _signed(header: bytes, payload: bytes, who: Identity) -> str:
    signing_input = f"{b64e(header)}.{b64e(payload)}"
    return f"{signing_input}.{b64e(who.signer(signing_input.encode()))}"


def _token1(data: bytes) -> None:
    token = v1_jws.decode(text(data))
    assert token.compact.count(".") == 2


def _header1(data: bytes) -> None:
    w = world()
    before = w.begun.threads[w.th1]
    payload = v1_jws.decode(w.replies[w.th1][0]).payload
    after, shown = v1.read(before, _signed(data, payload, w.bo))  # type: ignore[arg-type]
    assert shown.sender == w.bo.id1
    assert (after == before) == (shown.status == "repeated")


def _content1(data: bytes) -> None:
    w = world()
    thread = w.begun.threads[w.th1]
    header = v1_jws.decode(w.replies[w.th1][0]).header | {"iv": "AAAAAAAAAAAAAAAA"}
    sealed = b64e(crypto.aead_seal(thread.key, bytes(12), data, b"")).encode()  # type: ignore[union-attr]
    v1.read(thread, _signed(json_emit(header), sealed, w.bo))  # type: ignore[arg-type]


def _contents1() -> list[bytes]:
    w = world()
    key = w.begun.threads[w.th1].key  # type: ignore[union-attr]
    return [json_emit({"m": v1_jws.open(key, v1_jws.decode(token))}) for token in w.replies[w.th1]]


def _backup_body(data: bytes) -> None:
    w = world()
    header = v1_jws.decode(w.backup).header
    v1_backup.read(_signed(json_emit(header), data, w.bo), "secret")


def _invite2(data: bytes) -> None:
    w = world()
    header = envelope.decode(w.invite2, envelope.INVITE).header
    found = public.read_invite(_signed(json_emit(header), data, w.ada))
    assert found.iat <= found.exp


def _token2(data: bytes) -> None:
    read = envelope.decode(text(data), *envelope.TYPS)
    parts = [read.header_part, b64e(read.payload).encode(), b64e(read.signature).encode()]
    assert b".".join(parts) == data


def _header2(data: bytes) -> None:
    w = world()
    before = w.begun.threads[w.th2]
    payload = envelope.decode(w.replies[w.th2][1], envelope.REPLY).payload
    v2.read(before, _signed(data, payload, w.bo), now=NOW)  # type: ignore[arg-type]


@cache
def _next2() -> tuple[dict[str, Any], bytes]:
    """The header and the key of bo's next message."""
    w = world()
    thread = w.begun.threads[w.th2]
    header = envelope.decode(w.replies[w.th2][1], envelope.REPLY).header
    keys = thread.ratchet  # type: ignore[union-attr]
    _, secret = ratchet.receive(keys, b64d(header["rk"]), header["cs"], header["seq"], NOW)
    return header, b"".join(ratchet.message_key(secret, keys.th, w.bo.id, header["seq"]))


def _content2(data: bytes) -> None:
    w = world()
    header, key = _next2()
    raw = json_emit(header)
    sealed = crypto.aead_seal(key[:32], b64d(header["n"]), padding.pad(data), b64e(raw).encode())
    v2.read(w.begun.threads[w.th2], _signed(raw, sealed, w.bo), now=NOW)  # type: ignore[arg-type]


def _contents2() -> list[bytes]:
    w = world()
    got = w.begun.threads[w.th2].report().content()  # type: ignore[union-attr]
    mine = got | {"up": 0, "h": w.begun.threads[w.th2].links[0][1]}  # type: ignore[union-attr]
    return [json_emit({"message": "hello", "got": mine}), json_emit({"message": "", "got": mine, "relay": "x"})]


def _find(data: bytes) -> None:
    found, cut = recognise.find(text(data))
    assert all(TOKEN.fullmatch(one.compact) and one.line >= 1 for one in found)
    assert all(one.length >= 16 for one in cut)


def _pouch(data: bytes) -> None:
    read = pouch.unpack(text(data))
    assert pouch.unpack(pouch.pack(read)) == read


def _pouches() -> list[bytes]:
    w = world()
    read = pouch.Pouch(NOW, boxes.have(w.begun), (w.invite1, w.receipt), ({"k": "sphere", "sph": "x"},))
    return [pouch.pack(read).encode()]


def _box(data: bytes) -> None:
    row = json_parse(data)
    assert Box.load(row).dump() == row


def _take(data: bytes) -> None:
    w = world()
    boxes.take(w.begun, text(data), now=NOW)


ROWS: tuple[Row, ...] = (
    ("grid-token-1", _token1, (e.FormatError,), lambda: everything(ours=False), 800),
    ("grid-header-1", _header1, READING, lambda: [b64d(world().replies[world().th1][0].split(".")[0])], 120),
    ("grid-content-1", _content1, READING, _contents1, 120),
    ("grid-backup-body", _backup_body, BACKUP, lambda: [v1_jws.decode(world().backup).payload], 15),
    ("grid-token-2", _token2, (e.FormatError,), lambda: everything(theirs=False), 800),
    ("grid-invite-2", _invite2, CHECKS, lambda: [envelope.decode(world().invite2, envelope.INVITE).payload], 120),
    ("grid-header-2", _header2, READING, lambda: [b64d(world().replies[world().th2][1].split(".")[0])], 120),
    ("grid-content-2", _content2, READING, _contents2, 120),
    ("grid-find", _find, (), lambda: [b"> " + one for one in everything()], 800),
    ("grid-inspect", lambda data: inspector.inspect(text(data), now=NOW), (e.FormatError,), everything, 300),
    ("grid-pouch", _pouch, (e.FormatError,), _pouches, 700),
    ("grid-box", _box, (e.FormatError,), lambda: [json_emit(world().begun.dump())], 60),
    ("grid-take", _take, READING, lambda: [one for one in everything()[:10] if one], 150),
)  # fmt: skip
