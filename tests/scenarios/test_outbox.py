"""What waits, what is asked about, what goes by itself."""

from __future__ import annotations

import pytest

from cloister.client.events import ItemHeld, MessageSent
from cloister.errors import Forbidden, NotFound, UsageError
from tests.scenarios.world import World, harbour, hear, sent, texts, waits


async def test_texts_written_offline_survive_a_restart_and_keep_their_order(w: World) -> None:
    """CLT-010, CLT-016: offline reading, queueing, order; each goes out once."""
    people = await w.sphere_of("ada", "bo")
    sent(await harbour(people["bo"]).send("Before"))
    await people["ada"].sync()
    w.network("ada").up = False
    for n in range(3):
        waits(await harbour(people["ada"]).send(f"offline {n}"))
    report = await people["ada"].sync()
    assert (report.offline, report.waiting) == (True, 3)
    ada = await w.reopen("ada")
    assert texts(ada) == ["Before"]
    assert [(m.text, m.state) for m in harbour(ada).messages()][1:] == [(f"offline {n}", "waiting") for n in range(3)]
    assert harbour(ada).info.waiting == 3
    await ada.drop(ada.outbox()[1].id)
    w.network("ada").up = True
    report = await ada.sync()
    assert (report.sent, report.waiting) == (2, 0)
    await people["bo"].sync()
    assert texts(people["bo"]) == texts(ada) == ["Before", "offline 0", "offline 2"]


async def test_written_encrypted_is_not_sent_in_clear(w: World) -> None:
    """CLT-016: the mode is switched while a text waits; it is held, asked about, and goes only on a yes."""
    people = await w.sphere_of("ada", "bo")
    ada, bo = harbour(people["ada"]), harbour(people["bo"])
    w.network("bo").up = False
    item = waits(await bo.send("For us only"))
    await ada.set_mode("open")
    w.network("bo").up = True
    heard = hear(people["bo"])
    report = await people["bo"].sync()
    assert (report.sent, report.waiting) == (0, 1)
    (held,) = people["bo"].outbox()
    assert (held.id, held.state, held.question) == (item.id, "held", "open")
    assert any(isinstance(e, ItemHeld) for e in heard)
    await people["ada"].sync()
    assert texts(people["ada"]) == []
    with pytest.raises(UsageError):
        await people["bo"].retry(held.id)
    # A new text asks as well: the switch has not been seen by this person yet.
    waits(await bo.send("Also for us"))
    await people["bo"].drop(people["bo"].outbox()[1].id)
    await people["bo"].retry(held.id, anyway="open")
    assert people["bo"].outbox() == []
    await people["ada"].sync()
    (shown,) = ada.messages()
    assert (shown.text, shown.open) == ("For us only", True)
    sent(await bo.send("Open now"))
    stored = (await bo.seen()).stored
    assert stored.count(".") == 2


async def test_back_to_encrypted_makes_a_new_key(w: World) -> None:
    """CLT-016: a stronger mode asks nothing."""
    people = await w.sphere_of("ada", "bo")
    ada, bo = harbour(people["ada"]), harbour(people["bo"])
    await ada.set_mode("open")
    sent(await ada.send("Public notice"))
    await ada.set_mode("e2ee")
    assert ada.info.epoch == 2
    await people["bo"].sync()
    assert [(m.text, m.open) for m in bo.messages()] == [("Public notice", True)]
    assert (bo.info.mode, bo.info.have_key, bo.info.title) == ("e2ee", True, "Harbour plan")
    sent(await bo.send("Secret again"))
    await people["ada"].sync()
    assert not ada.messages()[-1].open


async def test_everybody_was_confirmed_when_it_was_written(w: World) -> None:
    """CLT-016: somebody unknown has joined meanwhile; with unconfirmed people from the start nothing is asked."""
    people = await w.sphere_of("ada", "bo")
    ada = harbour(people["ada"])
    await ada.confirm("bo")
    w.network("ada").up = False
    waits(await ada.send("Just you and me"))
    w.network("ada").up = True
    await ada.set_role("bo", "admin")
    await people["bo"].sync()
    cy = await w.join("cy", await harbour(people["bo"]).invite())
    (request,) = await harbour(people["bo"]).requests()
    await harbour(people["bo"]).admit(request)
    await people["ada"].sync()
    (held,) = people["ada"].outbox()
    assert held.question == "confirmed"
    await people["ada"].retry(held.id, anyway="confirmed")
    sent(await ada.send("Hello Cy"))
    await cy.sync()
    assert texts(cy)[-2:] == ["Just you and me", "Hello Cy"]


async def test_a_member_gone_for_long_comes_back(w: World) -> None:
    """CLT-017, CLT-008: a hundred missed messages and ten missed keys, wraps waiting in the inbox."""
    people = await w.sphere_of("ada", "bo")
    ada = harbour(people["ada"])
    await people["bo"].close()
    said = []
    for n in range(10):
        await ada.rotate()
        for m in range(3):
            said.append(f"{n}.{m}")
            sent(await ada.send(said[-1]))
        w.clock.forward(3 * 86400)
    bo = await w.reopen("bo")
    report = await bo.sync()
    assert report.faults == ()
    assert texts(bo) == said
    held = harbour(bo).keys()
    assert [n for n, here in held if here] == list(range(1, harbour(bo).info.epoch + 1))
    sent(await harbour(bo).send("Back"))


async def test_a_stronger_key_each_week_and_by_count(w: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """CLT-016: the first to speak after T makes the new key in the same commit."""
    people = await w.sphere_of("ada", "bo")
    ada = harbour(people["ada"])
    sent(await ada.send("one"))
    assert ada.info.epoch == 1
    w.clock.forward(7 * 86400 + 60)
    sent(await ada.send("two"))
    assert ada.info.epoch == 2
    monkeypatch.setattr("cloister.sphere.epoch.MANY_MESSAGES", 2)
    sent(await ada.send("three"))
    sent(await ada.send("four"))
    sent(await ada.send("five"))
    assert ada.info.epoch == 3
    await people["bo"].sync()
    assert texts(people["bo"]) == ["one", "two", "three", "four", "five"]


async def test_a_guest_waits_for_a_new_key(w: World) -> None:
    """CLT-016: a guest may not make keys; somebody else's key lets the text go."""
    people = await w.sphere_of("ada", "bo")
    ada = harbour(people["ada"])
    gus = await w.join("gus", await ada.invite(role="guest"))
    (request,) = await ada.requests()
    await ada.admit(request)
    await gus.sync()
    sent(await harbour(gus).send("Hello"))
    await people["bo"].sync()
    await harbour(people["bo"]).leave()
    await gus.sync()
    waits(await harbour(gus).send("Waiting"))
    assert gus.outbox()[0].code == "E_STALE_EPOCH"
    await people["ada"].sync()
    sent(await ada.send("New key"))
    await gus.sync()
    assert texts(gus) == ["Hello", "New key", "Waiting"]


async def test_items_are_found_by_prefix_and_told_when_sent(w: World) -> None:
    """CLT-009."""
    people = await w.sphere_of("ada", "bo")
    heard = hear(people["ada"])
    w.network("ada").up = False
    item = waits(await harbour(people["ada"]).send("Later"))
    assert people["ada"].outbox()[0].id == item.id
    with pytest.raises(NotFound):
        await people["ada"].drop("zzzz")
    w.network("ada").up = True
    await people["ada"].retry(item.id[:8])
    told = [e for e in heard if isinstance(e, MessageSent)]
    assert [(e.item.id, e.message.text if e.message else "") for e in told] == [(item.id, "Later")]


async def test_a_mode_that_goes_up_and_down_again(w: World) -> None:
    """CLT-016: what was written while encrypted is asked about, however often the mode changed before."""
    people = await w.sphere_of("ada", "bo")
    ada, bo = harbour(people["ada"]), harbour(people["bo"])
    await ada.set_mode("open")
    await ada.set_mode("e2ee")
    await people["bo"].sync()
    assert bo.info.mode == "e2ee"
    w.network("bo").up = False
    waits(await bo.send("Written encrypted"))
    await ada.set_mode("open")
    w.network("bo").up = True
    await people["bo"].sync()
    assert people["bo"].outbox()[0].question == "open"


async def test_one_open_message_in_an_encrypted_sphere(w: World) -> None:
    """CLT-016, MSG-008: only where the policy allows it, and marked as open for everybody."""
    people = await w.sphere_of("ada", "bo")
    ada = harbour(people["ada"])
    with pytest.raises(UsageError):
        await ada.send("Hello server", openly=True)
    await ada.set_policy(plaintext=True)
    sent(await ada.send("Hello server", openly=True))
    sent(await ada.send("Hello friends"))
    await people["bo"].sync()
    assert [(m.text, m.open) for m in harbour(people["bo"]).messages()] == [
        ("Hello server", True),
        ("Hello friends", False),
    ]


async def test_the_mode_of_a_sphere_is_no_word_of_the_relay(w: World) -> None:
    """CLT-016, CLT-019: nothing but the owner's entry makes a client speak in clear."""
    people = await w.sphere_of("ada", "bo")
    with pytest.raises(Forbidden):
        await harbour(people["bo"]).set_mode("open")
    said = sent(await harbour(people["bo"]).send("Still sealed"))
    row = await harbour(people["bo"]).seen(said)
    assert row.header["enc"] == "A256GCM"
    assert "sealed" not in row.stored
