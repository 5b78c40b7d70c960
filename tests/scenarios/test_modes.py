"""Encryption off and on, and what nobody publishes by that."""

from __future__ import annotations

import json

import pytest

from cloister.client import Sphere, memory, modes, questions
from cloister.client.events import ItemHeld, ModeChanged
from cloister.errors import Forbidden
from cloister.protocol.encoding import b64d
from tests.hostile.insider import Insider
from tests.scenarios.world import World, harbour, hear, sent, texts, waits


def _metas(sphere: Sphere) -> list[dict[str, object]]:
    return [one.body for one in sphere.log() if one.op == "meta"]


@pytest.mark.parametrize("weak", [False, True], ids=["", "control"])
async def test_a_switch_is_answered_once_for_all_devices(w: World, monkeypatch: pytest.MonkeyPatch, weak: bool) -> None:
    """CLT-042: whoever answered on one device, or made the switch there, is not asked on another; a later switch asks
    again. The control takes any answer, and sends openly what nobody was asked about."""
    people = await w.sphere_of("ada", "bo")
    ada, bo = harbour(people["ada"]), harbour(people["bo"])
    phone = await w.second_device("bo", "bo-phone")
    desk = await w.second_device("ada", "ada-desk")
    for client in (phone, desk):
        await client.sync()
    await ada.set_mode("open")
    for client in (*people.values(), desk, phone):
        await client.sync()
    assert harbour(desk).info.switched is None
    assert harbour(phone).info.switched is not None
    await bo.accept_mode("open")
    await people["bo"].sync()
    await phone.sync()
    assert harbour(phone).info.switched is None
    sent(await harbour(phone).send("Seen on the other one"))
    await ada.set_mode("e2ee")
    await ada.set_mode("open")
    if weak:
        monkeypatch.setattr(modes, "_answer", lambda rep: memory.setting(phone.context, f"mode.{rep.sph}"))
    await phone.sync()
    assert (harbour(phone).info.switched is None) is weak


async def test_off_and_on_again(w: World) -> None:
    """CLT-042, CLT-016: everybody is told by whom, asked once before an open text, and told of the end."""
    people = await w.sphere_of("ada", "bo", "cy")
    ada, bo = harbour(people["ada"]), harbour(people["bo"])
    sent(await ada.send("Sealed"))
    heard = {name: hear(client) for name, client in people.items()}
    with pytest.raises(Forbidden):
        await bo.set_mode("open")
    off = int(w.clock.at)
    await ada.set_mode("open")
    for client in people.values():
        await client.sync()
    for name, events in heard.items():
        assert [e for e in events if isinstance(e, ModeChanged)] == [ModeChanged(ada.sph, "open", "ada", off, 0)], name
    # Whoever made the switch knows. Everybody else is asked once, each for himself.
    assert ada.info.switched is None
    sent(await ada.send("Open from ada"))
    assert bo.info.switched is not None
    assert (bo.info.switched.by, bo.info.switched.at) == ("ada", off)
    item = waits(await bo.send("Open from bo"))
    assert (item.state, item.question) == ("held", "open")
    assert [e.item.id for e in heard["bo"] if isinstance(e, ItemHeld)] == [item.id]
    bo = harbour(await w.reopen("bo"))
    assert bo.info.switched is not None
    assert texts(people["cy"]) == ["Sealed"]
    await bo.accept_mode("open")
    assert bo.info.switched is None
    sent_now = await bo.send("Seen, and open")
    assert waits(sent_now).state == "waiting"  # behind the text that keeps its question
    await w.clients["bo"].retry(item.id, anyway="open")
    assert w.clients["bo"].outbox() == []
    w.clock.forward(5 * 86400)
    await ada.set_mode("e2ee")
    for client in w.clients.values():
        await client.sync()
    back = [e for e in heard["cy"] if isinstance(e, ModeChanged)][-1]
    assert (back.mode, back.by, back.since) == ("e2ee", "ada", off)
    assert back.at >= off + 5 * 86400
    assert ada.info.epoch == harbour(people["cy"]).info.epoch == 2
    sent(await harbour(people["cy"]).send("Sealed again"))
    for client in w.clients.values():
        await client.sync()
        assert [(m.text, m.open) for m in harbour(client).messages()] == [
            ("Sealed", False), ("Open from ada", True), ("Open from bo", True), ("Seen, and open", True),
            ("Sealed again", False),
        ]  # fmt: skip


async def test_nothing_sealed_is_published(w: World) -> None:
    """META-005, CLT-042: no entry and no message of the open time holds the title, an old text or a key."""
    people = await w.sphere_of("ada", "bo")
    ada = harbour(people["ada"])
    said = sent(await ada.send("Sealed for ever"))
    before = await ada.seen(said)
    await ada.set_mode("public")
    await people["bo"].sync()
    assert [sorted(body) for body in _metas(harbour(people["bo"]))] == [["cm", "ct", "mh", "n", "n16"]] * len(
        _metas(harbour(people["bo"]))
    )
    assert harbour(people["bo"]).info.title == "Harbour plan"  # who could read it still can
    assert await ada.seen(said) == before
    # A clear title is an owner's own decision, and sealed again with the next key.
    await ada.set_mode("open", title="Open harbour")
    assert _metas(ada)[-1] == {"title": "Open harbour", "topic": "", "icon": ""}
    await people["bo"].sync()
    assert people["bo"].sphere("open harbour").info.title == "Open harbour"
    await people["ada"].sphere("open harbour").set_mode("e2ee")
    await people["bo"].sync()
    last = people["bo"].sphere("open harbour").log()[-1]
    assert (last.op, sorted(last.body)) == ("meta", ["cm", "ct", "mh", "n", "n16"])
    assert people["bo"].sphere("open harbour").info.title == "Open harbour"


async def test_who_comes_into_an_open_sphere_is_asked_nothing(w: World) -> None:
    """CLT-042: a newcomer has seen no stronger mode; who was in before and comes back has."""
    people = await w.sphere_of("ada", "bo")
    ada = harbour(people["ada"])
    await ada.remove("bo")
    await people["bo"].sync()
    await ada.set_mode("open")
    cy = await w.join("cy", await ada.invite())
    await people["bo"].join((await ada.invite()).url)
    for request in await ada.requests():
        await ada.admit(request)
    for client in (cy, people["bo"]):
        await client.sync()
    assert cy.sphere(ada.sph).info.switched is None
    sent(await cy.sphere(ada.sph).send("Hello"))
    assert harbour(people["bo"]).info.switched is not None
    assert waits(await harbour(people["bo"]).send("Here again")).question == "open"


async def test_words_of_a_removal_are_asked_about_as_well(w: World) -> None:
    """CLT-042, CLT-016: the text that goes with a removal does not go in clear unasked."""
    people = await w.sphere_of("ada", "bo", "cy")
    ada, bo = harbour(people["ada"]), harbour(people["bo"])
    await ada.set_role("bo", "admin")
    await ada.set_mode("open")
    await people["bo"].sync()
    await bo.remove("cy", text="cy told our plan to everybody")
    assert [(one.state, one.question) for one in people["bo"].outbox()] == [("held", "open")]
    await people["ada"].sync()
    assert ada.info.members == 2
    assert texts(people["ada"]) == []


async def test_what_may_not_go_in_clear_any_more_stays_here(w: World) -> None:
    """CLT-016, MSG-008: a text that may not go in clear any more is kept here, and not even the relay sees it."""
    people = await w.sphere_of("ada", "bo")
    ada = harbour(people["ada"])
    await ada.set_policy(plaintext=True)
    await people["bo"].sync()
    w.network("bo").up = False
    waits(await harbour(people["bo"]).send("Openly, while it may be", openly=True))
    await ada.set_policy(plaintext=False)
    w.network("bo").up = True
    since = len(w.network("bo").log)
    await people["bo"].sync()
    (item,) = people["bo"].outbox()
    assert (item.state, item.code) == ("failed", "E_FORBIDDEN")
    assert ("POST", f"/v1/spheres/{ada.sph}/messages") not in w.network("bo").log[since:]
    await people["ada"].sync()
    assert texts(people["ada"]) == []
    rows = Insider(people["ada"]).ctx.store.all("SELECT jws FROM message")
    assert all(json.loads(b64d(row[0].split(".")[0]))["enc"] == "A256GCM" for row in rows)


async def test_the_relay_takes_only_what_the_mode_allows(w: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """CHN-004, RUN-007: the same from a program that does not look: the relay takes it from nobody."""
    people = await w.sphere_of("ada", "bo")
    ada = harbour(people["ada"])
    await ada.set_policy(plaintext=True)
    await people["bo"].sync()
    w.network("bo").up = False
    waits(await harbour(people["bo"]).send("Openly, while it may be", openly=True))
    await ada.set_policy(plaintext=False)
    w.network("bo").up = True
    monkeypatch.setattr(questions, "allowed", lambda *_: True)
    await people["bo"].sync()
    assert [(one.state, one.code) for one in people["bo"].outbox()] == [("failed", "E_BAD_FORMAT")]
    await people["ada"].sync()
    assert texts(people["ada"]) == []


async def test_a_title_somebody_else_sets_is_read(w: World) -> None:
    """META-001, META-005: under a key that is here already, and in clear."""
    people = await w.sphere_of("ada", "bo")
    ada, bo = harbour(people["ada"]), harbour(people["bo"])
    await ada.set_meta(title="Harbour works", topic="The north quay")
    await people["bo"].sync()
    assert (bo.info.title, bo.info.topic) == ("Harbour works", "The north quay")
    await ada.set_mode("open", title="Harbour, open to all")
    await people["bo"].sync()
    assert bo.info.title == "Harbour, open to all"
