"""T-M6: who came late asks for more than the history policy gives; who is out asks at all.

Programs hand on what the signed policy gives and nothing else, to devices their own log lists as active. More needs the
word of a person who may say so.
"""

from __future__ import annotations

import json

import pytest

from cloister.client import Client, keys
from cloister.client.events import KeysWished
from cloister.errors import NotMember, RelayError
from tests.hostile.colluding import plant
from tests.hostile.insider import Insider
from tests.hostile.world import HostileWorld
from tests.scenarios.world import PASSWORD, harbour, hear, sent, texts


def _lacking(client: Client) -> list[int]:
    return [n for n, here in dict(harbour(client).keys()).items() if not here]


def _shares(hw: HostileWorld, since: int, to: str) -> int:
    """Key shares put into inboxes of one device since then, commits not counted."""
    posts = [call for call in hw.liar.calls[since:] if call.method == "POST" and call.path == "/v1/inbox"]
    return sum(1 for call in posts if json.loads(call.body)["to"] == [to])


async def _late(hw: HostileWorld, history: str) -> tuple[dict[str, Client], Client]:
    """Ada (owner), Bo and Di talk under three keys; then Cy comes in."""
    people = await hw.sphere_of("ada", "bo", "di", policy={"history": history})
    ada = harbour(people["ada"])
    for word in ("one", "two"):
        sent(await ada.send(word))
        hw.clock.forward(2 * 86400)
        await ada.rotate()
    await ada.set_role("bo", "admin")
    cy = await hw.join("cy", await ada.invite())
    (request,) = await ada.requests()
    await ada.admit(request)
    await cy.sync()
    sent(await ada.send("three"))
    for client in (*people.values(), cy):
        await client.sync()
    return people, cy


async def _everybody(people: dict[str, Client], cy: Client) -> None:
    for client in (*people.values(), cy, *people.values(), cy):
        await client.sync()


@pytest.mark.parametrize("history", ["since-join", "none", "days:1"])
async def test_nothing_beyond_the_policy_is_handed_on_unasked(hw: HostileWorld, history: str) -> None:
    """SHR-006, CLT-017, CLT-041: the programs give what the policy gives; the rest is a wish that waits for a yes."""
    people, cy = await _late(hw, history)
    given = {"since-join": ["three"], "none": ["three"], "days:1": ["two", "three"]}[history]
    await _everybody(people, cy)
    assert texts(cy) == given
    heard = {name: hear(client) for name, client in people.items()}
    before, since = dict(harbour(cy).keys()), len(hw.liar.calls)
    beyond = set(_lacking(cy)) - keys.granted(Insider(cy).rep, cy.account.dv)
    assert beyond
    await harbour(cy).ask_keys(sorted(beyond))
    await _everybody(people, cy)
    assert _shares(hw, since, cy.account.dv) == 0
    assert dict(harbour(cy).keys()) == before
    assert {name for name, events in heard.items() if any(isinstance(e, KeysWished) for e in events)} == {"ada", "bo"}
    assert [one.name for one in harbour(people["ada"]).wishes()] == ["cy"]
    assert harbour(people["di"]).wishes() == []


async def test_more_is_handed_on_when_a_person_says_so(hw: HostileWorld) -> None:
    """CLT-041: asked of owners and admins, given by one of them, verified like any share; a no sends nothing."""
    people, cy = await _late(hw, "since-join")
    wanted = harbour(cy).older_keys()
    assert harbour(people["bo"]).older_keys() == []
    assert set(await harbour(cy).ask_older()) == {"ada", "bo"}
    await _everybody(people, cy)
    (wish,) = harbour(people["bo"]).wishes()
    assert (wish.name, list(wish.ns)) == ("cy", sorted(wanted))
    since = len(hw.liar.calls)
    await harbour(people["bo"]).decline_older("cy")
    assert harbour(people["bo"]).wishes() == []
    assert await harbour(people["bo"]).share_older("cy", wanted) == 0
    assert _shares(hw, since, cy.account.dv) == 0
    assert await harbour(people["ada"]).share_older("cy", wanted) == len(wanted)
    assert harbour(people["ada"]).wishes() == []
    await cy.sync()
    assert texts(cy) == ["one", "two", "three"]
    assert harbour(cy).older_keys() == []


async def test_a_yes_gives_what_was_shown(hw: HostileWorld) -> None:
    """CLT-041: who asks for more while a person reads gets what the person has read; the rest waits for another yes."""
    people, cy = await _late(hw, "since-join")
    ada, insider = harbour(people["ada"]), Insider(cy)

    async def ask(*ns: int) -> str:
        hw.clock.forward(1)
        letter = keys.letter(insider.ctx, insider.sph, "ask", ns=list(ns))
        await plant(hw, people["ada"].account.dv, insider.sph, letter)
        await people["ada"].sync()
        return letter

    first = await ask(2)
    (wish,) = ada.wishes()
    assert wish.ns == (2,)
    await ask(1, 2)
    since = len(hw.liar.calls)
    assert await ada.share_older("cy", wish.ns) == 1
    assert _shares(hw, since, cy.account.dv) == 1
    assert [one.ns for one in ada.wishes()] == [(1,)]
    await plant(hw, people["ada"].account.dv, insider.sph, first)  # an earlier letter changes nothing
    await people["ada"].sync()
    assert [one.ns for one in ada.wishes()] == [(1,)]


async def test_a_wish_that_was_answered_does_not_come_back(hw: HostileWorld) -> None:
    """CLT-041: the relay shows the letter again, and that is nothing; a new one is heard."""
    people, cy = await _late(hw, "since-join")
    ada, insider = harbour(people["ada"]), Insider(cy)
    letter = keys.letter(insider.ctx, insider.sph, "ask", ns=[1])
    for wished in (["cy"], []):
        await plant(hw, people["ada"].account.dv, insider.sph, letter)
        await people["ada"].sync()
        assert [one.name for one in ada.wishes()] == wished
        await ada.decline_older("cy")
    hw.clock.forward(1)
    again = keys.letter(insider.ctx, insider.sph, "ask", ns=[1])
    await plant(hw, people["ada"].account.dv, insider.sph, again)
    await people["ada"].sync()
    assert await ada.share_older("cy", [1]) == 1
    assert ada.wishes() == []


async def test_control_without_the_policy_everything_is_handed_on(
    hw: HostileWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    """SHR-006 taken away: who came late reads what was said before."""
    people, cy = await _late(hw, "since-join")
    monkeypatch.setattr(keys, "granted", lambda rep, _: set(range(1, rep.known[0].ep + 1)))
    await harbour(cy).ask_keys(_lacking(cy))
    await _everybody(people, cy)
    assert texts(cy) == ["one", "two", "three"]


async def _away(hw: HostileWorld) -> tuple[dict[str, Client], Client]:
    """Bo takes a device of his away, is removed, and comes back; meanwhile the others talked."""
    people = await hw.sphere_of("ada", "bo", policy={"history": "since-join"})
    ada = harbour(people["ada"])
    sent(await ada.send("with bo"))
    phone = await hw.second_device("bo", "bo-phone")
    await phone.revoke_device(people["bo"].account.dv, PASSWORD.format("bo"))
    await people["ada"].sync()
    await ada.remove("bo")
    for word in ("without him", "still without him"):
        sent(await ada.send(word))
        await ada.rotate()
    await phone.sync()
    await phone.join((await ada.invite()).url)
    (request,) = await ada.requests()
    await ada.admit(request)
    await phone.sync()
    sent(await ada.send("with bo again"))
    for client in (phone, people["ada"], phone):
        await client.sync()
    return people, phone


async def test_who_was_away_reads_nothing_of_that_time(hw: HostileWorld) -> None:
    """SHR-006: a device that was taken away before he went does not stand for the time he was gone."""
    people, phone = await _away(hw)
    await harbour(phone).ask_keys(_lacking(phone))
    for client in (people["ada"], phone, people["ada"], phone):
        await client.sync()
    assert texts(phone) == ["with bo", "with bo again"]


async def test_control_counting_from_the_first_device_ever_opens_that_time(
    hw: HostileWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Were the span of a member that of his oldest device, he would read what was said while he was out."""
    people, phone = await _away(hw)
    state, history = Insider(phone).view
    since = min(state.devices[dv].since for dv in state.members[phone.account.id].devices)
    monkeypatch.setattr(keys, "granted", lambda *_: {one.n for one in history.epochs() if one.seq > since})
    await harbour(phone).ask_keys(_lacking(phone))
    for client in (people["ada"], phone):
        await client.sync()
    assert "without him" in texts(phone)


async def test_who_is_out_gets_nothing(hw: HostileWorld) -> None:
    """LOG-027, CLT-017, CLT-041: the relay takes no question of somebody removed; planted, it is not answered."""
    people, cy = await _late(hw, "all")
    await cy.sync()
    insider, ada = Insider(cy), harbour(people["ada"])
    ask = keys.letter(insider.ctx, insider.sph, "ask", ns=[1, 2, 3])
    await ada.remove("cy")
    since = len(hw.liar.calls)
    with pytest.raises((NotMember, RelayError)):
        await insider.ctx.relay.post([people["ada"].account.dv], ask)
    await plant(hw, people["ada"].account.dv, insider.sph, ask)
    heard = hear(people["ada"])
    for client in people.values():
        await client.sync()
    assert _shares(hw, since, insider.dv) == 0
    assert [e for e in heard if isinstance(e, KeysWished)] == []
    assert ada.wishes() == []


async def test_only_who_may_says_yes(hw: HostileWorld) -> None:
    """CLT-041: a wish does not reach the word of a plain member, and a lowered one can give nothing any more."""
    people, cy = await _late(hw, "since-join")
    await harbour(cy).ask_older()
    await _everybody(people, cy)
    await harbour(people["ada"]).set_role("bo", "member")
    await people["bo"].sync()
    assert harbour(people["bo"]).wishes() == []
    assert await harbour(people["bo"]).share_older("cy", [1, 2]) == 0
    await cy.sync()
    assert texts(cy) == ["three"]
