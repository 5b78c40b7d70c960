"""The names that enter every account formula: the login and the relay's origin, each with one spelling.

Knows text only. Refuses to guess: a name outside the alphabet is an error, never a repaired name. Used by both ends.

Spec: 04-account.md, PPF-005, SRP-006.
"""

from __future__ import annotations

import ipaddress
import re
from typing import Final

from cloister.errors import UsageError

_LOGIN: Final = re.compile(r"[a-z0-9][a-z0-9._-]{0,62}")
_URL: Final = re.compile(r"(https?)://(?:([a-z0-9.-]+)|\[([0-9a-f:.]+)\])(?::([0-9]{1,5}))?(?:/[!-~]*)?", re.IGNORECASE)
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
    refused = UsageError("a relay address looks like https://host or https://host:port")
    found = _URL.fullmatch(url)
    if not found or "?" in url or "#" in url:
        raise refused
    scheme, host, port = found[1].lower(), (found[2] or "").lower(), int(found[4] or 0)
    if found[3]:
        try:
            host = f"[{ipaddress.IPv6Address(found[3]).compressed}]"
        except ValueError:
            raise refused from None
    elif not _HOST.fullmatch(host):
        raise refused
    if found[4] and not 0 < port < 65536:
        raise refused
    shown = "" if not port or port == _PORTS[scheme] else f":{port}"
    return f"{scheme}://{host}{shown}"
