"""The way between one device and the relay, drawn from a seed.

Requests and answers travel for a while and may be lost, doubled (the second copy arrives late and nobody hears its
answer) or overtake one another; frames of the live connection may be late, doubled or turned round; a connection
breaks; a device is cut off. The relay at the end is the real application (CLT-025).
"""

from __future__ import annotations

import asyncio
import random
from dataclasses import dataclass
from typing import Any, Protocol

from cloister.client.transports.base import Answer
from cloister.client.transports.memory import MemoryRelay, MemorySocket
from cloister.errors import Unreachable

# Seconds between two things that must not change places: timers of one moment have no order.
APART = 1e-6


@dataclass
class Weather:
    """How bad it is: chances per request or frame, and seconds. Shared by everybody; ``clear`` ends it."""

    delay: float = 0.15
    late: float = 0.03
    lost: float = 0.02
    unanswered: float = 0.02
    doubled: float = 0.02
    turned: float = 0.03
    broken: float = 0.002

    def clear(self) -> None:
        self.delay = 0.01
        self.late = self.lost = self.unanswered = self.doubled = self.turned = self.broken = 0.0

    def travel(self, rng: random.Random) -> float:
        """Seconds on the way."""
        slow = 20.0 if rng.random() < self.late else 1.0
        return rng.expovariate(1 / self.delay) * slow


class Traveller(Protocol):
    """Who is at the near end: told of every step, which it may not survive."""

    def step(self, what: str) -> None: ...

    def arrives(self, what: str) -> None: ...

    def heard(self, method: str, path: str, body: bytes | None, answer: Answer) -> None: ...

    def sends(self, path: str, body: bytes | None) -> None: ...


class Way:
    """A transport. ``up`` False: cut off."""

    def __init__(self, relay: MemoryRelay, address: str, weather: Weather, rng: random.Random, near: Traveller) -> None:
        self.weather, self.rng, self.near = weather, rng, near
        self._relay, self._far = relay, relay.transport(address)
        self._up = True
        self._sockets: list[Wire] = []
        self._abroad: set[asyncio.Task[Any]] = set()

    @property
    def origin(self) -> str:
        return self._far.origin

    @property
    def up(self) -> bool:
        return self._up

    @up.setter
    def up(self, up: bool) -> None:
        self._up = up
        if not up:
            self.cut()

    def cut(self) -> None:
        """Break every live connection."""
        for wire in self._sockets:
            wire.cut()
        self._sockets.clear()

    async def settle(self) -> None:
        """Wait until everything sent has arrived."""
        while self._abroad:
            await asyncio.wait(set(self._abroad))

    def _send(self, delay: float, *request: Any, **more: Any) -> asyncio.Task[Answer]:
        """On its way, whatever becomes of who sent it."""

        async def travel() -> Answer:
            await asyncio.sleep(delay)
            self.near.arrives(f"{request[0]} {shape(request[1])}")
            return await self._far.request(*request, **more)

        task = asyncio.get_running_loop().create_task(travel())
        self._abroad.add(task)
        task.add_done_callback(self._abroad.discard)
        return task

    async def request(
        self,
        method: str,
        path: str,
        body: bytes | None = None,
        *,
        token: str | None = None,
        headers: dict[str, str] | None = None,
    ) -> Answer:
        near, weather, rng = self.near, self.weather, self.rng
        near.step(f"{method} {shape(path)}")
        near.sends(path, body)
        delay, back = weather.travel(rng), weather.travel(rng)
        fate = rng.random()
        if not self._up or fate < weather.lost:
            await asyncio.sleep(delay + 2)
            raise Unreachable("lost on the way")
        if rng.random() < weather.doubled:
            self._send(delay + back + weather.travel(rng), method, path, body, token=token, headers=headers)
        answer = await asyncio.shield(self._send(delay, method, path, body, token=token, headers=headers))
        await asyncio.sleep(back)
        if not self._up or fate > 1 - weather.unanswered:
            await asyncio.sleep(2)
            raise Unreachable("answer lost")
        near.step(f"{answer.status} {method} {shape(path)}")
        near.heard(method, path, body, answer)
        return answer

    async def connect(self, path: str) -> Wire:
        self.near.step("connect")
        await asyncio.sleep(self.weather.travel(self.rng))
        if not self._up:
            raise Unreachable("no way")
        wire = Wire(self, await self._far.connect(path))
        self._sockets.append(wire)
        return wire

    async def close(self) -> None:
        """Nothing is kept."""


class Wire:
    """One live connection through the weather."""

    def __init__(self, way: Way, far: MemorySocket) -> None:
        self._way, self._far = way, far
        self._loop = asyncio.get_running_loop()
        self._arrived: asyncio.Queue[str | None] = asyncio.Queue()
        self._last_in = self._last_out = 0.0
        self._over = False
        self._pump = self._loop.create_task(self._read())

    async def _read(self) -> None:
        try:
            while True:
                frame = await self._far.receive()
                rng, weather = self._way.rng, self._way.weather
                due = self._loop.time() + weather.travel(rng)
                if rng.random() >= weather.turned:
                    due = self._last_in = max(self._last_in + APART, due)
                self._loop.call_at(due, self._deliver, frame)
                if rng.random() < weather.doubled:
                    self._loop.call_at(due + weather.travel(rng), self._deliver, frame)
                if rng.random() < weather.broken:
                    self.cut()
        except Unreachable:
            self._loop.call_at(max(self._last_in, self._loop.time()) + APART, self._deliver, None)

    def _deliver(self, frame: str | None) -> None:
        self._arrived.put_nowait(frame)

    async def send(self, text: str) -> None:
        if self._over:
            raise Unreachable("connection broken")
        due = self._loop.time() + self._way.weather.travel(self._way.rng)
        self._last_out = max(self._last_out + APART, due)
        self._loop.call_at(self._last_out, self._pass_on, text)

    def _pass_on(self, text: str) -> None:
        if not self._over:
            self._way.near.arrives(f"frame {len(text)}")
            self._far._to_app.put_nowait({"type": "websocket.receive", "text": text})

    async def receive(self) -> str:
        if self._over and self._arrived.empty():
            raise Unreachable("connection broken")
        frame = await self._arrived.get()
        if frame is None:
            self._over = True
            raise Unreachable("connection ended")
        self._way.near.step(f"frame {len(frame)}")
        return frame

    def cut(self) -> None:
        """Break without a word, on both sides."""
        if not self._over:
            self._over = True
            self._arrived.put_nowait(None)
            self._far._to_app.put_nowait({"type": "websocket.disconnect", "code": 1006})
            self._far._relay._sockets.discard(self._far)

    async def close(self) -> None:
        self.cut()
        self._pump.cancel()


def shape(path: str) -> str:
    """A path without the names in it."""
    parts = path.partition("?")[0].split("/")
    return "/".join(part if len(part) < 20 else part[:7] for part in parts)
