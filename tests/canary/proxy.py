"""A wire tap: passes TCP through to the relay, or a socket to an agent, and keeps every byte of both directions."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self


@dataclass
class Tap:
    """``async with Tap(port) as tap``: connect to ``tap.port``; ``captured`` has two streams per connection."""

    target: int
    port: int = 0
    captured: dict[str, bytearray] = field(default_factory=dict)
    tasks: set[asyncio.Task[None]] = field(default_factory=set)
    end = "relay"

    async def __aenter__(self) -> Self:
        self._server: asyncio.Server = await asyncio.start_server(self._connected, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()
        for task in list(self.tasks):
            task.cancel()
        await asyncio.gather(*self.tasks, return_exceptions=True)

    async def _reach(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        return await asyncio.open_connection("127.0.0.1", self.target)

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self.tasks.add(task)
        task.add_done_callback(self.tasks.discard)
        number = len(self.captured) // 2
        up = self.captured[f"connection {number} to the {self.end}"] = bytearray()
        down = self.captured[f"connection {number} from the {self.end}"] = bytearray()
        there, back = await self._reach()
        try:
            await asyncio.gather(_pump(reader, back, up), _pump(there, writer, down))
        except asyncio.CancelledError:
            return
        finally:
            writer.close()
            back.close()


@dataclass
class AgentTap(Tap):
    """The same on Unix sockets: ``front`` is where commands ask, ``behind`` where the agent listens."""

    target: int = 0
    front: Path = Path()
    behind: Path = Path()
    end = "agent"

    async def __aenter__(self) -> Self:
        self.front.parent.mkdir(mode=0o700, parents=True)
        self._server = await asyncio.start_unix_server(self._connected, self.front)
        self.front.chmod(0o600)
        return self

    async def _reach(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        return await asyncio.open_unix_connection(self.behind)


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, keep: bytearray) -> None:
    try:
        while data := await reader.read(65536):
            keep += data
            writer.write(data)
            await writer.drain()
        writer.write_eof()
    except (ConnectionError, OSError):
        writer.close()
