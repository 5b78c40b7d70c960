"""Retention: messages and the keys that open them go from the relay and from every device."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from cloister.account import password, slot_names
from cloister.client import Client, keys
from cloister.server import upkeep
from cloister.sphere import share
from cloister.sphere.share import Party
from tests.hostile.world import HostileWorld, hostile_world
from tests.scenarios.world import harbour, sent, texts

DAY = 86400


@pytest.fixture
async def hw(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[HostileWorld]:
    monkeypatch.setattr(password, "MEMORY_KIB", 64)
    async with hostile_world(tmp_path) as made:
        yield made


async def _days(hw: HostileWorld, count: float) -> None:
    hw.clock.forward(count * DAY)
    await upkeep.once(hw.app.relay)


async def _all(hw: HostileWorld) -> None:
    for client in hw.clients.values():
        await client.sync()


def _held(client: Client) -> list[int]:
    held = harbour(client).keys()
    return [n for n, here in held if here]


async def test_dead_epochs_leave_no_key_anywhere(hw: HostileWorld) -> None:
    """CLT-039, STR-019, STR-020: texts, keys, slots, link blobs and waiting shares of two epochs are gone; what is
    younger stays, for members of the day, for a new one and for a further device."""
    people = await hw.sphere_of("ada", "bo", policy={"retention": 3})
    ada, bo = people["ada"], people["bo"]
    sphere = harbour(ada)
    sent(await sphere.send("first"))
    await bo.sync()
    await sphere.rotate()
    sent(await sphere.send("second"))
    await _all(hw)
    kept = ada.context.replica(sphere.sph).keys[1]
    await _days(hw, 2)
    await sphere.rotate()
    sent(await sphere.send("third"))
    await _all(hw)
    assert texts(bo) == ["first", "second", "third"]
    await _days(hw, 2)
    await _all(hw)
    for client in (ada, bo):
        assert texts(client) == ["third"]
        assert _held(client) == [2, 3]
    await sphere.rotate()
    sent(await sphere.send("fourth"))
    await _days(hw, 1.5)
    await _all(hw)
    for client in (ada, bo):
        assert _held(client) == [3, 4]
        rows = client.context.store.all("SELECT body, jws FROM message WHERE state = 'hidden'")
        assert rows and all(row == ("{}", "") for row in rows)
        names = {slot.name for slot in await client.relay.slots()}
        assert names >= {slot_names.epoch(sphere.sph, 3), slot_names.epoch(sphere.sph, 4)}
        assert not names & {slot_names.epoch(sphere.sph, n) for n in (1, 2)}
    assert [link.n for link in await ada.relay.links(sphere.sph, 4)] == [4]
    # A share of a dead epoch, from somebody who kept its key, is not taken.
    ctx, state = ada.context, ada.context.replica(sphere.sph).known[0]
    device = state.devices[bo.account.dv]
    epoch = ada.context.replica(sphere.sph).known[1].epoch(1)
    made = share.seal(kept, epoch, Party(ctx.id, ctx.dv), ctx.sign, device, iat=ctx.now(), rng=ctx.rng)
    await ctx.relay.post([device.dv], made)
    await bo.sync()
    assert _held(bo) == [3, 4]
    cy = await hw.join("cy", await sphere.invite())
    (request,) = await sphere.requests()
    await sphere.admit(request)
    await cy.sync()
    await cy.sync()
    phone = await hw.second_device("ada", "ada-phone")
    await phone.sync()
    for client in (cy, phone):
        assert _held(client) == [3, 4]
        assert texts(client) == ["fourth"]
        assert keys.missing(client.context, client.context.replica(sphere.sph)) == []


async def test_repetitions_of_what_expired_stay_silent(hw: HostileWorld) -> None:
    """CLT-039: the place of an emptied message is kept; the relay's copy, shown again, is no new message."""
    people = await hw.sphere_of("ada", "bo", policy={"retention": 1})
    said = sent(await harbour(people["ada"]).send("gone tomorrow"))
    raw = (await harbour(people["ada"]).seen(said.mid)).stored
    await people["bo"].sync()
    await _days(hw, 2)
    hw.liar.lie(
        r"GET /v1/spheres/.*/items",
        lambda body: {"items": [{"pos": body["head"] + 1, "k": "msg", "jws": raw}], "head": body["head"] + 1},
    )
    await people["bo"].sync()
    assert harbour(people["bo"]).messages() == []
