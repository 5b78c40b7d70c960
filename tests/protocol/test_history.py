"""Answers about past positions, kept small and stored apart from the entries (LOG-020 to LOG-023)."""

from __future__ import annotations

import json

import pytest

from cloister.errors import Gap, KeyUnknown
from cloister.protocol.history import History
from cloister.protocol.state import dump, load
from vectors.generate._world import Log, Person


def grown() -> tuple[Log, Person, Person]:
    ada, bo = Person("ada"), Person("bo")
    log = Log(ada)
    log.add(ada, bo)
    log.remove(ada, bo)
    log.add(ada, bo)
    log.do(bo, "leave", {"tails": log.tails([bo.dev], 4)})
    return log, ada, bo


def follow(log: Log, start: int = 0) -> History:
    history = History(log.states[start])
    for state in log.states[start + 1 :]:
        history.append(state)
    return history


def test_it_follows_every_state() -> None:
    """LOG-020, LOG-021."""
    log, _, bo = grown()
    history = follow(log)
    for state in log.states:
        assert history.digest(state.seq) == state.digest
        device = state.devices.get(bo.dev.dv)
        assert history.active(bo.dev.dv, state.seq) == bool(device and device.active)
    assert history.active_since(bo.dev.dv) is None
    assert [tail.end for tail in history.tails(bo.dev.dv)] == [True, True]
    last = history.tail(bo.dev.dv)
    assert last and last.seq == 4
    assert [epoch.n for epoch in history.epochs()] == [1, 2]


def test_it_goes_through_a_store() -> None:
    log, _, bo = grown()
    history = follow(log)
    again = History.load(json.loads(json.dumps(history.dump())), history.digests)
    assert again.dump() == history.dump()
    assert again.digest(3) == log.states[3].digest
    assert again.tail(bo.dev.dv) == history.tail(bo.dev.dv)
    with pytest.raises(ValueError, match="digests"):
        History.load(history.dump(), history.digests[32:])


def test_a_stored_history_goes_on() -> None:
    log, ada, _bo = grown()
    history = follow(log)
    again = History.load(history.dump(), history.digests)
    log.states[-1] = load(dump(log.state))
    log.do(ada, "mark" if not log.state.hard else "invite", log.invite_body() if log.state.hard else {})
    history.append(log.state)
    again.append(log.state)
    assert again.dump() == history.dump()


def test_it_takes_only_the_next_state() -> None:
    log, _ada, _ = grown()
    history = follow(log)
    with pytest.raises(ValueError, match="next"):
        history.append(log.state)
    other = Log(Person("zoe"))
    with pytest.raises(ValueError, match="next"):
        History(log.states[0]).append(other.states[1])


def test_from_a_snapshot_it_knows_nothing_before() -> None:
    log, ada, bo = grown()
    history = follow(log, 3)
    assert history.digest(4) == log.states[4].digest
    with pytest.raises(Gap):
        history.digest(2)
    assert history.active(ada.dev.dv, 4)
    assert history.role_at(bo.handle, 4) == log.states[4].members[bo.handle].role


def test_strangers_are_unknown() -> None:
    history = follow(grown()[0])
    stranger = Person("zoe")
    assert not history.active(stranger.dev.dv, 1)
    assert history.role_at(stranger.handle, 1) == "none"
    assert history.tail(stranger.dev.dv) is None
    for ask in (history.owner_of, history.key_of):
        with pytest.raises(KeyUnknown):
            ask(stranger.dev.dv)
    with pytest.raises(KeyUnknown):
        history.epoch(0)
