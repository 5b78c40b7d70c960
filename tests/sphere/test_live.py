"""Live transfer: how it ends, and that both halves are needed. The messages themselves: vectors/live.json."""

from __future__ import annotations

import pytest

from cloister import crypto
from cloister.errors import DecryptFailed, Replay
from cloister.sphere import live
from vectors.generate._sphere import NOW
from vectors.generate.live import World


@pytest.fixture(scope="module")
def world() -> World:
    return World()


def test_either_side_ends_it(world: World) -> None:
    """LIVE-009: an end is for one ask, one pair of devices and one direction."""
    ask = world.asking.digest
    compact = live.end(
        world.sph, world.provider, world.ada.dev.signer, world.asker, ask, "different", now=NOW, rng=crypto.random_bytes
    )
    ended = live.read(compact, world.history)
    assert live.check_end(ended, world.sph, world.asker, world.provider, ask) == "different"
    with pytest.raises(Replay):
        live.check_end(ended, world.sph, world.asker, world.provider, bytes(32))
    with pytest.raises(Replay):
        live.check_end(ended, world.sph, world.provider, world.asker, ask)
    with pytest.raises(Replay):
        live.check_end(ended, world.elsewhere.state.sph, world.asker, world.provider, ask)


def test_neither_half_opens_it_alone(world: World) -> None:
    """LIVE-006: with another RSA key, or with another receiving key, nothing comes out."""
    given = live.read(world.give, world.history)
    other = live.Asking(
        world.sph, world.asker, crypto.rsa_generate(), world.asking.sas, world.asking.digest, world.asking.ns,
        world.asking.exp,
    )  # fmt: skip
    halves = [(other, world.bo.dev.de_seed), (world.asking, bytes(range(32)))]
    for asking, secret in halves:
        with pytest.raises(DecryptFailed):
            live.take(
                asking, world.pair, given, world.history, "xwing", [secret], world.bo.dev.signer,
                now=NOW, rng=crypto.random_bytes,
            )  # fmt: skip


def test_the_digits_follow_from_what_both_drew(world: World) -> None:
    """LIVE-005: both sides show the same; another number of either side shows something else."""
    offered = live.read(world.offer, world.history)
    opened = live.read(world.open, world.history)
    assert live.take_open(world.offering, opened, NOW).digits == world.pair.digits
    seen = {
        live.digits(one, other, offered.digest, world.pair.both)
        for one in (world.asking.sas, bytes(16))
        for other in (world.offering.sas, bytes(16))
    }
    assert len(seen) == 4
    assert all(len(one) == 6 and one.isdecimal() for one in seen)
