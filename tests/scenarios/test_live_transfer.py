"""Keys handed from one connected device to another: asked, compared, given; and nothing of it at the relay."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest

from cloister.client import Client, live, live_transfer
from cloister.client.events import (
    Event,
    KeyAsked,
    KeyGiven,
    KeyOffered,
    KeyReceived,
    MessageReceived,
    TransferEnded,
)
from cloister.errors import NotFound, UsageError
from cloister.protocol.encoding import b64e
from cloister.sphere import live as transfer
from tests.scenarios.test_live import watching
from tests.scenarios.world import World, harbour, sent, texts


@pytest.fixture(autouse=True)
def _at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(live, "JITTER", 0.0)
    monkeypatch.setattr(live, "FIRST_PAUSE", 0.01)
    monkeypatch.setattr(live_transfer, "CHOICE", 0.0)


def is_(kind: type[Event], **members: Any) -> Callable[[Event], bool]:
    return lambda event: isinstance(event, kind) and all(getattr(event, k) == v for k, v in members.items())


async def live_sphere(w: World) -> tuple[Client, Client]:
    """Ada, who has two devices, and bo in a sphere whose keys are handed over live. Bo has none yet."""
    ada = await w.first("ada")
    await w.second_device("ada", "ada-phone")
    await ada.sync()
    sphere = await ada.create_sphere("Harbour plan", delivery="live")
    assert sphere.info.delivery == "live"
    sent(await sphere.send("Before bo came"))
    bo = await w.join("bo", await sphere.invite())
    (request,) = await sphere.requests()
    await sphere.admit(request)
    await bo.sync()
    assert harbour(bo).keys() == [(1, False)]
    return ada, bo


@asynccontextmanager
async def both(ada: Client, bo: Client):  # type: ignore[no-untyped-def]
    """Both connected; bo's device has asked by itself and the two see digits (LIVE-014)."""
    async with watching(ada) as (hers,), watching(bo) as (his,):
        asked = await hers.until(is_(KeyAsked))
        offered = await his.until(is_(KeyOffered))
        assert isinstance(asked, KeyAsked) and isinstance(offered, KeyOffered)
        yield hers, his, asked, offered


async def test_asked_compared_and_given(w: World) -> None:
    """LIVE-003 to LIVE-008, LIVE-012: six digits on both sides; after a yes bo reads what the policy lets him read."""
    ada, bo = await live_sphere(w)
    await harbour(ada).set_policy(history="all")
    async with both(ada, bo) as (hers, his, asked, offered):
        assert (asked.digits, asked.who, offered.who) == (offered.digits, "bo", "ada")
        assert [one.name for one in harbour(ada).handover().waiting()] == [asked.name]
        await harbour(ada).handover().give(asked.name)
        assert is_(KeyReceived, ns=(1,))(await his.until(is_(KeyReceived)))
        await hers.until(is_(KeyGiven, ns=asked.ns))
        assert harbour(bo).keys() == [(1, True)]
        assert harbour(ada).handover().waiting() == []
        sent(await harbour(bo).send("Now I can read"))
        await hers.until(lambda e: isinstance(e, MessageReceived) and e.message.text == "Now I can read")
    assert texts(bo) == ["Before bo came", "Now I can read"]
    with pytest.raises(UsageError):
        await harbour(bo).handover().ask()


async def test_a_device_that_may_gives_unasked(w: World) -> None:
    """LIVE-012: also the next key, after somebody was removed, comes without a tap."""
    ada, bo = await live_sphere(w)
    harbour(ada).handover().set_provides(True)
    async with watching(ada) as (hers,), watching(bo) as (his,):
        await his.until(is_(KeyReceived))
        assert not [one for one in hers.heard if isinstance(one, KeyAsked)]
        w.clock.forward(live_transfer.ASK_AGAIN)
        await harbour(ada).rotate()
        sent(await harbour(ada).send("Under the second key"))
        await his.until(is_(KeyReceived, ns=(2,)))
        assert harbour(bo).keys() == [(1, True), (2, True)]
        assert texts(bo)[-1] == "Under the second key"


@pytest.mark.parametrize("side", ["asker", "provider"])
async def test_different_digits_end_it_on_both_sides(w: World, side: str) -> None:
    """LIVE-009: nothing is given, and the provider's yes comes too late."""
    ada, bo = await live_sphere(w)
    async with both(ada, bo) as (hers, his, asked, offered):
        ending = harbour(bo if side == "asker" else ada).handover()
        await ending.end(offered.name, "different")
        await hers.until(is_(TransferEnded, why="different", own=False))
        await his.until(is_(TransferEnded, why="different", own=True))
        with pytest.raises(NotFound):
            await harbour(ada).handover().give(asked.name)
        assert harbour(bo).keys() == [(1, False)]


async def test_after_two_minutes_it_is_over(w: World) -> None:
    """LIVE-002, LIVE-011: the private half is gone, and what was asked has to be asked again."""
    ada, bo = await live_sphere(w)
    async with both(ada, bo) as (hers, his, asked, _):
        w.clock.forward(transfer.SECONDS + 1)
        assert harbour(ada).handover().waiting() == []
        live_transfer.drop_old(bo.context)
        assert bo.context.transfers.asked == {}
        with pytest.raises(NotFound):
            await harbour(ada).handover().give(asked.name)
        await hers.until(is_(TransferEnded, why="expired", own=False))
        await his.until(is_(TransferEnded, why="expired", own=True))
        await harbour(bo).handover().ask()
        again = await hers.until(lambda e: isinstance(e, KeyAsked) and e.name != asked.name)
        assert isinstance(again, KeyAsked)
        await harbour(ada).handover().give(again.name)
        await his.until(is_(KeyReceived))


async def test_nothing_of_it_is_at_the_relay(w: World) -> None:
    """LIVE-013, and in a live sphere no share, slot or link blob either: no key in any form."""
    ada, bo = await live_sphere(w)
    spoken: list[bytes] = []
    real = type(ada.context.relay).pass_on

    async def overheard(self: Any, to: list[str], jws: str) -> int:
        spoken.append(jws.split(".")[1].encode())
        return await real(self, to, jws)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(type(ada.context.relay), "pass_on", overheard)
        async with both(ada, bo) as (_, his, asked, _):
            await harbour(ada).handover().give(asked.name)
            await his.until(is_(KeyReceived))
    assert len(spoken) >= 5
    secret = ada.context.replica(harbour(ada).sph).keys[1].secret
    kept = [path.read_bytes() for path in (w.folder / "relay").rglob("*") if path.is_file()]
    assert any(harbour(ada).sph.encode() in one for one in kept)
    for found in kept:
        assert not [one for one in spoken if one in found]
        assert secret not in found and b64e(secret).encode() not in found
        assert b'"k":"share"' not in found
    assert await ada.context.relay.links(harbour(ada).sph, 1) == []
    assert not [one for one in await ada.context.relay.slots() if one.name.startswith("e.")]


async def test_custody_goes_with_it_and_wants_a_second_device(w: World) -> None:
    """CLT-035: a live sphere is of device custody, so one lost device must not be its end."""
    ada = await w.first("ada")
    with pytest.raises(UsageError):
        await ada.create_sphere("Harbour plan", delivery="live")
    await w.second_device("ada", "ada-phone")
    await ada.sync()
    sphere = await ada.create_sphere("Harbour plan", delivery="live")
    assert (sphere.info.delivery, sphere.info.custody) == ("live", "device")


async def test_a_second_own_device_gets_the_keys_from_the_first(w: World) -> None:
    """LIVE-014: the same flow among one's own devices."""
    ada = await w.first("ada")
    phone = await w.second_device("ada", "ada-phone")
    await ada.sync()
    async with watching(ada) as (hers,), watching(phone) as (its,):
        sphere = await ada.create_sphere("Harbour plan", delivery="live")  # the phone hears of it (STR-015)
        sent(await sphere.send("From the desk"))
        asked = await hers.until(is_(KeyAsked, who="ada"))
        assert isinstance(asked, KeyAsked)
        await harbour(ada).handover().give(asked.name)
        await its.until(is_(KeyReceived))
    assert texts(phone) == ["From the desk"]
