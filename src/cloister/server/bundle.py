"""The browser application as the relay serves it: the built files, held in memory, each checked against its record.

``files.json`` lists every file with its SHA-384 and size; a file that is missing, changed or not listed stops the
relay from serving any of them, because a program that is partly another one is worse than none. Nothing is read from
disk after the start, so what was checked is what is sent. The record itself is served too: ``cloister verify web``
compares it with one from elsewhere.

Knows files and headers. Refuses to know accounts and requests.

Spec: WEB-001, WEB-002, WEB-004.
"""

from __future__ import annotations

import base64
import gzip
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from cloister import crypto
from cloister.errors import FormatError

FOLDER: Final = Path(__file__).parent.parent / "app"
RECORD: Final = "files.json"
INDEX: Final = "index.html"
# Paths that show the application; it finds its way by the fragment, which no server sees.
PAGES: Final = ("/", "/j", "/p")
_TYPES: Final = {
    ".html": "text/html; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".json": "application/json",
    ".webmanifest": "application/manifest+json",
    ".svg": "image/svg+xml",
    ".png": "image/png",
    ".wasm": "application/wasm",
    ".txt": "text/plain; charset=utf-8",
}
# Below this a compressed answer is no smaller.
_WORTH: Final = 512

Pair = tuple[bytes, bytes]


@dataclass(frozen=True)
class File:
    """One file: its bytes, the same compressed (or None), and the headers of its answer."""

    body: bytes
    zipped: bytes | None
    headers: tuple[Pair, ...]
    tag: bytes

    def answer(self, accepts: bytes, known: bytes) -> tuple[int, bytes, tuple[Pair, ...]]:
        """(status, body, headers) for a request's Accept-Encoding and If-None-Match."""
        if self.tag in known:
            return 304, b"", self.headers
        if self.zipped is not None and b"gzip" in accepts:
            return 200, self.zipped, (*self.headers, (b"content-encoding", b"gzip"))
        return 200, self.body, self.headers


Bundle = Mapping[str, File]


def read_record(data: bytes) -> dict[str, tuple[str, int]]:
    """``files.json``: path -> (SHA-384 as ``sha384-`` and base64, size in bytes). Raises FormatError."""
    try:
        found = json.loads(data)
        files = {str(path): (str(row["integrity"]), int(row["size"])) for path, row in found["files"].items()}
        if found["v"] != 1 or not files:
            raise FormatError("record of files")
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise FormatError("record of files") from error
    return files


def integrity(body: bytes) -> str:
    """The digest of a file in the form of a script's integrity attribute."""
    return "sha384-" + base64.b64encode(crypto.sha384(body)).decode()


def load(folder: Path = FOLDER) -> Bundle:
    """Every file under its path; empty when no application is built. Raises FormatError for one that was altered."""
    record = folder / RECORD
    if not record.is_file():
        return {}
    written = record.read_bytes()
    listed = read_record(written)
    present = {str(one.relative_to(folder)) for one in folder.rglob("*") if one.is_file()} - {RECORD}
    if present != set(listed):
        odd = min(present ^ set(listed))
        raise FormatError(f"application files: {odd} is missing or not in the record")
    bundle: dict[str, File] = {}
    for path, (digest, size) in listed.items():
        body = (folder / path).read_bytes()
        if len(body) != size or integrity(body) != digest:
            raise FormatError(f"application files: {path} was altered")
        bundle["/" + path] = _file(path, body)
    index = bundle.pop("/" + INDEX, None)
    if index is None:
        raise FormatError("application files: no page")
    return bundle | dict.fromkeys(PAGES, index) | {"/" + RECORD: _file(RECORD, written)}


def _file(path: str, body: bytes) -> File:
    kind = _TYPES.get(Path(path).suffix)
    if kind is None:
        raise FormatError(f"application files: {path} has an unknown type")
    # A name under assets/ holds a digest of the content: it never means anything else.
    keep = "public, max-age=31536000, immutable" if path.startswith("assets/") else "no-cache"
    tag = b'"' + integrity(body)[7:31].encode() + b'"'
    headers = (
        (b"content-type", kind.encode()),
        (b"cache-control", keep.encode()),
        (b"etag", tag),
        (b"vary", b"accept-encoding"),
    )
    zipped = gzip.compress(body, 9, mtime=0) if len(body) >= _WORTH and not path.endswith(".png") else None
    return File(body, zipped if zipped and len(zipped) < len(body) else None, headers, tag)
