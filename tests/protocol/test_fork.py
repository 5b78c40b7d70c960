"""Forks are proved by valid chains, never by claims (LOG-024)."""

from __future__ import annotations

import pytest

from cloister.errors import KeyUnknown, LogFork
from cloister.protocol import fork
from cloister.protocol.encoding import b64e
from cloister.protocol.history import History
from vectors.generate._world import Log, Person


def two() -> tuple[Log, History, Person, str]:
    ada = Person("ada")
    log = Log(ada)
    rival = log.make(ada, "invite", log.invite_body("rival"))
    log.do(ada, "invite", log.invite_body("mine"))
    history = History(log.states[0])
    for state in log.states[1:]:
        history.append(state)
    return log, history, ada, rival


def test_two_valid_entries_are_a_proof() -> None:
    log, history, _, rival = two()
    with pytest.raises(LogFork) as caught:
        fork.prove(history, log.states[1], [rival], {})
    assert caught.value.data["seq"] == 2
    assert caught.value.data["mine"] == b64e(log.states[2].digest) != caught.value.data["theirs"]


def test_a_liar_proves_nothing() -> None:
    log, history, _, _ = two()
    eve = Person("eve")
    lie = log.make(eve, "mark", {}, seq=2, prev=log.states[1].digest)
    with pytest.raises(KeyUnknown):
        fork.prove(history, log.states[1], [lie], {})


def test_a_longer_log_agrees() -> None:
    log, history, ada, _ = two()
    log.do(ada, "mark")
    assert fork.prove(history, log.states[1], log.entries[2:], {}).seq == 3
    assert fork.replay(log.entries, {}) == log.state
    with pytest.raises(ValueError, match="common"):
        fork.prove(history, Log(Person("zoe")).states[1], [], {})
    with pytest.raises(ValueError, match="least one"):
        fork.replay([], {})
