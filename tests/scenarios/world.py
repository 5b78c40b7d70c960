"""A small world for scenarios: one in-memory relay, a clock that moves when told, people with devices, bad networks.

Nothing here is a stand-in for what is tested: the relay is the real application, clients are real clients. Only the
password processing's memory cost is lowered, which no scenario is about.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

from cloister.client import Client, Sphere
from cloister.client.events import Event
from cloister.client.records import InviteLink, Message, OutboxItem
from cloister.client.transports.base import Answer, Socket
from cloister.client.transports.memory import App, MemoryRelay, MemoryTransport
from cloister.errors import Unreachable
from cloister.server.app import create_app
from cloister.server.settings import Settings

START = 1_800_000_000.0
PASSWORD = "a long enough {} passphrase 4711"


@dataclass
class Clock:
    """Unix seconds that only a test moves."""

    at: float = START

    def __call__(self) -> float:
        return self.at

    def forward(self, seconds: float) -> None:
        self.at += seconds


class Network(MemoryTransport):
    """A machine's way to the relay that can lose requests or answers, or stop between them."""

    def __init__(self, relay: MemoryRelay, address: str) -> None:
        super().__init__(relay, address)
        self.rules: list[tuple[str, str, str]] = []
        self.log: list[tuple[str, str]] = []
        self.before: Callable[[str, str], object] | None = None

    def lose(self, what: str, method: str, path: str) -> None:
        """Once: lose the ``request`` or the ``answer`` of the next call whose path contains ``path``."""
        self.rules.append((what, method, path))

    async def request(
        self,
        method: str,
        path: str,
        body: bytes | None = None,
        *,
        token: str | None = None,
        headers: dict[str, str] | None = None,
    ) -> Answer:
        self.log.append((method, path))
        rule = next((r for r in self.rules if r[1] == method and r[2] in path), None)
        if rule is not None:
            self.rules.remove(rule)
        if rule is not None and rule[0] == "request":
            raise Unreachable("lost on the way")
        answer = await super().request(method, path, body, token=token, headers=headers)
        if rule is not None:
            raise Unreachable("answer lost")
        return answer

    async def connect(self, path: str) -> Socket:
        return await super().connect(path)


@dataclass
class World:
    """See the module."""

    folder: Path
    clock: Clock
    relay: MemoryRelay
    setup_code: str
    clients: dict[str, Client] = field(default_factory=dict)
    networks: dict[str, Network] = field(default_factory=dict)

    def network(self, name: str) -> Network:
        return self.networks.setdefault(name, Network(self.relay, f"10.0.0.{len(self.networks) + 1}"))

    async def open(self, name: str) -> Client:
        """(Re)open the profile ``name``; a running client of it is left as it is (that is what a crash leaves)."""
        client = await Client.open(self.folder / name, transport=self.network(name), clock=self.clock)
        self.clients[name] = client
        return client

    async def reopen(self, name: str) -> Client:
        """Close and start again, then unlock."""
        if name in self.clients:
            await self.clients[name].close()
        client = await self.open(name)
        await client.unlock(PASSWORD.format(client.account.login))
        return client

    async def first(self, name: str) -> Client:
        """The first account, by the set-up code."""
        client = await self.open(name)
        await client.create_account(name, PASSWORD.format(name), self.setup_code, device_name=f"{name}-desk")
        return client

    async def join(self, name: str, link: InviteLink | str) -> Client:
        """A new account by an invitation link; the request is sent."""
        client = await self.open(name)
        url = link if isinstance(link, str) else link.url
        await client.create_account(name, PASSWORD.format(name), invite_link=url, device_name=f"{name}-desk")
        return client

    async def second_device(self, login: str, name: str) -> Client:
        """A further device of an account."""
        client = await self.open(name)
        await client.sign_in(login, PASSWORD.format(login), device_name=name)
        return client

    async def sphere_of(self, *names: str, **settings: object) -> dict[str, Client]:
        """``names`` in one encrypted sphere "Harbour plan"; the first one owns it."""
        ada = await self.first(names[0])
        sphere = await ada.create_sphere("Harbour plan", **settings)  # type: ignore[arg-type]
        for name in names[1:]:
            client = await self.join(name, await sphere.invite())
            (request,) = await sphere.requests()
            await sphere.admit(request)
            await client.sync()
        for name in names:
            await self.clients[name].sync()
        return {name: self.clients[name] for name in names}

    async def close(self) -> None:
        for client in self.clients.values():
            await client.close()


@asynccontextmanager
async def world(folder: Path, wrap: Callable[[App], App] = lambda app: app) -> AsyncIterator[World]:
    """A relay with an empty database, and nobody yet. ``wrap`` puts something between it and its clients."""
    clock = Clock()
    app = create_app(Settings(data=folder / "relay"), clock=clock)
    async with MemoryRelay(wrap(app)) as relay:
        made = World(folder, clock, relay, app.relay.setup_code or "")
        try:
            yield made
        finally:
            await made.close()


def harbour(client: Client) -> Sphere:
    """The scenario's sphere as ``client`` sees it."""
    return client.sphere("harbour")


def texts(client: Client) -> list[str]:
    """Readable texts, in order."""
    return [m.text for m in harbour(client).messages() if m.state == "sent"]


def sent(said: Message | OutboxItem) -> Message:
    """The message, which must have gone out."""
    assert isinstance(said, Message), said
    return said


def waits(said: Message | OutboxItem) -> OutboxItem:
    """The item, which must still wait."""
    assert isinstance(said, OutboxItem), said
    return said


class _Ear(asyncio.Queue[Event]):
    """Keeps what it hears in a list."""

    def __init__(self) -> None:
        super().__init__()
        self.heard: list[Event] = []

    def put_nowait(self, item: Event) -> None:
        self.heard.append(item)


def hear(client: Client) -> list[Event]:
    """Events of a client from now on."""
    ear = _Ear()
    client._listeners.append(ear)
    return ear.heard
