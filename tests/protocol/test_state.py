"""States are data: hashed over everything the machine reads, stored and read back (LOG-016, LOG-018)."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from cloister.errors import FormatError
from cloister.protocol.state import Meta, Policy, SphereState, dump, load, recipients_hash, state_hash
from vectors.generate._world import Log, Person, rng


def rich() -> SphereState:
    ada, bo = Person("ada"), Person("bo")
    log = Log(ada)
    log.do(ada, "invite", log.invite_body())
    log.add(ada, bo)
    log.remove(ada, bo)
    log.do(ada, "mark")
    return log.state


CHANGES: dict[str, Any] = {
    "sph": "sp-x",
    "seq": 99,
    "digest": bytes(32),
    "iat": 1,
    "kind": "org",
    "org": "sp-x",
    "mode": "open",
    "mode_at": 9,
    "delivery": "live",
    "custody": "device",
    "policy": Policy(T=1),
    "policy_at": 9,
    "epoch": None,
    "hard": False,
    "due": "dv-x",
    "closed": True,
    "members": {},
    "invites": {},
    "tails": {},
    "meta": Meta(1, 1, bytes(32), {}),
}


@pytest.mark.parametrize("member", CHANGES)
def test_the_hash_binds_every_member(member: str) -> None:
    """LOG-018: a snapshot that differs in one member has another hash."""
    state = rich()
    changed = replace(state, **{member: CHANGES[member]})
    assert state_hash(changed) != state_hash(state)


def test_the_hash_binds_members_and_devices() -> None:
    state = rich()
    gone = next(m for m in state.members.values() if not m.active)
    for change in ({"role": "banned"}, {"name": "zoe"}, {"since": 1}):
        member = replace(gone, **change)
        assert state_hash(replace(state, members={**state.members, gone.id: member})) != state_hash(state)
    dv = gone.devices[0]
    for change in ({"status": "revoked"}, {"kem": "xwing"}, {"de_hash": bytes(32)}, {"since": 1}):
        device = replace(state.devices[dv], **change)
        assert state_hash(replace(state, devices={**state.devices, dv: device})) != state_hash(state)


def test_the_store_gives_back_the_same_state() -> None:
    state = rich()
    again = load(json.loads(json.dumps(dump(state))))
    assert again == state
    assert state_hash(again) == state_hash(state)


def test_recipients_are_ordered_by_name() -> None:
    """LOG-016."""
    ada, bo = Person("ada"), Person("bo")
    log = Log(ada)
    log.add(ada, bo)
    devices = log.state.active_devices()
    assert [d.dv for d in devices] == sorted(d.dv for d in devices)
    assert recipients_hash(devices) != recipients_hash(devices[::-1])


def test_a_policy_is_complete() -> None:
    """ROLE-017."""
    assert Policy.from_body(Policy().as_body()) == Policy()
    for wrong in ({}, {**Policy().as_body(), "history": "days:"}, {**Policy().as_body(), "T": -1}):
        with pytest.raises(FormatError):
            Policy.from_body(wrong)


def test_who_counts_as_author() -> None:
    """ROLE-004: neither a stranger nor a former member."""
    state = rich()
    gone = next(m for m in state.members.values() if not m.active)
    assert state.author(gone.devices[0]) is None
    assert state.author("dv-" + rng("x", 8).hex()) is None
    assert state.devices_of(gone.id) == []
    assert state.devices_of("id-nobody") == []
    assert [m.name for m in state.active_members()] == ["ada"]
