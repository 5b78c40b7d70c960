"""Members who lie in live transfers: they name another sphere, ask without end, are gone from where keys come from."""

from __future__ import annotations

import asyncio

import pytest

from cloister import crypto
from cloister.client import Client, Sphere, live_transfer
from cloister.errors import UsageError
from cloister.protocol import jws
from cloister.sphere import epoch
from cloister.sphere import live as transfer
from cloister.sphere.epoch import EpochKey
from cloister.sphere.share import Party
from tests.hostile.test_live_transfer import Middle
from tests.hostile.world import HostileWorld
from tests.scenarios.test_organisation import let_in, rounds, said
from tests.scenarios.world import sent


@pytest.fixture(autouse=True)
def _at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(live_transfer, "CHOICE", 0.0)


async def hear(who: Client, sph: str, message: str) -> list[str]:
    """What a client says to a live message."""
    middle = who.context.relay.transport
    assert isinstance(middle, Middle)
    before = len(middle.kept)
    await live_transfer.take(who.context, sph, message)
    await asyncio.gather(*who.context.transfers.tasks)
    return middle.kept[before:]


async def asks(who: Client, sph: str) -> str:
    middle = who.context.relay.transport
    assert isinstance(middle, Middle)
    await who.sphere(sph).handover().ask()
    return middle.kept[-1]


def by_hand(hw: HostileWorld, *names: str) -> None:
    """Live messages of these people go nowhere by themselves."""
    hw.networks |= {name: Middle(hw.relay, f"127.0.2.{n}") for n, name in enumerate(names, 1)}


# --- another sphere ------------------------------------------------------------------------------------------------


async def _trap(hw: HostileWorld) -> tuple[Client, Client, Sphere, Sphere]:
    """Ada's sphere, of which Mal is a member, and Mal's, into which she came; keys of that one are handed over live."""
    by_hand(hw, "ada", "mal")
    ada = await hw.first("ada")
    ours = await ada.create_sphere("Harbour plan")
    mal = await let_in(hw, ours, "mal")
    await hw.second_device("mal", "mal-phone")
    await mal.sync()
    trap = await mal.create_sphere("Trap", delivery="live")
    await let_in(hw, trap, "ada")
    await trap.rotate()
    await ada.sync()
    return ada, mal, ours, trap


@pytest.mark.parametrize("weak", [False, True], ids=["", "control"])
async def test_a_give_that_names_another_sphere_plants_no_key_there(
    hw: HostileWorld, monkeypatch: pytest.MonkeyPatch, weak: bool
) -> None:
    """LIVE-001, LIVE-007: Mal makes an epoch of Ada's sphere whose commitment is one for his own, and gives its secret
    when she asks in his. Control: where the sphere is not compared, she holds a key that her log does not justify, and
    can open the sphere no more."""
    ada, mal, ours, trap = await _trap(hw)
    planted = crypto.random_bytes(32)

    def derive(r: bytes, prev: bytes, sph: str, n: int) -> EpochKey:
        return EpochKey(sph, n, planted, epoch.commitment(planted, prev, trap.sph, n), prev)

    with monkeypatch.context() as patch:
        patch.setattr(epoch, "derive", derive)
        patch.setattr(epoch, "check", lambda secret, one, sph: EpochKey(sph, one.n, secret, one.kc, one.prev))
        await mal.sphere(ours.sph).rotate()
    await ada.sync()
    assert ours.keys() == [(1, True), (2, False)]
    m = mal.context
    asked = transfer.read(await asks(ada, trap.sph), m.replica(trap.sph).known[1])
    offering, offer = transfer.offer(asked, Party(m.id, m.dv), m.sign, [2], now=m.now(), rng=m.rng)
    (opening,) = await hear(ada, trap.sph, offer)
    pair = transfer.take_open(offering, transfer.read(opening, m.replica(trap.sph).known[1]), m.now())
    state, log = m.replica(ours.sph).known
    sign = transfer._sign
    if weak:
        monkeypatch.setattr(transfer, "_same", lambda pair, log: None)
        monkeypatch.setattr(transfer, "_expect", lambda *_: None)
    with monkeypatch.context() as patch:
        patch.setattr(transfer, "_same", lambda pair, log: None)
        patch.setattr(transfer, "_sign", lambda me, by, k, _, *more, **named: sign(me, by, k, ours.sph, *more, **named))
        false = EpochKey(trap.sph, 2, planted, log.epoch(2).kc, log.epoch(2).prev)
        device = state.devices[ada.account.dv]
        _, give = transfer.give(pair, offering.epk, [false], log, device, m.sign, now=m.now(), rng=m.rng)
    assert jws.decode(give, transfer.TYP).body["sph"] == ours.sph
    await hear(ada, ours.sph, give)
    assert ours.keys() == [(1, True), (2, weak)]
    (still,) = ada.context.transfers.asked.values() if not weak else (None,)
    assert weak or (still is not None and still.pair == pair)


# --- gone from the organisation -----------------------------------------------------------------------------------


@pytest.mark.parametrize("weak", [False, True], ids=["", "control"])
async def test_who_was_removed_from_the_organisation_is_given_nothing_live(
    hw: HostileWorld, monkeypatch: pytest.MonkeyPatch, weak: bool
) -> None:
    """LIVE-010, CLT-062: removal is real in the organisation alone, and its spheres' keys go by no other way. Control:
    where live transfer does not look at that, the removed member's program is given the key unasked."""
    by_hand(hw, "ada", "cy")
    ada = await hw.first("ada")
    firm = await ada.create_sphere("Firm", kind="org")
    board = await ada.create_sphere("Board", org=firm.sph)
    for sphere in (firm, board):
        await let_in(hw, sphere, "cy")
    cy = hw.clients["cy"]
    await rounds(ada, cy)
    await firm.remove("cy")
    await rounds(ada)
    sent(await board.send("Without cy"))
    await rounds(cy, ada)
    board.handover().set_provides(True)
    assert said(cy, board) == ["unreadable"]
    with pytest.raises(UsageError):
        await cy.sphere(board.sph).handover().ask()
    with monkeypatch.context() as his:
        his.setattr(live_transfer, "handed_over", lambda rep: True)
        ask = await asks(cy, board.sph)
    if not weak:
        assert await hear(ada, board.sph, ask) == []
        return
    monkeypatch.setattr(live_transfer, "handed_over", lambda rep: True)
    (offer,) = await hear(ada, board.sph, ask)
    (opening,) = await hear(cy, board.sph, offer)
    (give,) = await hear(ada, board.sph, opening)
    await hear(cy, board.sph, give)
    assert said(cy, board) == ["Without cy"]


# --- asks without end ---------------------------------------------------------------------------------------------


async def _three(hw: HostileWorld) -> tuple[Client, Client, Client, str]:
    """Ada with the keys, Mal and Bo without, in a sphere whose keys are handed over live."""
    by_hand(hw, "ada", "mal", "bo")
    ada = await hw.first("ada")
    await hw.second_device("ada", "ada-phone")
    await ada.sync()
    sphere = await ada.create_sphere("Harbour plan", delivery="live")
    mal, bo = await let_in(hw, sphere, "mal"), await let_in(hw, sphere, "bo")
    for one in (ada, mal, bo):
        await one.sync()
    return ada, mal, bo, sphere.sph


@pytest.mark.parametrize("weak", [False, True], ids=["", "control"])
async def test_one_member_who_asks_without_end_is_not_answered_without_end(
    hw: HostileWorld, monkeypatch: pytest.MonkeyPatch, weak: bool
) -> None:
    """LIVE-010, LIVE-005: Mal reads the digits of every offer before he opens one; he gets four, of which he can open
    the last, and Bo is answered all the same. Control: with as many answers as he likes he has as many numbers."""
    ada, mal, bo, sph = await _three(hw)
    if weak:
        monkeypatch.setattr(live_transfer, "MAX_SEEN", 256)
    private, m = crypto.rsa_generate(), mal.context
    offers = []
    for _ in range(20):
        _, ask = transfer.ask(sph, Party(m.id, m.dv), m.sign, [1], private, now=m.now(), rng=m.rng)
        offers += await hear(ada, sph, ask)
    assert len(offers) == (20 if weak else 4)
    assert len(ada.context.transfers.answered) == 1
    assert len(await hear(ada, sph, await asks(bo, sph))) == 1
    hw.clock.forward(2 * transfer.SECONDS + 1)
    await mal.sphere(sph).handover().ask()
    assert len(await hear(ada, sph, await asks(mal, sph))) == 1


async def test_a_relay_that_reaches_nobody_gets_one_ask(hw: HostileWorld, monkeypatch: pytest.MonkeyPatch) -> None:
    """LIVE-014: the same ask goes out again, and no key pair is made for it; after two minutes another one."""
    made = []
    real = crypto.rsa_generate
    monkeypatch.setattr(crypto, "rsa_generate", lambda: made.append(1) or real())
    _, _, bo, sph = await _three(hw)
    network = hw.networks["bo"]
    assert isinstance(network, Middle)
    network.deaf = True
    for _ in range(5):
        await live_transfer.ask_unasked(bo.context, bo.context.replica(sph))
    assert len(network.kept) == 5 and len(set(network.kept)) == len(made) == 1
    hw.clock.forward(transfer.SECONDS + 1)
    await live_transfer.ask_unasked(bo.context, bo.context.replica(sph))
    assert len(set(network.kept)) == len(made) == 2
    network.deaf = False
    for _ in range(2):
        await live_transfer.ask_unasked(bo.context, bo.context.replica(sph))
    assert len(network.kept) == 7 and len(made) == 2
