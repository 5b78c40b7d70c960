"""Messages that come in the wrong order, twice, damaged, or in two versions."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from cloister.account import password
from cloister.client import Client, intake
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
