"""The live connection: what arrives while somebody is looking."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import pytest

from cloister.client import Client, live
from cloister.client.events import (
    Connected,
    Disconnected,
    Event,
    JoinRequested,
    KeysArrived,
    MemberAdded,
    MessageReceived,
    NewKey,
    Removed,
)
from cloister.errors import AuthFailed, Forbidden
from tests.scenarios.world import PASSWORD, World, harbour, sent, texts

# A watchdog, not a measure: everything here takes milliseconds.
PATIENCE = 30.0


class Watcher:
    """Follows a client's events in the background."""

    def __init__(self, client: Client) -> None:
        self.heard: list[Event] = []
        self._news = asyncio.Event()
        self.task = asyncio.create_task(self._follow(client))

    async def _follow(self, client: Client) -> None:
        async for event in client.events():
            self.heard.append(event)
            self._news.set()

    async def until(self, fits: Callable[[Event], bool]) -> Event:
        """The first event that fits, past or future."""
        async with asyncio.timeout(PATIENCE):
            while True:
                self._news.clear()
                for event in self.heard:
                    if fits(event):
                        return event
                if self.task.done():
                    self.task.result()
                await self._news.wait()

    async def stop(self) -> None:
        self.task.cancel()
        await asyncio.gather(self.task, return_exceptions=True)


@asynccontextmanager
async def watching(*clients: Client) -> AsyncIterator[list[Watcher]]:
    """Watchers that are connected."""
    watchers = [Watcher(client) for client in clients]
    try:
        for watcher in watchers:
            await watcher.until(lambda e: isinstance(e, Connected))
        yield watchers
    finally:
        for watcher in watchers:
            await watcher.stop()


def said(text: str) -> Callable[[Event], bool]:
    return lambda e: isinstance(e, MessageReceived) and e.message.text == text


@pytest.fixture(autouse=True)
def _at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(live, "JITTER", 0.0)
    monkeypatch.setattr(live, "FIRST_PAUSE", 0.01)


async def test_messages_arrive_while_watching(w: World) -> None:
    """CLT-033, CLT-009: both ways, and own other devices too."""
    people = await w.sphere_of("ada", "bo")
    async with watching(people["ada"], people["bo"]) as (ada, bo):
        sent(await harbour(people["ada"]).send("One"))
        await bo.until(said("One"))
        sent(await harbour(people["bo"]).send("Two"))
        await ada.until(said("Two"))
        for n in range(20):
            sent(await harbour(people["ada"]).send(f"n{n}"))
        await bo.until(said("n19"))
    assert texts(people["ada"]) == texts(people["bo"]) == ["One", "Two", *(f"n{n}" for n in range(20))]


async def test_it_comes_back_after_a_break_and_misses_nothing(w: World) -> None:
    """CLT-033: cursors are durable; what was said meanwhile is fetched."""
    people = await w.sphere_of("ada", "bo")
    async with watching(people["bo"]) as (bo,):
        sent(await harbour(people["ada"]).send("One"))
        await bo.until(said("One"))
        w.network("bo").up = False
        await w.relay.sever()
        await bo.until(lambda e: isinstance(e, Disconnected))
        sent(await harbour(people["ada"]).send("Two"))
        w.network("bo").up = True
        await bo.until(said("Two"))
        sent(await harbour(people["ada"]).send("Three"))
        await bo.until(said("Three"))
    assert texts(people["bo"]) == ["One", "Two", "Three"]
    assert len([e for e in bo.heard if isinstance(e, MessageReceived)]) == 3


async def test_joining_while_everybody_watches(w: World) -> None:
    """CLT-018, CLT-033: the approver hears of the request, the joiner gets in, the others see who came."""
    people = await w.sphere_of("ada", "bo")
    link = await harbour(people["ada"]).invite()
    cy = await w.join("cy", link)
    async with watching(people["ada"], people["bo"], cy) as (ada, bo, new):
        event = await ada.until(lambda e: isinstance(e, JoinRequested))
        assert isinstance(event, JoinRequested)
        await harbour(people["ada"]).admit(event.request)
        await bo.until(lambda e: isinstance(e, MemberAdded) and e.name == "cy")
        await new.until(lambda e: isinstance(e, MemberAdded) and e.name == "cy")
        sent(await harbour(people["ada"]).send("Welcome"))
        await new.until(said("Welcome"))


async def test_a_mark_is_answered_with_a_new_key(w: World) -> None:
    """CLT-033: somebody leaves; the owner who is online makes the new key before anybody speaks."""
    people = await w.sphere_of("ada", "bo", "cy")
    async with watching(people["ada"], people["bo"]) as (ada, bo):
        await harbour(people["cy"]).leave()
        await ada.until(lambda e: isinstance(e, NewKey) and e.n == 2)
        event = await bo.until(lambda e: isinstance(e, NewKey) and e.n == 2)
        assert isinstance(event, NewKey)
        assert event.why == "cy left"
    assert not harbour(people["ada"]).info.marked


async def test_removed_while_watching(w: World) -> None:
    """CLT-030: the removal comes as a signed entry, then the stream ends."""
    people = await w.sphere_of("ada", "bo", "cy")
    async with watching(people["cy"]) as (cy,):
        await harbour(people["ada"]).remove("cy")
        await cy.until(lambda e: isinstance(e, Removed))
    assert harbour(people["cy"]).info.status == "removed"


async def test_a_lost_key_is_asked_for_and_comes(w: World) -> None:
    """CLT-017: the key is taken away; others are asked; the rows become readable by themselves."""
    people = await w.sphere_of("ada", "bo")
    sent(await harbour(people["ada"]).send("Before"))
    await people["bo"].sync()
    await people["bo"].close()
    bo = await w.open("bo")
    await bo.unlock(PASSWORD.format("bo"))
    sph = bo.context.store.one("SELECT sph FROM sphere")
    assert sph is not None
    with bo.context.store.step():
        bo.context.store.run("DELETE FROM epoch_key")
        bo.context.store.run("UPDATE message SET state = 'unreadable', code = 'C_KEY_UNKNOWN', body = '{}'")
    bo.context.replicas.clear()

    real = bo.relay.slot

    async def none(name: str, token: str | None = None) -> object:
        if name.startswith("e."):
            raise Forbidden(name)
        return await real(name, token)

    bo.relay.slot = none  # type: ignore[method-assign, assignment]
    assert harbour(bo).messages()[0].state == "unreadable"
    findings = await bo.doctor("harbour")
    assert any(f.code == "C_KEY_UNKNOWN" for f in findings)
    async with watching(people["ada"], bo) as (_, reader):
        await reader.until(lambda e: isinstance(e, KeysArrived))
    assert texts(bo) == ["Before"]


async def test_a_device_taken_away_is_shut_out_at_once(w: World) -> None:
    """CLT-007: its connection ends, it gets no session, and it does not keep knocking."""
    people = await w.sphere_of("ada", "bo")
    phone = await w.second_device("ada", "ada-phone")
    await people["ada"].sync()
    async with watching(phone) as (watcher,):
        await people["ada"].revoke_device("ada-phone", PASSWORD.format("ada"))
        with pytest.raises(AuthFailed):
            await watcher.until(lambda e: False)
    assert [e.code for e in watcher.heard if isinstance(e, Disconnected)][-1] == "E_AUTH"
