"""verify web: whether a relay serves the browser application that this installation knows, byte for byte.

Asks as any browser would, without an account. What it cannot see is said: a relay may answer somebody else otherwise.

Spec: WEB-005.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from cloister.cli.escape import escape
from cloister.cli.faults import FAILED, NOT_FOUND, STOPPED, Refused
from cloister.cli.output import say
from cloister.cli.shell import Shell
from cloister.client.transports.base import Answer, Transport
from cloister.client.transports.http import HttpTransport
from cloister.errors import FormatError
from cloister.server import bundle
from cloister.server.headers import security_headers

# Everything a page can name that a browser would load or follow at once.
_NAMED: Final = re.compile(rb"""<(script|link|img|iframe|object|embed|base|meta|form|style)\b([^>]*)>""", re.IGNORECASE)
_ADDRESS: Final = re.compile(rb"""\b(?:src|href|action|data)\s*=\s*["']?([^"'\s>]+)""", re.IGNORECASE)
_ON: Final = re.compile(rb"""\son\w+\s*=|\sstyle\s*=""", re.IGNORECASE)

Listed = Mapping[str, tuple[str, int]]


async def web(shell: Shell, address: str, record: str) -> None:
    """Compare a relay's application with the record installed here, or with the one in the file ``record``."""
    ours = _ours(record)
    transport = HttpTransport(address, ca_file=shell.flags.ca_file or None)
    try:
        found, checked = await examine(transport, ours)
    finally:
        await transport.close()
    answer = {"server": transport.origin, "files": checked, "differences": found}
    shell.out.result(answer, *(f"  {escape(line)}" for line in found))
    if found:
        raise Refused("web-differs", STOPPED, server=transport.origin, n=len(found))
    shell.out.note(say("verify.web", server=transport.origin, n=checked))


def _ours(record: str) -> Listed:
    path = Path(record).expanduser() if record else bundle.FOLDER / bundle.RECORD
    try:
        return bundle.read_record(path.read_bytes())
    except OSError:
        raise Refused("web-record", NOT_FOUND, file=str(path)) from None
    except FormatError:
        raise Refused("web-record", FAILED, file=str(path)) from None


async def examine(transport: Transport, ours: Listed) -> tuple[list[str], int]:
    """(differences in words, number of files asked for). Raises Unreachable."""
    found: list[str] = []
    said = await transport.request("GET", "/" + bundle.RECORD)
    try:
        theirs = bundle.read_record(said.body) if said.status == 200 else {}
    except FormatError:
        theirs = {}
    if not theirs:
        found.append(say("verify.web-no-record"))
    found += [say("verify.web-added", path=path) for path in sorted(theirs.keys() - ours.keys())]
    found += [say("verify.web-missing", path=path) for path in sorted(ours.keys() - theirs.keys()) if theirs]
    gate = asyncio.Semaphore(8)

    async def one(path: str, place: str) -> list[str]:
        async with gate:
            answer = await transport.request("GET", place)
        wrong = [say("verify.web-header", path=place, name=name) for name in weaker(answer, transport.origin)]
        if answer.status != 200 or bundle.integrity(answer.body) != ours[path][0]:
            wrong.append(say("verify.web-altered", path=place))
        if path == bundle.INDEX:
            wrong += [say("verify.web-names", path=place, what=what) for what in unlisted(answer.body, ours)]
        return wrong

    places = [(path, "/" + path) for path in sorted(ours) if path != bundle.INDEX]
    places += [(bundle.INDEX, page) for page in bundle.PAGES if bundle.INDEX in ours]
    for wrong in await asyncio.gather(*(one(*place) for place in places)):
        found += wrong
    return found, len(places)


def weaker(answer: Answer, origin: str) -> list[str]:
    """Names of the headers that are not as API-005 has them, and of those that let others in."""
    expected = dict(security_headers(https=origin.startswith("https://")))
    said = {name.lower(): value for name, value in answer.headers.items()}
    wrong = [name.decode() for name, value in expected.items() if said.get(name.decode()) != value.decode()]
    return wrong + sorted(name for name in said if name.startswith("access-control") or name == "link")


def unlisted(page: bytes, ours: Listed) -> list[str]:
    """What a page names or does beside loading listed files with their digests."""
    odd = []
    for tag, attributes in _NAMED.findall(page):
        kind = tag.lower()
        places = [place.decode("utf-8", "replace") for place in _ADDRESS.findall(attributes)]
        if kind not in (b"script", b"link", b"meta") or (kind == b"script" and not places):
            odd.append(tag.decode())
        for place in places:
            digest = ours.get(place.removeprefix("/"), ("", 0))[0]
            loads = kind == b"script" or b"stylesheet" in attributes or b"modulepreload" in attributes
            if not digest or (loads and digest.encode() not in attributes):
                odd.append(place)
    return odd + [one.decode("utf-8", "replace").strip() for one in _ON.findall(page)]
