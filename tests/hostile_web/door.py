"""A real port in front of a world in memory: whoever comes through it is seen at one person's address."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator
from typing import Any

import uvicorn

from cloister.client.transports.memory import MemoryRelay


def listening() -> socket.socket:
    """A port of the loopback that the system chose."""
    made = socket.socket()
    made.bind(("127.0.0.1", 0))
    made.listen(64)
    return made


def origin(listener: socket.socket) -> str:
    return f"http://127.0.0.1:{listener.getsockname()[1]}"


@contextlib.asynccontextmanager
async def door(relay: MemoryRelay, listener: socket.socket, address: str, ws: str = "none") -> AsyncIterator[None]:
    """Serve whatever application stands in ``relay`` at that moment; ``ws``: uvicorn's name of the live connection."""

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await relay.app({**scope, "client": (address, 1)}, receive, send)

    server = uvicorn.Server(uvicorn.Config(app, lifespan="off", log_config=None, ws=ws, proxy_headers=False))
    server.capture_signals = contextlib.nullcontext  # type: ignore[method-assign, assignment]
    task = asyncio.create_task(server.serve(sockets=[listener]))
    try:
        yield
    finally:
        server.should_exit = True
        await task
