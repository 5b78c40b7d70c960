"""What ``Client.open`` returns: something to await, or to enter with ``async with``.

Spec: CLT-001.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Generator
from types import TracebackType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from cloister.client.client import Client


class Opening:
    """Lets ``Client.open(...)`` be awaited or entered with ``async with``."""

    def __init__(self, make: Callable[[], Client]) -> None:
        self._make = make
        self._client: Client | None = None

    def __await__(self) -> Generator[Any, None, Client]:
        yield from asyncio.sleep(0).__await__()
        return self._make()

    async def __aenter__(self) -> Client:
        self._client = self._make()
        return self._client

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._client is not None:
            await self._client.close()
