"""The relay lets a device speak only under the head (CHN-001 to CHN-008)."""

from __future__ import annotations

import pytest

from cloister.errors import BadFormat, Conflict, Forbidden, StaleEpoch, StaleHead
from cloister.protocol import chain, jws
from cloister.protocol.history import History
from vectors.generate._world import Log, Person, message


def talk() -> tuple[Log, History, Person]:
    ada = Person("ada")
    log = Log(ada)
    log.do(ada, "invite", log.invite_body())
    history = History(log.states[0])
    for state in log.states[1:]:
        history.append(state)
    return log, history, ada


def test_a_chain_grows() -> None:
    """CHN-007."""
    log, history, ada = talk()
    head = None
    for seq in range(1, 5):
        compact = message(ada.dev, log.state, seq, head.digest if head else b"")
        envelope = jws.decode(compact, "sph-msg+1")
        head = chain.admit(log.state, history, envelope, head)
        assert (head.seq, head.digest, head.ls) == (seq, envelope.digest, log.state.seq)
        with pytest.raises(Conflict) as caught:
            chain.admit(log.state, history, envelope, head)
        assert caught.value.data["seq"] == seq


def test_without_history_only_the_head_counts() -> None:
    """CHN-003."""
    log, history, ada = talk()
    earlier = jws.decode(message(ada.dev, log.states[-2]), "sph-msg+1")
    assert chain.admit(log.state, history, earlier, None).ls == log.state.seq - 1
    with pytest.raises(StaleHead) as caught:
        chain.admit(log.state, None, earlier, None)
    assert caught.value.data["seq"] == log.state.seq


def test_a_forged_message_is_refused_and_control(monkeypatch: pytest.MonkeyPatch) -> None:
    """CHN-008."""
    log, history, ada = talk()
    forged = jws.decode(message(ada.dev, log.state)[:-6] + "AAAAAA", "sph-msg+1")
    with pytest.raises(BadFormat):
        chain.admit(log.state, history, forged, None)
    monkeypatch.setattr(jws, "verify_ed25519", lambda *_: None)
    assert chain.admit(log.state, history, forged, None).seq == 1


def test_after_a_removal_the_old_epoch_is_stale_and_control(monkeypatch: pytest.MonkeyPatch) -> None:
    """CHN-005: nobody speaks under a key the leaver has; control without the check."""
    ada, bo = Person("ada"), Person("bo")
    log = Log(ada)
    log.add(ada, bo)
    log.do(bo, "leave", {"tails": log.tails_of(bo)})
    spoken = jws.decode(message(ada.dev, log.state), "sph-msg+1")
    with pytest.raises(StaleEpoch):
        chain.admit(log.state, None, spoken, None)
    with pytest.raises(Forbidden):
        chain.admit(log.state, None, jws.decode(message(bo.dev, log.state), "sph-msg+1"), None)
    monkeypatch.setattr(chain, "_fresh", lambda *_: None)
    assert chain.admit(log.state, None, spoken, None).seq == 1


def test_rows_go_both_ways() -> None:
    head = chain.ChainHead(3, bytes(32))
    assert chain.head_of(chain.tail_of("dv-x", head)) == head
    assert chain.head_of(chain.tail_of("dv-x", None)) is None
