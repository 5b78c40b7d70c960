"""T-M4 and T-N3: many members make a new key at once; somebody returns after a month of new keys."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from cloister.client import Client
from cloister.client import commits as client_commits
from cloister.sphere import compose
from tests.hostile.insider import Insider
from tests.hostile.world import HostileWorld
from tests.scenarios.world import harbour, sent, texts

CROWDS = [2, 50]
MISSED = 200


async def _crowd(hw: HostileWorld, names: list[str]) -> dict[str, Client]:
    """All of them in one sphere, by one invitation that its maker's device answers unasked."""
    first = (await hw.sphere_of(names[0]))[names[0]]
    link = await harbour(first).invite(uses=len(names), admit="auto")
    for name in names[1:]:
        await hw.join(name, link)
    await first.sync()
    for _ in range(2):
        await asyncio.gather(*(client.sync() for client in hw.clients.values()))
    assert harbour(first).info.members == len(names)
    return {name: hw.clients[name] for name in names}


@pytest.mark.parametrize("count", CROWDS)
async def test_all_rotate_and_speak_at_once(hw: HostileWorld, count: int) -> None:
    """CLT-013, STR-004: one epoch per position, one key for all, every message readable, nobody waits for ever."""
    names = [f"p{n}" for n in range(count)]
    people = await _crowd(hw, names)
    sph = harbour(people["p0"]).sph
    before = harbour(people["p0"]).info.epoch
    await harbour(people["p0"])._commit(lambda _: [compose.Mark()])
    await asyncio.gather(*(client.sync() for client in people.values()))

    async def speak(name: str) -> None:
        await harbour(people[name]).send(f"from {name}")

    await asyncio.gather(*(speak(name) for name in names))
    for _ in range(6):
        await asyncio.gather(*(client.sync() for client in people.values()))
        if all(len(texts(client)) == count and not client.outbox() for client in people.values()):
            break
    log = await Insider(people["p0"]).ctx.relay.log(sph, 0)
    epochs = _epochs(people["p0"])
    assert len(epochs) == len({n for n, _ in epochs})
    assert harbour(people["p0"]).info.epoch > before
    keys = {Insider(client).key().secret for client in people.values()}
    assert len(keys) == 1
    expected = {f"from {name}" for name in names}
    for client in people.values():
        assert client.outbox() == []
        assert set(texts(client)) == expected
        assert len(texts(client)) == count
    assert len({harbour(client).head_code() for client in people.values()}) == 1
    assert log.head.seq == harbour(people["p0"]).info.seq


def _epochs(client: Any) -> list[tuple[int, int]]:
    _, history = Insider(client).view
    return [(one.n, one.seq) for one in history.epochs()]


async def test_control_a_loser_that_keeps_its_key_splits_the_sphere(
    hw: HostileWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A relay without compare-and-swap would take both; here the loser believes it won and holds a key of its own."""
    people = await hw.sphere_of("ada", "bo")
    bo = Insider(people["bo"])
    lost = bo.draft(compose.Rotate())
    await harbour(people["ada"]).rotate("first")
    made = client_commits.pledge(bo.ctx, lost)
    with bo.ctx.store.step() as events:
        client_commits._apply(bo.ctx, bo.rep, made, events)
    assert lost.key is not None
    assert bo.key(2).secret != Insider(people["ada"]).key(2).secret


async def test_a_month_away_and_two_hundred_keys(hw: HostileWorld) -> None:
    """T-N3, CLT-017: shares wait in the inbox; after one round every permitted message is readable."""
    people = await hw.sphere_of("ada", "bo")
    ada = harbour(people["ada"])
    said = []
    for n in range(MISSED):
        hw.clock.forward(30 * 86400 / MISSED)
        if n % 20 == 0:
            said.append(sent(await ada.send(f"day {n}")).text)
        await ada.rotate()
    said.append(sent(await ada.send("welcome back")).text)
    await people["bo"].sync()
    await people["bo"].sync()
    keys = dict(harbour(people["bo"]).keys())
    assert len(keys) > MISSED
    assert all(keys.values())
    assert texts(people["bo"]) == said


async def test_control_an_inbox_that_forgets_leaves_gaps(hw: HostileWorld) -> None:
    """Were the inbox emptied and no other way open, the returning member could not read."""
    people = await hw.sphere_of("ada", "bo")
    ada = harbour(people["ada"])
    await ada.rotate("one")
    sent(await ada.send("missed"))
    hw.liar.lie(r"GET /v1/inbox", lambda body: {"items": [], "head": body["head"]}, address="127.0.1.2")
    hw.liar.lie(r"GET /v1/spheres/.*/links", lambda body: {"links": []}, address="127.0.1.2")
    hw.liar.lie(r"GET /v1/slots", lambda body: {"slots": [], "more": False}, address="127.0.1.2")
    await people["bo"].sync()
    assert texts(people["bo"]) == []
