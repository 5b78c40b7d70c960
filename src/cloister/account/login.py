"""The names that enter every account formula: the login and the relay's origin, each with one spelling.

Knows text only. Refuses to guess: a name outside the alphabet is an error, never a repaired name. Used by both ends.

Spec: 04-account.md, PPF-005, SRP-006.
"""

from __future__ import annotations

import ipaddress
import re
from typing import Final
from urllib.parse import urlsplit

from cloister.errors import UsageError

_LOGIN: Final = re.compile(r"[a-z0-9][a-z0-9._-]{0,62}")
_HOST: Final = re.compile(r"(?!-)[a-z0-9-]{1,63}(?<!-)(?:\.(?!-)[a-z0-9-]{1,63}(?<!-))*")
_PORTS: Final = {"http": 80, "https": 443}


def login_name(text: str) -> str:
    """The login as every formula uses it: ASCII letters lower-cased, then matched (PPF-005).

    Raises UsageError for anything outside ``[a-z0-9][a-z0-9._-]{0,62}``; nothing is trimmed or mapped besides A-Z.
    """
    name = "".join(chr(ord(c) + 32) if "A" <= c <= "Z" else c for c in text)
    if not _LOGIN.fullmatch(name):
        raise UsageError("a name has 1 to 63 of a-z 0-9 . _ - and begins with a letter or digit")
    return name


def origin(url: str) -> str:
    """``scheme://host[:port]`` of the configured relay URL, lower case, without the scheme's own port (SRP-006).

    ``http`` and ``https`` only; a path is dropped; user names, queries and letters outside ASCII are refused (a
    name in another script is written in its ``xn--`` form). Raises UsageError.
    """
    try:
        if not url.isascii() or any(c <= " " or c == "\\" for c in url):
            raise ValueError
        parts = urlsplit(url)
        host, port = (parts.hostname or "").lower(), parts.port
        if parts.scheme not in _PORTS or "@" in parts.netloc or parts.query or parts.fragment:
            raise ValueError
        if ":" in host:
            host = f"[{ipaddress.IPv6Address(host)}]"
        elif not _HOST.fullmatch(host):
            raise ValueError
    except ValueError:
        raise UsageError("a relay address looks like https://host or https://host:port") from None
    shown = "" if port is None or port == _PORTS[parts.scheme] else f":{port}"
    return f"{parts.scheme}://{host}{shown}"
