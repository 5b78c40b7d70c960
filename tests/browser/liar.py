"""A relay that lies to browsers: the hostile world of ``tests.hostile`` behind a real port, in a thread of its own.

Whoever comes through the port is seen at Bo's address; people with the Python client live in the same world and are
led with ``do``.
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import AsyncIterator, Coroutine
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any, Self, TypeVar

from cloister.client.transports.memory import MemoryRelay
from cloister.server.app import create_app
from cloister.server.settings import Settings
from tests.hostile.lying import LyingRelay
from tests.hostile.world import ADDRESSES, HostileWorld
from tests.hostile_web.door import door, listening, origin
from tests.scenarios.world import Clock

T = TypeVar("T")
WATCHDOG = 90.0


class Now(Clock):
    """The machine's time: the browser has no other."""

    def __call__(self) -> float:
        return time.time()


@asynccontextmanager
async def _world(folder: Path) -> AsyncIterator[tuple[HostileWorld, str]]:
    listener, clock = listening(), Now()
    origins = ("http://localhost:8420", origin(listener))
    app = create_app(Settings(data=folder / "relay", rate_address=0, rate_account=0, origins=origins), clock=clock)
    liar = LyingRelay(app)
    async with AsyncExitStack() as stack:
        relay = await stack.enter_async_context(MemoryRelay(liar))
        await stack.enter_async_context(door(relay, listener, ADDRESSES["bo"], ws="websockets-sansio"))
        made = HostileWorld(folder, clock, relay, app.relay.setup_code or "", liar=liar, app=app)
        stack.push_async_callback(made.close)
        yield made, origin(listener)


class Liar:
    """See the module. Use as a context manager; close the browser's windows first."""

    hw: HostileWorld
    server: str

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._stack = AsyncExitStack()

    def do(self, act: Coroutine[Any, Any, T]) -> T:
        """Run ``act`` in the world; what it answers or raises."""
        return asyncio.run_coroutine_threadsafe(act, self._loop).result(WATCHDOG)

    def here(self, link: str) -> str:
        """A link as it reads at this port."""
        return link.replace("http://localhost:8420", self.server)

    def __enter__(self) -> Self:
        self._thread.start()
        self.hw, self.server = self.do(self._stack.enter_async_context(_world(self._folder)))
        return self

    def __exit__(self, *_: object) -> None:
        self.do(self._stack.aclose())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(WATCHDOG)
        self._loop.close()
