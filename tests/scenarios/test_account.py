"""The account between its devices: state, names, clock, sessions, receiving keys."""

from __future__ import annotations

import pytest

from cloister.client import renewing
from cloister.errors import Downgrade, LogRollback, UsageError
from cloister.protocol.encoding import b64e
from tests.scenarios.world import PASSWORD, World, harbour, sent, texts


async def test_two_devices_agree(w: World) -> None:
    """CLT-029: petnames, confirmations, read positions and own invitations travel in the state slot, both ways."""
    people = await w.sphere_of("ada", "bo")
    ada = people["ada"]
    sent(await harbour(people["bo"]).send("One"))
    await ada.sync()
    phone = await w.second_device("ada", "ada-phone")
    link = await harbour(ada).invite()
    await harbour(ada).confirm("bo")
    await harbour(ada).mark_read()
    await ada.sync()
    await phone.sync()
    assert harbour(phone).person("bo").known == "confirmed in person"
    assert (harbour(ada).info.unread, harbour(phone).info.unread) == (0, 0)
    assert harbour(phone).link(link.jti) == link.url
    await harbour(phone).set_petname("bo", "Boris")
    await ada.sync()  # writes in between: the two are merged
    await phone.sync()
    await ada.sync()
    assert harbour(ada).person("boris").name == "Boris"
    assert harbour(ada).person("bo").known == "confirmed in person"


async def test_an_older_state_is_not_believed(w: World) -> None:
    """CLT-029, SLOT-016: the relay serves an earlier slot."""
    people = await w.sphere_of("ada", "bo")
    ada = people["ada"]
    await ada.sync()
    old = await ada.relay.slot("state")
    await harbour(ada).set_petname("bo", "Boris")
    await ada.sync()

    async def stale(name: str, token: str | None = None) -> object:
        return old

    ada.relay.slot = stale  # type: ignore[method-assign, assignment]
    report = await ada.sync()
    assert report.faults == (LogRollback.code,)
    assert harbour(ada).person("bo").name == "Boris"


async def test_another_realm_behind_the_address_gets_no_password(w: World) -> None:
    """CLT-028: checked before anything is derived from the password."""
    ada = await w.first("ada")
    real = ada.relay.server

    async def other() -> object:
        info = await real()
        return type(info)(b64e(bytes(16)), *(getattr(info, name) for name in info.__struct_fields__[1:]))

    ada.relay.server = other  # type: ignore[method-assign, assignment]
    with pytest.raises(Downgrade):
        await ada.server_info()


async def test_an_address_the_relay_does_not_go_by(w: World) -> None:
    """CLT-028: a clear text before the password is used."""
    w.relay.origin = "http://localhost:1"
    client = await w.open("ada")
    with pytest.raises(UsageError):
        await client.create_account("ada", PASSWORD.format("ada"), w.setup_code)


async def test_a_wrong_clock_still_speaks(w: World) -> None:
    """CLT-024: half an hour slow; the relay's time is followed, and entries are taken."""
    people = await w.sphere_of("ada", "bo")
    await people["bo"].close()
    slow = await w.open("bo")
    slow._clock = lambda: w.clock() - 1800
    await slow.unlock(PASSWORD.format("bo"))
    slow.context.store.put_secret("token", None)
    slow.relay.token = None
    await slow.sync()
    said = sent(await harbour(slow).send("On time"))
    assert abs(said.at - w.clock()) < 5
    await harbour(slow).leave()


async def test_a_session_that_ended_is_renewed(w: World) -> None:
    """CLT-027: the device signs for a new one and the call is made again."""
    people = await w.sphere_of("ada", "bo")
    await people["ada"].relay.end_session(
        next(s["n"] for s in await people["ada"].sessions() if s["this"] and s["level"] == "device")
    )
    sent(await harbour(people["ada"]).send("Still me"))


async def test_the_receiving_key_is_renewed_each_month(w: World) -> None:
    """CLT-034: a new key in every sphere; the old secret goes when nobody wraps to it any more; shares still open."""
    people = await w.sphere_of("ada", "bo")
    board = await people["bo"].create_sphere("Board")
    bo = people["bo"]
    await bo.sync()
    first = bo.context.keys.de
    w.clock.forward(renewing.LIFE + 60)
    await bo.sync()
    assert bo.context.keys.de != first
    for sphere in (harbour(bo), board):
        assert sphere._state.devices[bo.account.dv].de == bo.context.keys.de
    await bo.sync()
    assert len(renewing.receiving(bo.context)) == 1
    await people["ada"].sync()
    await harbour(people["ada"]).rotate()
    sent(await harbour(people["ada"]).send("Under the new one"))
    bo = await w.reopen("bo")
    await bo.sync()
    assert texts(bo) == ["Under the new one"]


async def test_leaving_and_forgetting(w: World) -> None:
    """CLT-030: whoever left may delete what is here; others go on under a new key."""
    people = await w.sphere_of("ada", "bo")
    with pytest.raises(UsageError):
        await harbour(people["bo"]).forget()
    await harbour(people["bo"]).leave()
    assert harbour(people["bo"]).info.status == "left"
    await harbour(people["bo"]).forget()
    assert people["bo"].spheres(past=True) == []
    await people["ada"].sync()
    sent(await harbour(people["ada"]).send("Alone"))
    assert harbour(people["ada"]).info.epoch == 2
    back = await harbour(people["ada"]).invite()
    await people["bo"].join(back.url)
    (request,) = await harbour(people["ada"]).requests()
    await harbour(people["ada"]).admit(request)
    await people["bo"].sync()
    assert texts(people["bo"]) == ["Alone"]
    sent(await harbour(people["bo"]).send("Back again"))


async def test_history_from_now_on(w: World) -> None:
    """CLT-017: with history since-join a newcomer gets no earlier key, and asking gives none either."""
    people = await w.sphere_of("ada", "bo", policy={"history": "since-join"})
    ada = harbour(people["ada"])
    sent(await ada.send("Before"))
    cy = await w.join("cy", await ada.invite())
    (request,) = await ada.requests()
    await ada.admit(request)
    sent(await ada.send("After"))
    await cy.sync()
    assert [(m.text, m.state) for m in harbour(cy).messages()] == [("", "unreadable"), ("After", "sent")]
    w.clock.forward(700)
    await harbour(cy).ask_keys([2])
    await people["ada"].sync()
    await cy.sync()
    assert harbour(cy).messages()[0].state == "unreadable"


async def test_a_newcomer_reads_all_keys_by_their_links(w: World) -> None:
    """CLT-017, EPO-005: with history all one share opens everything, with nobody online."""
    people = await w.sphere_of("ada", "bo")
    ada = harbour(people["ada"])
    for n in range(5):
        sent(await ada.send(f"key {ada.info.epoch}"))
        await ada.rotate()
        assert n + 2 == ada.info.epoch
    cy = await w.join("cy", await ada.invite())
    (request,) = await ada.requests()
    await ada.admit(request)
    for name in ("ada", "bo"):
        await people[name].close()
    await cy.sync()
    assert texts(cy) == [f"key {n}" for n in range(1, 6)]
