"""T-S11: a relay that is silent about marks, lies about the time, or calls for new keys without end."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from cloister.client import live, outbox
from cloister.client.events import Connected, NewKey
from cloister.sphere import compose
from tests.hostile.insider import Insider
from tests.hostile.world import HostileWorld
from tests.scenarios.test_live import watching
from tests.scenarios.world import harbour, sent, texts

WEEK, HOUR, MINUTE = 7 * 86400, 3600, 60


def _slow(hw: HostileWorld) -> None:
    """The relay's clock went right at first; now it stays back by nearly the hour that clients follow."""
    hw.app.relay.clock = lambda: hw.clock() - 3590


async def _a_week(hw: HostileWorld) -> list[int]:
    """Epochs that Bo speaks under, a minute before the week is over and a minute after."""
    people = await hw.sphere_of("ada", "bo")
    bo, found = harbour(people["bo"]), []
    _slow(hw)
    hw.clock.forward(WEEK - MINUTE)
    found.append(sent(await bo.send("a minute before")).epoch)
    hw.clock.forward(2 * MINUTE)
    await people["bo"].sync()
    found.append(sent(await bo.send("a minute after")).epoch)
    return found


async def test_a_key_gets_too_old_by_the_own_clock(hw: HostileWorld) -> None:
    """EPO-010: nobody has to call for it, and the relay's time cannot put it off."""
    assert await _a_week(hw) == [1, 2]


async def test_control_by_the_relays_time_alone_it_would_live_on(
    hw: HostileWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The own clock taken away: the relay decides when a key is old."""
    monkeypatch.setattr(outbox, "held_for", lambda *_: 0)
    assert await _a_week(hw) == [1, 1]


async def test_a_mark_the_connection_does_not_show(hw: HostileWorld, monkeypatch: pytest.MonkeyPatch) -> None:
    """CLT-033: the relay drops every frame about it; the next round sees it, and a new key is made unasked."""
    monkeypatch.setattr(live, "JITTER", 0.0)
    monkeypatch.setattr(live, "QUIET", 0.05)
    people = await hw.sphere_of("ada", "bo", "cy")

    def silent(frame: Any) -> Any:
        kept = [one for one in frame if one.get("t") not in ("item", "hint")]
        return kept or None

    hw.liar.lie_live(silent)
    async with watching(people["ada"]) as (ada,):
        await harbour(people["cy"]).leave()
        await ada.until(lambda e: isinstance(e, NewKey) and e.n == 2)
    assert not harbour(people["ada"]).info.marked


class _Pauses:
    """What the program wanted to wait for before each key; nobody waits here."""

    def __init__(self) -> None:
        self.wanted: list[float] = []
        self._real = asyncio.sleep

    async def sleep(self, seconds: float) -> None:
        if HOUR / 2 < seconds <= HOUR:
            self.wanted.append(seconds)
            seconds = 0
        await self._real(seconds)


async def _storm(hw: HostileWorld, monkeypatch: pytest.MonkeyPatch, gap: float) -> list[float]:
    """Bo marks as soon as a key is there, the relay calls for keys all the time and breaks the connection. ``gap`` in
    the place of the ten seconds, so that a slow machine changes nothing."""
    monkeypatch.setattr(live, "ROTATION_GAP", gap)
    pauses = _Pauses()
    monkeypatch.setattr(live, "JITTER", 0.0)
    monkeypatch.setattr(live, "FIRST_PAUSE", 0.01)
    monkeypatch.setattr(live.asyncio, "sleep", pauses.sleep)
    people = await hw.sphere_of("ada", "bo")
    bo, sph = people["bo"], harbour(people["bo"]).sph
    hints = [{"t": "hint", "k": "rotate", "s": sph}] * 50
    hw.liar.lie_live(lambda frame: [*frame, *hints])
    async with watching(people["ada"]) as (ada,):
        for n in range(2, 6):
            await bo.sync()
            await harbour(bo)._commit(lambda _: [compose.Mark()])
            await ada.until(lambda e, n=n: isinstance(e, NewKey) and e.n == n)  # type: ignore[misc]
            if n == 3:
                stood = sum(isinstance(e, Connected) for e in ada.heard)
                for listener in hw.app.relay.hub.everyone():
                    listener.end()
                await ada.until(lambda _, stood=stood: sum(isinstance(e, Connected) for e in ada.heard) > stood)  # type: ignore[misc]
    assert harbour(people["ada"]).info.epoch == 5
    assert len(Insider(people["ada"]).view[1].epochs()) == 5
    sent(await harbour(people["ada"]).send("Still one key at a time"))
    await bo.sync()
    assert texts(bo) == ["Still one key at a time"]
    return pauses.wanted


async def test_a_storm_of_marks_makes_one_key_in_ten_seconds(hw: HostileWorld, monkeypatch: pytest.MonkeyPatch) -> None:
    """CLT-033: after the first key every other one waits until ten seconds are over, across connections."""
    assert live.ROTATION_GAP == 10
    assert len(await _storm(hw, monkeypatch, HOUR)) == 3


async def test_control_without_the_gap_every_mark_makes_a_key_at_once(
    hw: HostileWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The ten seconds taken away: as many keys as somebody likes."""
    assert await _storm(hw, monkeypatch, 0) == []
