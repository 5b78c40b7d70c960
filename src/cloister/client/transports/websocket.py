"""The live connection over a network (websockets). Used by the http transport.

Spec: CLT-025 (RFC 6455).
"""

from __future__ import annotations

import ssl
from typing import Final

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidHandshake, InvalidURI

from cloister.errors import Unreachable

# A coalesced frame holds up to a page of envelopes; the relay's own limit is lower.
MAX_FRAME: Final = 16 * 1024 * 1024


class WebSocket:
    """One open connection."""

    def __init__(self, connection: ClientConnection) -> None:
        self._connection = connection

    async def send(self, text: str) -> None:
        """Send one frame. Raises Unreachable."""
        try:
            await self._connection.send(text)
        except ConnectionClosed:
            raise Unreachable("live connection closed") from None

    async def receive(self) -> str:
        """Next frame. Raises Unreachable."""
        try:
            frame = await self._connection.recv()
        except ConnectionClosed:
            raise Unreachable("live connection ended") from None
        return frame if isinstance(frame, str) else frame.decode()

    async def close(self) -> None:
        """Close with a goodbye."""
        await self._connection.close()


async def open_socket(url: str, tls: ssl.SSLContext | None) -> WebSocket:
    """Connect to a ws:// or wss:// address; no compression (it could leak through sizes). Raises Unreachable."""
    try:
        connection = await connect(
            url,
            ssl=tls,
            compression=None,
            max_size=MAX_FRAME,
            open_timeout=10,
            close_timeout=2,
            proxy=None,
        )
    except (OSError, InvalidHandshake, InvalidURI, TimeoutError) as error:
        raise Unreachable(f"live connection: {type(error).__name__}") from None
    return WebSocket(connection)
