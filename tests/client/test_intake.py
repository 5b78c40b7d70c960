"""Messages that come in the wrong order, twice, damaged, or in two versions."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from cloister.account import password
from cloister.client import Client, intake, places
from cloister.client.events import MessageChanged, MessageReceived
from cloister.sphere import message as messages
from cloister.sphere.message import Place
from cloister.sphere.payload import Payload
from tests.scenarios.world import World, harbour, hear, sent, world


@pytest.fixture
async def w(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[World]:
    monkeypatch.setattr(password, "MEMORY_KIB", 64)
    async with world(tmp_path) as made:
        yield made


async def frames(w: World, count: int) -> tuple[Client, list[tuple[int, str]]]:
    """A reader who has nothing yet, and ``count`` messages of somebody else as (pos, frame)."""
    people = await w.sphere_of("ada", "bo")
    for n in range(count):
        sent(await harbour(people["ada"]).send(f"n{n}"))
    bo = people["bo"]
    page = await bo.relay.items(harbour(bo).sph, bo.context.store.cursor(harbour(bo).sph))
    return bo, [(item.pos, str(item.jws)) for item in page.items if item.k == "msg"]


def take(client: Client, given: list[tuple[int, str]]) -> int:
    with client.context.store.step() as events:
        return intake.take_now(client.context, client.context.replica(harbour(client).sph), given, events)


def shown(client: Client) -> list[tuple[str, str]]:
    return [(m.text, m.state) for m in harbour(client).messages()]


async def test_any_order_gives_the_same_messages(w: World) -> None:
    """CLT-011: positions order what is shown; repetitions are silent."""
    bo, given = await frames(w, 5)
    heard = hear(bo)
    for index in (3, 1, 4, 0, 2, 2, 0):
        take(bo, [given[index]])
    assert shown(bo) == [(f"n{n}", "sent") for n in range(5)]
    assert len([e for e in heard if isinstance(e, MessageReceived)]) == 5


@pytest.mark.parametrize("order", [(1, 0), (0, 1)], ids=["arrives turned", "arrives in order"])
@pytest.mark.parametrize("paged", [True, False], ids=["one page", "one by one"])
async def test_a_relay_that_turns_two_messages_round_turns_nothing_that_is_read(
    w: World, order: tuple[int, int], paged: bool
) -> None:
    """CLT-011: the relay's positions give way to the chain of the device, also for rows that come late."""
    bo, given = await frames(w, 4)
    (low, _), (high, _) = given[1], given[2]
    turned = [given[0], *sorted(((high, given[1][1]), (low, given[2][1])), reverse=bool(order[0])), given[3]]
    for page in [turned] if paged else [[one] for one in turned]:
        take(bo, page)
    assert shown(bo) == [(f"n{n}", "sent") for n in range(4)]
    pages = []
    before = None
    while part := harbour(bo).messages(limit=1, before=before):
        pages += [m.text for m in part]
        before = part[0].pos
    assert pages == ["n3", "n2", "n1", "n0"]


@pytest.mark.parametrize("weak", [False, True])
async def test_a_relay_that_turns_two_changes_round_changes_nothing(
    w: World, monkeypatch: pytest.MonkeyPatch, weak: bool
) -> None:
    """CLT-011: of two edits by one author the later one in his chain stands, whatever positions they were given; so it
    is with a reaction that was taken back. Control: by the relay's positions alone the taken back stands."""
    if weak:
        monkeypatch.setattr(places, "place", lambda _store, _sph, _ends, _dv, _seq, pos: pos)
    people = await w.sphere_of("ada", "bo")
    ada, bo = harbour(people["ada"]), people["bo"]
    first = sent(await ada.send("one"))
    await ada.edit(first.mid, "two")
    await ada.edit(first.mid, "three")
    await ada.react(first.mid, "x")
    await ada.react(first.mid, "x", on=False)
    page = await bo.relay.items(ada.sph, bo.context.store.cursor(ada.sph))
    given = [(item.pos, str(item.jws)) for item in page.items if item.k == "msg"]
    positions = [given[0][0], *(pos for pos, _ in reversed(given[1:]))]
    turned = sorted(zip(positions, (jws for _, jws in given), strict=True))
    take(bo, turned)
    (seen,) = harbour(bo).messages()
    assert (seen.text, seen.edited) == ("two" if weak else "three", True)
    assert bool(seen.reactions) is weak


async def test_what_nobody_signed_moves_no_row(w: World) -> None:
    """CLT-011: only what its chain holds has a say in where its neighbours are read."""
    bo, given = await frames(w, 3)
    head, payload, _ = given[2][1].split(".")
    take(bo, [(given[0][0] - 1, f"{head}.{payload}.{'A' * 85}Q"), given[0], given[1]])
    assert [m.text for m in harbour(bo).messages() if m.state == "sent"] == ["n0", "n1"]
    take(bo, [given[2]])
    assert shown(bo) == [(f"n{n}", "sent") for n in range(3)]


async def test_a_damaged_copy_waits_and_the_true_one_is_shown(w: World) -> None:
    """CLT-011, RUN-001: a bad signature says nothing about the message; its successor or a true copy does."""
    bo, given = await frames(w, 3)
    heard = hear(bo)
    head, payload, signature = given[1][1].split(".")
    bad = (given[1][0], f"{head}.{payload}.{'A' * 85}Q")
    take(bo, [given[0], bad])
    assert shown(bo) == [("n0", "sent"), ("", "quarantined")]
    take(bo, [given[2]])
    assert shown(bo) == [("n0", "sent"), ("n1", "sent"), ("n2", "sent")]
    assert any(isinstance(e, MessageChanged) or e.message.text == "n1" for e in heard if hasattr(e, "message"))
    assert signature


async def test_words_sealed_twice_are_shown_once_and_other_words_are_flagged(w: World) -> None:
    """CLT-014, MSG-006, RUN-006: the same cid at one place is one message; another cid there is a conflict."""
    people = await w.sphere_of("ada", "bo")
    bo, ctx = people["bo"], people["ada"].context
    rep = ctx.replica(harbour(bo).sph)
    chain, state = intake.own_chain(ctx, rep.sph), rep.known[0]

    def seal(text: str, cid: bytes, tries: int) -> str:
        place = Place(chain.last + 1, chain.digest, state.seq, state.digest, state.ep, tries)
        return messages.seal(
            Payload("msg", cid, text), place, sph=rep.sph, dv=ctx.dv, signer=ctx.sign, iat=ctx.now(), rng=ctx.rng,
            key=rep.sending_key,
        )  # fmt: skip

    take(bo, [(100, seal("Hello", b"c" * 16, 0)), (101, seal("Hello", b"c" * 16, 1))])
    assert shown(bo) == [("Hello", "sent")]
    take(bo, [(102, seal("Something else", b"d" * 16, 2))])
    assert [(m.text, m.state, m.code) for m in harbour(bo).messages()] == [
        ("Hello", "damaged", "C_REPLAY"),
        ("Something else", "sent", ""),
    ]


async def test_a_message_of_another_sphere_is_not_shown(w: World) -> None:
    """CLT-011: moved by the relay."""
    bo, given = await frames(w, 1)
    other = await bo.create_sphere("Board")
    with bo.context.store.step() as events:
        count = intake.take_now(bo.context, bo.context.replica(other.sph), given, events)
    assert count == 0
    assert [m.state for m in other.messages()] == ["damaged"]
    assert other.messages()[0].code == "C_REPLAY"
