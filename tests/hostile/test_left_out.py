"""A relay that leaves positions out of what it shows, turns them round, or shows the same page for ever.

A client asks again a bounded number of times, reads on behind what was left out, and says so. Control: one that asks
for what is missing until it comes asks for ever, and reads nothing else.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from cloister.client import Client, stream
from tests.hostile.world import ADDRESSES, HostileWorld
from tests.scenarios.world import harbour, sent, texts

ITEMS = r"GET /v1/spheres/.*/items"
SAID = ["one", "two", "three", "four"]
# Answers after which a client counts as one that asks for ever.
FOR_EVER = 40


class AskedForEver(Exception):
    """The client did not stop."""


async def said(hw: HostileWorld) -> Client:
    """Ada says four things; bo, who has heard nothing yet, is returned."""
    people = await hw.sphere_of("ada", "bo")
    for text in SAID:
        sent(await harbour(people["ada"]).send(text))
    return people["bo"]


def bend(hw: HostileWorld, what: str, bent: Callable[[Any], Any]) -> list[int]:
    """Tell bo ``bent`` pages; the returned list grows with each answer."""
    asked: list[int] = []

    def lie(body: Any) -> Any:
        asked.append(1)
        if len(asked) > FOR_EVER:
            raise AskedForEver
        return bent(body)

    hw.liar.lie(what, lie, address=ADDRESSES["bo"])
    return asked


def without(body: Any, *places: int) -> Any:
    """The page without the rows at these places from its end."""
    gone = [body["items"][place]["pos"] for place in places if len(body["items"]) >= -place]
    return {**body, "items": [one for one in body["items"] if one["pos"] not in gone]}


async def about(client: Client) -> list[str]:
    """What the doctor says about the server's list."""
    return [one.text for one in await client.doctor() if "of its list" in one.text]


async def test_what_is_left_out_is_asked_for_twice_more_and_then_said(hw: HostileWorld) -> None:
    """CLT-033: bo reads what was shown, knows of the hole, and does not ask about it at every round."""
    bo = await said(hw)
    asked = bend(hw, ITEMS, lambda body: without(body, -3))
    report = await bo.sync()
    assert "C_GAP" in report.faults
    assert len(asked) == 1 + stream.AGAIN
    assert texts(bo) == ["one", "three", "four"]
    (told,) = await about(bo)
    assert "nothing at position" in told
    hw.liar.honest()
    asked = bend(hw, ITEMS, lambda body: body)
    assert "C_GAP" not in (await bo.sync()).faults
    assert len(asked) == 1
    assert len(await about(bo)) == 1


async def test_it_is_asked_for_again_because_it_may_come(hw: HostileWorld) -> None:
    """CLT-033: a relay that shows it the second time is not accused."""
    bo = await said(hw)
    shown: list[int] = []

    def once(body: Any) -> Any:
        shown.append(1)
        return without(body, -3) if len(shown) == 1 else body

    bend(hw, ITEMS, once)
    assert "C_GAP" not in (await bo.sync()).faults
    assert texts(bo) == SAID
    assert await about(bo) == []


@pytest.mark.parametrize("how", ["nothing", "the same page", "the head alone"])
@pytest.mark.parametrize("weak", [False, True], ids=["", "control"])
async def test_a_head_that_nothing_leads_up_to(
    hw: HostileWorld, monkeypatch: pytest.MonkeyPatch, weak: bool, how: str
) -> None:
    """CLT-033: a relay that names more than it shows, or shows what was read, holds nobody up."""
    bo = await said(hw)
    await bo.sync()
    pages = {
        "nothing": lambda body: {"items": [], "head": body["head"] + 7},
        "the same page": lambda body: {
            "items": [{"pos": 1, "k": "msg", "jws": "x.y.z"}], "head": body["head"] + 7,
        },
        "the head alone": lambda body: {**body, "head": body["head"] + 7},
    }  # fmt: skip
    asked = bend(hw, ITEMS, pages[how])
    if weak:
        monkeypatch.setattr(stream, "AGAIN", 10**9)
        with pytest.raises(AskedForEver):
            await bo.sync()
        return
    report = await bo.sync()
    assert "C_GAP" in report.faults
    assert len(asked) == 1 + stream.AGAIN
    (told,) = await about(bo)
    assert "does not show what leads up to it" in told
    hw.liar.honest()
    assert "C_GAP" not in (await bo.sync()).faults
    assert await about(bo) == []
    assert texts(bo) == SAID


async def test_a_page_turned_round_is_read_once(hw: HostileWorld) -> None:
    """CLT-033: the cursor stands behind the highest position, whatever the order; nothing is read again."""
    bo = await said(hw)
    asked = bend(hw, ITEMS, lambda body: {**body, "items": body["items"][::-1]})
    await bo.sync()
    assert sorted(texts(bo)) == sorted(SAID)
    assert len(asked) == 1


async def test_an_inbox_that_shows_the_same_letter_for_ever(hw: HostileWorld) -> None:
    """CLT-033: what does not go on from the cursor ends the reading of the inbox, and only that."""
    bo = await said(hw)
    asked = bend(hw, r"GET /v1/inbox", lambda body: {
        "items": [{"pos": 1, "k": "p2p", "sph": harbour(bo).sph, "jws": "x.y.z"}], "head": body["head"] + 9,
    })  # fmt: skip
    await bo.sync()
    assert len(asked) <= 3
    assert texts(bo) == SAID


async def test_slots_that_never_end(hw: HostileWorld) -> None:
    """CLT-033: a list of slots goes on by name or ends."""
    await said(hw)
    asked = bend(hw, r"GET /v1/slots\?", lambda body: {**body, "more": True})
    bo = hw.clients["bo"]
    bo.context.store.put("slots_due", True)
    await bo.sync()
    assert 0 < len(asked) <= 4
