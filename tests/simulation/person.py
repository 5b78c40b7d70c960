"""One device and who uses it: starting, dying in the middle of a write, starting again from what is on disk.

A *step* is a moment after which the world may look different to somebody who survives: before a COMMIT or a single
write of the local store, before a request leaves, after an answer or a frame came. Death comes at a step: nothing the
dead program still does reaches disk or network, and its successor finds the files as a killed process leaves them.
"""

from __future__ import annotations

import asyncio
import json
import random
from collections.abc import Awaitable, Callable, Coroutine, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import cloister.client.store as store_module
from cloister.client import Client
from cloister.client import live as live_module
from cloister.client.records import Message, OutboxItem
from cloister.client.transports.base import Answer
from cloister.errors import CloisterError
from tests.simulation.weather import Way

if TYPE_CHECKING:
    from tests.simulation.story import Story

_WRITES = ("INSERT", "UPDATE", "DELETE")
Act = Callable[[Client], Awaitable[Any]]


class Death(BaseException):
    """The process of this device ends here."""


class Connection(store_module.sqlite.Connection):  # type: ignore[misc, name-defined]
    """A database connection of somebody who may die at any write."""

    owner: Person | None = None

    def execute(self, sql: str, *values: Any) -> Any:
        owner = self.owner
        if owner is not None:
            if owner.dead:
                raise Death
            if sql == "COMMIT" or (sql.startswith(_WRITES) and not self.in_transaction):
                owner.step(sql[:24])
        return super().execute(sql, *values)


@contextmanager
def watched_stores(people: dict[str, Person]) -> Iterator[None]:
    """Every store opened in here belongs to the person whose folder it lies in."""
    real = store_module.sqlite.connect

    def connect(path: str, **more: Any) -> Any:
        made = real(path, factory=Connection, **more)
        owner = people.get(Path(path).parent.name)
        made.owner = owner
        if owner is not None:
            owner.connections.append(made)
        return made

    store_module.sqlite.connect = connect
    try:
        yield
    finally:
        store_module.sqlite.connect = real


@dataclass
class Person:
    """``name`` is the device's, ``login`` the account's. ``skew`` seconds its clock is wrong. ``said``: texts the SDK
    has taken, which may be waiting but never lost. ``gone``: why this device is used no more."""

    story: Story
    name: str
    login: str
    key: bytes
    way: Way
    skew: float = 0.0
    life: int = 0
    dead: bool = True
    gone: str = ""
    faults: tuple[str, ...] = ()
    die_in: int = 0
    client: Client | None = None
    said: list[str] = field(default_factory=list)
    connections: list[Any] = field(default_factory=list)
    _tasks: set[asyncio.Task[None]] = field(default_factory=set)

    @property
    def online(self) -> bool:
        """Whether it runs now."""
        return not self.dead and self.client is not None and bool(self.key)

    @property
    def leads(self) -> bool:
        """Whether this is an owner or admin, as far as the device knows."""
        if self.client is None:
            return False
        ctx = self.client.context
        states = [ctx.replica(sph).state for sph, _ in ctx.store.rows("sphere")]
        own = [state.members.get(ctx.id) for state in states if state is not None]
        return any(one is not None and one.active and one.role in ("owner", "admin") for one in own)

    def clock(self) -> float:
        return self.story.clock() + self.skew

    # what the way and the store tell ---------------------------------------------------------------------------
    def step(self, what: str) -> None:
        """Count a step; raises Death when this one is not survived."""
        if self.dead:
            raise Death
        self.story.step(self.name, what)
        if self.die_in:
            self.die_in -= 1
            if not self.die_in:
                self.story.note(self.name, f"dies before {what}")
                self.end()
                raise Death

    def heard(self, method: str, path: str, body: bytes | None, answer: Answer) -> None:
        """What the relay has acknowledged must never be lost."""
        if method != "POST" or answer.status != 200 or body is None:
            return
        if path.endswith("/messages"):
            self.story.acknowledged(json.loads(body)["jws"], json.loads(answer.body)["pos"])
        elif path.endswith("/commits") and json.loads(body).get("msg"):
            self.story.acknowledged(json.loads(body)["msg"], json.loads(answer.body)["msg_pos"])

    def arrives(self, what: str) -> None:
        """Something this device sent has reached the relay; it may be dead by now."""
        self.story.step(f"{self.name}->", what)

    def sends(self, path: str, body: bytes | None) -> None:
        """Every message that leaves this device, taken or not."""
        if body is not None and path.endswith(("/messages", "/commits")):
            request = json.loads(body)
            compact = request.get("jws") or request.get("msg")
            if compact:
                self.story.sealed(compact)

    # life ------------------------------------------------------------------------------------------------------
    async def start(self, *, live: bool = True) -> None:
        """Start the program on what is on disk."""
        if not self.key:
            self.gone = self.gone or "never was"
        if self.gone or not self.dead:
            return
        self.dead, self.die_in = False, 0
        self.life += 1
        rng = random.Random(f"{self.story.seed}/{self.name}/{self.life}")
        self.story.note(self.name, f"starts, life {self.life}")
        try:
            folder = self.story.folder / self.name
            self.client = await Client.open(folder, transport=self.way, clock=self.clock, rng=rng.randbytes)
            await self.client.unlock_with_key(self.key)
        except Death:
            return
        if live:
            self.run(self._live())

    async def _live(self) -> None:
        assert self.client is not None
        try:
            await live_module.run(self.client.context)
        except CloisterError as error:
            if error.code == "L_UNREACHABLE":
                raise
            self.gone = error.code
            self.story.note(self.name, f"is taken no more: {error.code}")
            self.end()

    def end(self) -> None:
        """Die now: from here on nothing reaches disk or network."""
        if self.dead:
            return
        self.dead = True
        self.way.cut()
        for task in self._tasks:
            task.cancel()

    async def bury(self) -> None:
        """Wait until everything the dead program was doing has ended, and let go of its files."""
        self.end()
        while self._tasks:
            await asyncio.wait(set(self._tasks))
        for one in self.connections:
            one.owner = None
            one.close()
        self.connections.clear()
        self.client = None

    def run(self, what: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        """Something this program does; what goes wrong that should not ends the story."""

        async def watched() -> None:
            try:
                await what
            except (Death, asyncio.CancelledError):
                if not self.dead:
                    raise
            except Exception as error:
                if not self.dead:
                    self.story.fail(f"{self.name}: {type(error).__name__}: {error}", error)

        task = asyncio.get_running_loop().create_task(watched())
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        task.add_done_callback(lambda _: what.close())  # it may have ended before it began
        return task

    def do(self, label: str, act: Act) -> asyncio.Task[None]:
        """Let the person do something; refusals in the words of the taxonomy are answers."""

        async def acting() -> None:
            assert self.client is not None
            try:
                said = await act(self.client)
            except CloisterError as error:
                self.story.note(self.name, f"{label}: {error.code}")
                return
            shown = ""
            if isinstance(said, Message | OutboxItem):
                shown = f" {said.state}"
            self.story.note(self.name, f"{label}: done{shown}")

        return self.run(acting())
