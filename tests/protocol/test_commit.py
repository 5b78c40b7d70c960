"""Commits are whole or nothing, and both ends judge alike (COM-001 to COM-012)."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from cloister import errors
from cloister.errors import IncompleteWraps, LogInvalid, StaleHead
from cloister.protocol import commit as commits
from cloister.protocol.chain import ChainHead
from cloister.protocol.commit import Commit, apply_commit, as_relay_error, steps
from vectors.generate._world import Log, Person, message, rng


def removal() -> tuple[Log, Person, Person, Person, Commit]:
    """A commit that removes cy, ready to be sent on the head before it."""
    ada, bo, cy = Person("ada"), Person("bo"), Person("cy")
    log = Log(ada)
    log.add(ada, bo)
    log.add(ada, cy)
    at = len(log.entries)
    base = log.state
    log.remove(ada, cy)
    commit = log.commit(log.entries[at:], [bo.dev.dv], state=base, msg=message(ada.dev, log.state))
    log.states, log.entries = log.states[:at], log.entries[:at]
    return log, ada, bo, cy, commit


def test_steps_are_the_states_one_by_one() -> None:
    """COM-003."""
    log, *_, commit = removal()
    found = steps(log.state, commit)
    assert [state.seq for state in found] == [log.state.seq + 1, log.state.seq + 2]
    assert found[-1] == apply_commit(log.state, commit)
    assert found[0].due
    assert not found[-1].due


def test_the_json_form_goes_both_ways() -> None:
    """COM-001, COM-002."""
    *_, commit = removal()
    again = Commit.from_json(json.loads(json.dumps(commit.as_json())))
    assert again == commit
    assert again.digest() == commit.digest()


@pytest.mark.parametrize("member", ["sph", "base", "entries", "attach", "wraps", "link", "msg"])
def test_the_digest_binds_every_member(member: str) -> None:
    """COM-002."""
    *_, commit = removal()
    other = {
        "sph": "sp-x",
        "base": (0, bytes(32)),
        "entries": (),
        "attach": {bytes(32): "x"},
        "wraps": (),
        "link": b"x",
        "msg": None,
    }
    assert replace(commit, **{member: other[member]}).digest() != commit.digest()


def test_a_removed_member_gets_no_share_and_control(monkeypatch: pytest.MonkeyPatch) -> None:
    """COM-007: the relay takes no wrap for somebody outside; without the check it would."""
    log, _, _bo, cy, commit = removal()
    greedy = replace(commit, wraps=(*commit.wraps, commits.Wrap(cy.dev.dv, "e30.e30.")))
    with pytest.raises(IncompleteWraps):
        apply_commit(log.state, greedy)
    monkeypatch.setattr(commits, "_wraps", lambda *_: None)
    assert apply_commit(log.state, greedy).ep == 2


def test_a_remover_cannot_cut_a_chain_and_control(monkeypatch: pytest.MonkeyPatch) -> None:
    """COM-009: cy has spoken; a removal that says otherwise is told the chain heads and refused."""
    log, _, _, cy, commit = removal()
    spoken = {cy.dev.dv: ChainHead(2, rng("second", 32))}
    with pytest.raises(StaleHead) as caught:
        apply_commit(log.state, commit, spoken)
    (row,) = caught.value.data["heads"]
    assert row[:2] == [cy.dev.dv, 2]
    assert apply_commit(log.state, commit, {}).ep == 2
    monkeypatch.setattr(commits, "_compare_tails", lambda *_: None)
    assert apply_commit(log.state, commit, spoken).ep == 2


def test_two_devices_do_not_share_a_commit() -> None:
    """COM-004."""
    ada, bo = Person("ada"), Person("bo")
    log = Log(ada)
    log.add(ada, bo)
    base, at = log.state, len(log.entries)
    log.do(bo, "mark")
    log.do(ada, "invite", log.invite_body())
    with pytest.raises(LogInvalid) as caught:
        apply_commit(base, log.commit(log.entries[at:], state=base))
    assert caught.value.data["rule"] == "COM-004"


def test_what_the_relay_answers() -> None:
    """COM-012, and ERR-004: no detail of a check leaves the relay as a C_ code."""
    pairs = [
        (errors.FormatError("x"), "E_BAD_FORMAT"),
        (errors.SignatureInvalid("x"), "E_BAD_FORMAT"),
        (errors.KeyUnknown("x"), "E_FORBIDDEN"),
        (errors.NotMember("x"), "E_FORBIDDEN"),
        (errors.Expired("x"), "E_FORBIDDEN"),
        (errors.LogInvalid("x", rule="LOG-004"), "E_BAD_FORMAT"),
        (errors.LogInvalid("x", rule="ROLE-003"), "E_FORBIDDEN"),
        (errors.StaleHead("x"), "E_STALE_HEAD"),
        (errors.VersionTooOld("x"), "E_VERSION"),
        (errors.Downgrade("x"), "E_BAD_FORMAT"),
        (ZeroDivisionError("x"), "E_INTERNAL"),
    ]
    for error, code in pairs:
        answer = as_relay_error(error)
        assert answer.code == code
        assert "detail" not in answer.as_wire()


def test_at_most_one_epoch_and_membership_first() -> None:
    """COM-005, COM-006."""
    ada, bo = Person("ada"), Person("bo")
    log = Log(ada)
    log.add(ada, bo)
    base, at = log.state, len(log.entries)
    log.epoch(ada)
    log.epoch(ada)
    with pytest.raises(LogInvalid) as caught:
        apply_commit(base, log.commit(log.entries[at:], [bo.dev.dv], state=base))
    assert caught.value.data["rule"] == "COM-005"
