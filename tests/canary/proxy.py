"""A wire tap: passes TCP through to the relay and keeps every byte of both directions."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import Self


@dataclass
class Tap:
    """``async with Tap(port) as tap``: connect to ``tap.port``; ``captured`` has two streams per connection."""

    target: int
    port: int = 0
    captured: dict[str, bytearray] = field(default_factory=dict)
    tasks: set[asyncio.Task[None]] = field(default_factory=set)

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._connected, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()
        for task in list(self.tasks):
            task.cancel()
        await asyncio.gather(*self.tasks, return_exceptions=True)

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self.tasks.add(task)
        task.add_done_callback(self.tasks.discard)
        number = len(self.captured) // 2
        up = self.captured[f"connection {number} to the relay"] = bytearray()
        down = self.captured[f"connection {number} from the relay"] = bytearray()
        there, back = await asyncio.open_connection("127.0.0.1", self.target)
        try:
            await asyncio.gather(_pump(reader, back, up), _pump(there, writer, down))
        except asyncio.CancelledError:
            return
        finally:
            writer.close()
            back.close()


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, keep: bytearray) -> None:
    try:
        while data := await reader.read(65536):
            keep += data
            writer.write(data)
            await writer.drain()
        writer.write_eof()
    except (ConnectionError, OSError):
        writer.close()
