"""The ratchet: both sides agree in any order, a thousand keys wait, and what was used opens nothing."""

from __future__ import annotations

from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cloister.errors import CheckFailed, FormatError, Gap, KeyUnknown
from cloister.grid import ratchet
from cloister.grid.keys import new_scalar, public_point
from cloister.grid.ratchet import Ratchet
from cloister.protocol.encoding import json_emit, json_parse
from vectors.generate import rng

NOW = 1_800_000_000
DRAW = rng("grid-ratchet")
INVITE, REPLY = new_scalar(DRAW), new_scalar(DRAW)
TH, ROOT = DRAW(16), DRAW(32)
Sent = tuple[bytes, int, int, bytes]


class End:
    """One side, without messages: what it sends is (ratchet key, beginning of the chain, place, secret)."""

    def __init__(self, state: Ratchet) -> None:
        self.state, self.place = state, 0

    def send(self) -> Sent:
        self.place += 1
        self.state, secret = ratchet.send(self.state, self.place, DRAW)
        return ratchet.own_key(self.state), self.state.start, self.place, secret

    def hear(self, sent: Sent, now: int = NOW) -> None:
        self.state, secret = ratchet.receive(self.state, *sent[:3], now)
        assert secret == sent[3]


def both() -> tuple[End, End]:
    inviter = ratchet.begin_inviter(ROOT, TH, INVITE, public_point(REPLY))
    replier = ratchet.begin_replier(ROOT, TH, REPLY, public_point(INVITE))
    return End(inviter), End(replier)


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 2**32))
def test_any_talk_in_any_order_agrees(seed: int) -> None:
    """GRID-046 to GRID-048: bursts that cross, arrive shuffled, or late by several turns."""
    dice, ends = Random(seed), both()
    under_way: list[tuple[int, Sent]] = []
    for _ in range(30):
        side = dice.randrange(2)
        under_way += [(1 - side, ends[side].send()) for _ in range(dice.randrange(4))]
        dice.shuffle(under_way)
        for _ in range(dice.randrange(len(under_way) + 1)):
            to, sent = under_way.pop()
            ends[to].hear(sent)
        for end in ends:
            assert Ratchet.load(json_parse(json_emit(end.state.dump()))) == end.state
    for to, sent in under_way:
        ends[to].hear(sent)
    assert all(end.state.spare == () for end in ends)


def test_a_thousand_are_passed_over_and_still_open() -> None:
    """GRID-049, across a turn of the ratchet."""
    ada, bo = both()
    first = [bo.send() for _ in range(600)]
    bo.hear(ada.send())
    second = [bo.send() for _ in range(402)]
    with pytest.raises(Gap) as caught:
        ada.hear(second[401])
    assert caught.value.data["missing"] == 1001
    ada.hear(second[400])
    assert len(ada.state.spare) == 1000
    for sent in [*second[:400], *first[::-1], second[401]]:
        ada.hear(sent)
    assert ada.state.spare == ()


def test_a_key_is_given_out_once_and_kept_thirty_days() -> None:
    """GRID-049."""
    ada, bo = both()
    first, second, third = bo.send(), bo.send(), bo.send()
    ada.hear(third)
    for sent in (third,):
        with pytest.raises(KeyUnknown):
            ada.hear(sent)
    ada.hear(first)
    with pytest.raises(KeyUnknown):
        ada.hear(first)
    assert ratchet.expire(ada.state, NOW + ratchet.KEEP) is ada.state
    ada.state = ratchet.expire(ada.state, NOW + ratchet.KEEP + 1)
    with pytest.raises(KeyUnknown):
        ada.hear(second)


def test_what_is_refused_changes_nothing() -> None:
    """GRID-005, GRID-047."""
    ada, bo = both()
    sent = bo.send()
    before = ada.state
    stranger = public_point(new_scalar(DRAW))
    for rk, cs, place in ((stranger, 1, 1), (sent[0], 2, 2), (sent[0], 1, 5000), (b"", 1, 1)):
        with pytest.raises(CheckFailed):
            ratchet.receive(ada.state, rk, cs, place, NOW)
    assert ada.state == before
    ada.hear(sent)


def test_a_stolen_state_opens_nothing_that_was_read_before_it() -> None:
    """GRID-048: none of the secrets that were used can be had from what is kept; with kept chain keys they could."""
    ada, bo = both()
    used = []
    old_chain = ada.state.receiving
    for _ in range(3):
        sent = bo.send()
        ada.hear(sent)
        used.append(sent[3])
    kept = json_emit(ada.state.dump()).decode()
    stolen = ada.state
    for place, secret in enumerate(used, 1):
        assert secret.hex() not in kept
        with pytest.raises(KeyUnknown):
            ratchet.receive(stolen, public_point(REPLY), 1, place, NOW)
    # The control: the chain key of before gives them all away.
    weak = Ratchet(TH, stolen.root, b"", stolen.theirs, receiving=old_chain)
    assert ratchet.receive(weak, public_point(REPLY), 1, 1, NOW)[1] == used[0]


def test_after_a_turn_each_way_a_stolen_state_is_worth_nothing() -> None:
    """GRID-047: the thief follows as long as nobody turns, and is lost after it."""
    ada, bo = both()
    bo.hear(ada.send())
    stolen = bo.state
    ada.hear(bo.send())
    fresh = ada.send()
    bo.hear(fresh)
    with pytest.raises((FormatError, KeyUnknown)):
        ratchet.receive(stolen, *fresh[:3], NOW)
    guessed, _ = ratchet.send(stolen, 2, DRAW)
    _, secret = ratchet.receive(guessed, *fresh[:3], NOW)
    assert secret != fresh[3]
