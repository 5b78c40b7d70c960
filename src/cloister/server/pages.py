"""What a browser sees until the browser application exists: plain words, no script, nothing foreign.

Spec: API-002.
"""

from __future__ import annotations

from typing import Final

_HEAD: Final = (
    '<!doctype html><html lang="en"><head><meta charset="utf-8">'
    '<meta name="viewport" content="width=device-width, initial-scale=1"><title>Cloister</title></head><body><main>'
)
_FOOT: Final = "</main></body></html>"
_LANDING: Final = (
    "<h1>Cloister</h1><p>This is a Cloister relay. It stores sealed messages and cannot read them.</p>"
    "<p>In a terminal: <code>cloister account new NAME</code></p>"
)
_JOIN: Final = (
    "<h1>You were invited</h1><p>Open this link in the terminal: run <code>cloister join</code> and paste the whole "
    "address.</p><p>The part after <code>#</code> is a secret. This page and this server do not see it.</p>"
)


def _page(body: str) -> bytes:
    return (_HEAD + body + _FOOT).encode()


PAGES: Final = {"/": _page(_LANDING), "/j": _page(_JOIN), "/p": _page(_JOIN)}
