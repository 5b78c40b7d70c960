"""Whatever calls for a new key: the next to speak makes it first, and whoever is gone reads nothing from then on."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from contextlib import suppress

import pytest

from cloister.client import Client
from cloister.errors import AuthFailed, DeviceRevoked
from cloister.sphere import compose
from tests.scenarios.world import PASSWORD, World, harbour, sent, texts

Cause = Callable[[World, dict[str, Client]], Awaitable[None]]


async def _leave(_: World, people: dict[str, Client]) -> None:
    await harbour(people["cy"]).leave()


async def _remove(_: World, people: dict[str, Client]) -> None:
    await harbour(people["ada"]).remove("cy")


async def _ban(_: World, people: dict[str, Client]) -> None:
    await harbour(people["ada"]).remove("cy", ban=True)


async def _device(w: World, people: dict[str, Client]) -> None:
    phone = await w.second_device("cy", "cy-phone")
    await phone.revoke_device(people["cy"].account.dv, PASSWORD.format("cy"))


async def _period(w: World, _: dict[str, Client]) -> None:
    w.clock.forward(7 * 86400 + 1)


async def _asked(_: World, people: dict[str, Client]) -> None:
    await harbour(people["ada"]).rotate()


async def _marked(_: World, people: dict[str, Client]) -> None:
    await harbour(people["ada"])._commit(lambda _: [compose.Mark()])


GONE: list[Cause] = [_leave, _remove, _ban, _device]
STILL: list[Cause] = [_period, _asked, _marked]


@pytest.mark.parametrize("cause", [*GONE, *STILL], ids=lambda one: one.__name__.strip("_"))
async def test_the_next_word_is_under_a_new_key(w: World, cause: Cause) -> None:
    """EPO-007, CLT-016: Bo, who may do nothing but speak, speaks under key 2, and nobody under key 1 again."""
    people = await w.sphere_of("ada", "bo", "cy")
    sent(await harbour(people["bo"]).send("Under key 1"))
    await people["cy"].sync()
    await cause(w, people)
    said = sent(await harbour(people["bo"]).send("After it"))
    assert said.epoch == 2
    assert not harbour(people["bo"]).info.marked
    for name in ("ada", "bo"):
        await people[name].sync()
        assert texts(people[name]) == ["Under key 1", "After it"]
    with suppress(*([DeviceRevoked, AuthFailed] if cause is _device else [])):
        await people["cy"].sync()
    assert texts(people["cy"]) == (["Under key 1"] if cause in GONE else ["Under key 1", "After it"])
    # One key, one epoch: nothing half done stays behind.
    ada = harbour(people["ada"])
    assert [n for n, _ in ada.keys()] == [1, 2]  # noqa: SIM118 - not a dict
    sent(await ada.send("And on"))
    assert ada.info.epoch == 2
