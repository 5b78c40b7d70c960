"""Looking for secrets where none may be: every form a leak could take, in files, logs and captured traffic.

A secret is searched raw, in hex, base64 and base64url (at all three alignments, so also inside a longer encoding),
UTF-16, percent-encoding, JSON escapes and Python's own repr of bytes. Captured WebSocket streams are also searched
unmasked and frame by frame, compressed parts also inflated.
"""

from __future__ import annotations

import base64
import json
import re
import zlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

SHORTEST = 5


def forms(secret: bytes) -> dict[str, bytes]:
    """The secret in every form searched, by name of the form."""
    found = {
        "raw": secret,
        "hex": secret.hex().encode(),
        "HEX": secret.hex().upper().encode(),
        "repr": repr(secret)[2:-1].encode(),
    }
    for shift in range(3):
        # Characters that depend on what stands before or after are cut off.
        text = base64.b64encode(bytes(shift) + secret + bytes(2))
        start = (shift * 8 + 5) // 6
        end = (shift + len(secret)) * 8 // 6
        part = text[start:end]
        found[f"base64+{shift}"] = part
        found[f"base64url+{shift}"] = part.replace(b"+", b"-").replace(b"/", b"_")
    try:
        text = secret.decode("utf-8")
    except UnicodeDecodeError:
        return found
    found["utf-16-le"] = text.encode("utf-16-le")
    found["utf-16-be"] = text.encode("utf-16-be")
    found["percent"] = quote(text, safe="").encode()
    found["json"] = json.dumps(text)[1:-1].encode()
    found["backwards"] = text[::-1].encode()
    return found


@dataclass(frozen=True)
class Hit:
    """``secret`` was found in ``where`` as ``form``; ``around`` shows what stands before it."""

    secret: str
    where: str
    form: str
    around: bytes


def search(secrets: Mapping[str, bytes], places: Mapping[str, bytes]) -> list[Hit]:
    """Every secret in every place in every form; an empty list is the wish."""
    hits = []
    for name, secret in secrets.items():
        assert len(secret) >= SHORTEST, f"{name} is too short to be told from chance"
        for form, needle in forms(secret).items():
            for where, data in places.items():
                at = data.find(needle)
                if at >= 0:
                    hits.append(Hit(name, where, form, data[max(0, at - 40) : at]))
    return hits


def files(folders: Iterable[Path]) -> dict[str, bytes]:
    """Content of every file under the folders; a file name counts as content too."""
    found: dict[str, bytes] = {}
    for folder in folders:
        for path in sorted(folder.rglob("*")):
            if path.is_file() and not path.is_symlink():
                found[str(path)] = str(path.name).encode() + b"\n" + path.read_bytes()
    return found


# --- captured traffic ---------------------------------------------------------------------------------------------


def views(stream: bytes) -> bytes:
    """One direction of a captured connection, with everything a reader of the wire could make of it."""
    parts = [stream]
    head, found, rest = stream.partition(b"\r\n\r\n")
    if found and b"upgrade: websocket" in head.lower():
        parts.append(b"\n".join(frames(rest)))
    for match in re.finditer(rb"\x1f\x8b\x08|\x78[\x01\x5e\x9c\xda]", stream):
        inflated = inflate(stream[match.start() :])
        if len(inflated) > 16:
            parts.append(inflated)
    return b"\n".join(parts)


def inflate(data: bytes) -> bytes:
    """Whatever a gzip or zlib stream at the start of ``data`` gives; empty when it is none."""
    reader = zlib.decompressobj(47)
    try:
        return reader.decompress(data, 1 << 22)
    except zlib.error:
        return b""


def frames(data: bytes) -> list[bytes]:
    """Payloads of the WebSocket frames in ``data``, unmasked, inflated where the extension bit says so."""
    found = []
    at = 0
    while at + 2 <= len(data):
        first, size, start = data[at], data[at + 1] & 127, at + 2
        masked = bool(data[at + 1] & 128)
        if size >= 126:
            wide = 2 if size == 126 else 8
            size, start = int.from_bytes(data[start : start + wide], "big"), start + wide
        if masked:
            mask, start = data[start : start + 4], start + 4
        payload = data[start : start + size]
        if masked and payload:
            long = (mask * (len(payload) // 4 + 1))[: len(payload)]
            payload = (int.from_bytes(payload, "big") ^ int.from_bytes(long, "big")).to_bytes(len(payload), "big")
        if first & 0x40:
            reader = zlib.decompressobj(-15)
            payload = reader.decompress(payload + b"\x00\x00\xff\xff")
        found.append(payload)
        at = start + size
    return found
