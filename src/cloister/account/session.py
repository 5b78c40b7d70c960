"""Session tokens: 256 random bits at the client, a hash at the relay.

Knows a token for the length of a call. The relay stores and looks up only the hash, so a stolen database signs
nobody in.

Spec: 04-account.md, SRP-015.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from cloister import crypto
from cloister.errors import AuthFailed, FormatError
from cloister.protocol.encoding import b64d, b64e, lp

TOKEN_LENGTH: Final = 32


def new_token(rng: Callable[[int], bytes]) -> str:
    """A bearer token: base64url of 32 random bytes, 43 characters (SRP-015)."""
    return b64e(rng(TOKEN_LENGTH))


def token_hash(token: str) -> bytes:
    """What the relay keeps: H(LP("session", token bytes)), 32 bytes. Raises AuthFailed for text that is no token."""
    try:
        data = b64d(token)
    except FormatError:
        raise AuthFailed("session") from None
    if len(data) != TOKEN_LENGTH:
        raise AuthFailed("session")
    return crypto.sha256(lp("session", data))
