"""An invitation to somebody known: by letter, into the inbox of their devices, accepted like a link."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from cloister.account import password
from cloister.client import Client, inbox, invited, keys, people
from cloister.client.events import Invited
from cloister.errors import Forbidden, NotFound, UsageError
from cloister.protocol.encoding import b64e
from cloister.sphere import invitation
from cloister.sphere.share import Party
from tests.scenarios.world import World, harbour, hear, world


@pytest.fixture
async def w(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[World]:
    monkeypatch.setattr(password, "MEMORY_KIB", 64)
    async with world(tmp_path) as made:
        yield made


async def _board(w: World) -> tuple[Client, Client]:
    """Ada and Bo share the harbour; Ada has a second sphere."""
    people = await w.sphere_of("ada", "bo")
    await people["ada"].create_sphere("Board")
    return people["ada"], people["bo"]


async def test_somebody_known_is_invited_and_comes_in(w: World) -> None:
    """CLT-053, INV-007: told with name and label, accepted, admitted by the inviter without another question."""
    ada, bo = await _board(w)
    heard = hear(bo)
    await ada.sphere("board").invite(to="bo")
    await bo.sync()
    (one,) = bo.invitations()
    assert (one.name, one.label, one.via) == ("ada", "Board", harbour(bo).sph)
    assert [e.invitation for e in heard if isinstance(e, Invited)] == [one]
    assert not [i for i in bo.spheres() if i.title == "Board"]
    asked = await bo.accept_invitation(one.id)
    assert (asked.label, asked.state) == ("Board", "asked")
    assert bo.invitations() == []
    await ada.sync()
    await bo.sync()
    assert bo.sphere("board").info.have_key
    assert {p.name for p in ada.sphere("board").people()} == {"ada", "bo"}
    with pytest.raises(UsageError):
        await ada.sphere("board").invite(to="bo")
    with pytest.raises(NotFound):
        await ada.sphere("board").invite(to="nobody")


async def test_it_comes_to_every_device_and_is_answered_once(w: World) -> None:
    """CLT-053: each device gets its own letter; when one has entered, the others stop showing it."""
    ada, bo = await _board(w)
    phone = await w.second_device("bo", "bo-phone")
    await ada.sync()
    await ada.sphere("board").invite(to="bo")
    for device in (bo, phone):
        await device.sync()
        assert [one.label for one in device.invitations()] == ["Board"]
    await phone.accept_invitation(phone.invitations()[0].id)
    await ada.sync()
    for device in (phone, bo):
        await device.sync()
    assert bo.invitations() == phone.invitations() == []
    assert bo.sphere("board").info.status == "active"


async def test_another_with_the_same_link_is_asked_about(w: World) -> None:
    """CLT-053, CLT-018: the letter is for one person; whoever else got the link out of it waits for a yes."""
    ada, bo = await _board(w)
    await ada.sphere("board").invite(to="bo")
    await bo.sync()
    row = bo.context.store.row("todo", f"invited/{bo.invitations()[0].id}")
    assert row is not None
    await w.join("cy", row["link"])
    await ada.sync()
    assert [p.name for p in ada.sphere("board").people()] == ["ada"]
    assert [one.name for one in await ada.sphere("board").requests()] == ["cy"]


async def test_the_same_person_under_another_identity_is_asked_about(w: World) -> None:
    """CLT-053, CLT-022: somebody with another identity key of the person comes by the letter: a person looks first."""
    ada, bo = await _board(w)
    await ada.sphere("board").invite(to="bo")
    await bo.sync()
    await bo.accept_invitation(bo.invitations()[0].id)
    store, known = ada.context.store, people.pin(ada.context.store, bo.account.id)["thumb"]
    with store.step():
        people.put_pin(store, bo.account.id, thumb=b64e(bytes(32)))
    await ada.sync()
    assert [one.name for one in await ada.sphere("board").requests()] == ["bo"]
    assert [p.name for p in ada.sphere("board").people()] == ["ada"]
    with store.step():
        people.put_pin(store, bo.account.id, thumb=known)
    await ada.sync()
    assert {p.name for p in ada.sphere("board").people()} == {"ada", "bo"}


async def test_declined_and_closed_ones_do_not_come_back(w: World) -> None:
    """CLT-053: an answer lasts, also when the relay shows the letter again; the secret is gone with it."""
    ada, bo = await _board(w)
    letters: list[str] = []
    await ada.sphere("board").invite(to="bo")
    page = await bo.context.relay.inbox(bo.context.store.cursor("inbox"))
    letters = [str(item.jws) for item in page.items if item.jws]
    await bo.sync()
    (one,) = bo.invitations()
    with pytest.raises(NotFound):
        await bo.decline_invitation("nothing")
    await bo.decline_invitation(one.id)
    assert bo.context.store.row("todo", f"invited/{one.id}")["link"] == ""  # type: ignore[index]
    for jws in letters:
        await _again(bo, jws)
    assert bo.invitations() == []
    made = await ada.sphere("board").invite(to="bo")
    await bo.sync()
    await ada.sphere("board").withdraw(made.jti)
    with pytest.raises(Forbidden):
        await bo.accept_invitation(bo.invitations()[0].id)
    assert bo.invitations() == []


async def _again(client: Client, jws: str) -> None:
    await inbox._letter(client.context, jws)


async def test_only_what_is_whole_and_of_this_relay_is_kept_and_not_too_many(w: World) -> None:
    """CLT-053: links of elsewhere, letters for others and old ones are dropped; a sender's oldest go first."""
    ada, bo = await _board(w)
    ctx, me = ada.context, Party(ada.context.id, ada.context.dv)
    via, (device,) = invited.ways(ctx, bo.context.id)
    origin = ctx.relay.origin

    async def post(label: str, *, host: str = origin, at: int = 0) -> None:
        jti, seed = ctx.rng(16), ctx.rng(32)
        link = invitation.Link("invite", host, ada.sphere("board").sph, ctx.rng(16), seed, 1, bytes(16), label)
        ct = b64e(invitation.seal(link, via, me, device, jti, ctx.rng))
        members = {"idR": device.owner, "dvR": device.dv, "kem": device.kem, "ct": ct, "jti": b64e(jti)}
        members |= {"iat": at} if at else {}  # type: ignore[dict-item]
        await ctx.relay.post([device.dv], keys.letter(ctx, via, "invite", **members))

    await post("elsewhere", host="https://other.example")
    await post("old", at=ctx.now() - invited.LIFE - 1)
    for number in range(invited.PER_SENDER + 2):
        await post(f"n{number}")
        w.clock.forward(1)
        await bo.sync()
    assert [one.label for one in bo.invitations()] == [f"n{number}" for number in range(2, invited.PER_SENDER + 2)]
    w.clock.forward(invited.LIFE + 1)
    assert bo.invitations() == []
