"""A member's connection, as cheap as Python allows: the driver of a load test must not be what is measured.

A raw asyncio protocol with its own WebSocket framing (RFC 6455). Client frames are masked with the zero key, so that
masking costs nothing and the payload needs no copy. No extension is offered: nothing is compressed.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import cast

UPGRADE = (
    "GET {path} HTTP/1.1\r\nHost: {host}:{port}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\nSec-WebSocket-Version: 13\r\nOrigin: http://{host}:{port}\r\n\r\n"
)
PONG = 0x8A
TEXT = 0x81


def frame(payload: bytes, first: int = TEXT) -> bytes:
    """One final client frame."""
    size = len(payload)
    if size < 126:
        head = bytes((first, 0x80 | size))
    elif size < 65536:
        head = bytes((first, 0x80 | 126)) + size.to_bytes(2, "big")
    else:
        head = bytes((first, 0x80 | 127)) + size.to_bytes(8, "big")
    return head + b"\0\0\0\0" + payload


class Frames(asyncio.Protocol):
    """Calls ``got(payload)`` for every text frame, with the bytes of exactly that frame."""

    def __init__(self, got: Callable[[bytes], None]) -> None:
        self.got = got
        self.open: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.closed: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.bytes_in = 0
        self._rest = b""
        self._upgraded = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:

        self.transport = cast(asyncio.Transport, transport)

    def connection_lost(self, exc: Exception | None) -> None:
        if not self.open.done():
            self.open.set_exception(exc or ConnectionError("closed during the handshake"))
        if not self.closed.done():
            self.closed.set_result(None)

    def write(self, payload: bytes) -> None:
        self.transport.write(frame(payload))

    def data_received(self, data: bytes) -> None:
        self.bytes_in += len(data)
        if self._rest:
            data = self._rest + data
        if not self._upgraded:
            head, found, data = data.partition(b"\r\n\r\n")
            if not found:
                self._rest = head
                return
            if not head.startswith(b"HTTP/1.1 101"):
                self.open.set_exception(ConnectionError(head[:80].decode("latin-1")))
                return
            self._upgraded = True
            self.open.set_result(None)
        at, end = 0, len(data)
        got = self.got
        while end - at >= 2:
            size = data[at + 1]
            start = at + 2
            if size == 126:
                if end - at < 4:
                    break
                size = data[at + 2] << 8 | data[at + 3]
                start = at + 4
            elif size == 127:
                if end - at < 10:
                    break
                size = int.from_bytes(data[at + 2 : at + 10], "big")
                start = at + 10
            if end - start < size:
                break
            kind = data[at] & 15
            if kind < 3:
                got(data[start : start + size])
            elif kind == 9:
                self.transport.write(frame(data[start : start + size], PONG))
            at = start + size
        self._rest = data[at:]


async def connect(host: str, port: int, path: str, got: Callable[[bytes], None]) -> Frames:
    """Open a WebSocket and wait for 101."""
    loop = asyncio.get_running_loop()
    _, protocol = await loop.create_connection(lambda: Frames(got), host, port)
    protocol.transport.set_write_buffer_limits(1 << 24)
    protocol.transport.write(UPGRADE.format(path=path, host=host, port=port).encode())
    await protocol.open
    return protocol
