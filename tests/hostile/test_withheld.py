"""Keys stay here while it is not known to whom they would go: in a stopped sphere, and while an entry is kept back."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from cloister.client import claims, inbox, keys, live, live_transfer, stops
from cloister.client.events import KeyAsked
from cloister.errors import LogFork, StaleHead
from cloister.protocol import entry, p2p
from tests.hostile.colluding import plant, sent_by
from tests.hostile.insider import Insider
from tests.hostile.test_history import _everybody, _late
from tests.hostile.world import ADDRESSES, HostileWorld
from tests.scenarios.test_live import watching
from tests.scenarios.test_live_transfer import is_, live_sphere
from tests.scenarios.world import World, harbour, sent, waits, world


@pytest.fixture
async def w(tmp_path: Path) -> AsyncIterator[World]:
    async with world(tmp_path) as made:
        yield made


def _shares(hw: HostileWorld, person: str, since: int) -> list[int]:
    """Epochs of which one person's machine has posted shares since then."""
    posts = [
        one for one in sent_by(hw.liar, ADDRESSES[person], since) if (one.method, one.path) == ("POST", "/v1/inbox")
    ]
    letters = [p2p.decode(json.loads(one.body)["jws"]) for one in posts]
    return sorted(one.body["n"] for one in letters if one.k == "share")


async def test_no_key_leaves_a_stopped_sphere(hw: HostileWorld) -> None:
    """CLT-021: neither unasked nor after a yes, until the stop is lifted; the own devices are served."""
    people, cy = await _late(hw, "since-join")
    ada, insider = harbour(people["ada"]), Insider(cy)
    wanted = harbour(cy).older_keys()
    await harbour(cy).ask_older()
    await _everybody(people, cy)
    stops.note(people["ada"].context, ada.sph, LogFork("two histories"), {})
    since = len(hw.liar.calls)
    every = sorted(dict(ada.keys()))
    await inbox._letter(people["ada"].context, keys.letter(insider.ctx, ada.sph, "ask", ns=every))
    with pytest.raises(LogFork):
        await ada.share_older("cy", wanted)
    assert _shares(hw, "ada", since) == []
    assert [one.name for one in ada.wishes()] == ["cy"]
    await hw.second_device("ada", "ada-phone")
    await people["ada"].sync()
    assert _shares(hw, "ada", since) == every
    assert await harbour(people["bo"]).share_older("cy", wanted) == len(wanted)  # control: nothing is stopped there


async def test_no_key_leaves_while_an_entry_is_kept_back(hw: HostileWorld) -> None:
    """CLT-015: a narrower policy is in force, the relay shows its number and not the entry."""
    people = await hw.sphere_of("ada", "bo")
    ada, bo = harbour(people["ada"]), harbour(people["bo"])
    for word in ("one", "two"):
        sent(await ada.send(word))
        await ada.rotate()
    await people["bo"].sync()
    cy = await hw.join("cy", await ada.invite())
    (request,) = await ada.requests()
    await ada.admit(request)
    await people["bo"].sync()
    head = bo.info.seq
    await ada.set_policy(history="since-join")

    def hide(body: Any) -> Any:
        return {"entries": [e for e in body["entries"] if entry.decode(e).seq <= head], "head": body["head"]}

    def only_messages(body: Any) -> Any:
        return {**body, "items": [one for one in body["items"] if one["k"] == "msg"]}

    hw.liar.lie(r"GET /v1/spheres/.*/log", hide, address=ADDRESSES["bo"])
    hw.liar.lie(r"GET /v1/spheres/.*/items", only_messages, address=ADDRESSES["bo"])
    await people["bo"].sync()
    assert claims.gap(people["bo"].context, bo._rep)
    waits(await bo.send("Nothing is said here now"))
    since = len(hw.liar.calls)
    asks = [keys.letter(cy.context, ada.sph, "ask", ns=[1, 2]) for _ in range(2)]
    await plant(hw, people["bo"].account.dv, ada.sph, asks[0])
    await people["bo"].sync()
    assert _shares(hw, "bo", since) == []
    with pytest.raises(StaleHead):
        keys.require_shown(people["bo"].context, bo._rep, cy.account.id)
    hw.liar.honest()
    await people["bo"].sync()
    await plant(hw, people["bo"].account.dv, ada.sph, asks[1])
    await people["bo"].sync()
    assert bo.policy.history == "since-join"
    assert _shares(hw, "bo", since) == []


async def test_control_the_same_question_is_answered_otherwise(hw: HostileWorld) -> None:
    """CLT-017: with nothing stopped and nothing kept back the key goes at once."""
    people, cy = await _late(hw, "all")
    since = len(hw.liar.calls)
    ask = keys.letter(cy.context, harbour(cy).sph, "ask", ns=[1, 2])
    await plant(hw, people["bo"].account.dv, harbour(cy).sph, ask)
    await people["bo"].sync()
    assert _shares(hw, "bo", since) == [1, 2]


async def test_no_key_is_given_live_in_a_stopped_sphere(w: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """CLT-021, LIVE-012: the stop comes between the digits and the yes."""
    for module, name, value in ((live, "FIRST_PAUSE", 0.01), (live_transfer, "CHOICE", 0.0)):
        monkeypatch.setattr(module, name, value)
    ada, bo = await live_sphere(w)
    async with watching(ada) as (hers,), watching(bo):
        asked = await hers.until(is_(KeyAsked))
        assert isinstance(asked, KeyAsked)
        stops.note(ada.context, harbour(ada).sph, LogFork("two histories"), {})
        with pytest.raises(LogFork):
            await harbour(ada).handover().give(asked.name)
        assert harbour(bo).keys() == [(1, False)]
