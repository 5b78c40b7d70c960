"""The state machine: pure, total on what it knows, and the same for everybody (LOG-003 to LOG-014)."""

from __future__ import annotations

import copy
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from cloister import crypto
from cloister.errors import CheckFailed, LogInvalid, NotMember, SignatureInvalid, VersionTooOld
from cloister.protocol import entry, jws, machine, rules
from cloister.protocol.encoding import b64e
from cloister.protocol.history import History
from cloister.protocol.state import SphereState, dump, load, state_hash
from vectors.generate._log_base import CLEAR, SEALED
from vectors.generate._world import NOW, Log, Person, de_public, rng

ALLOWED = (CheckFailed, VersionTooOld)


def frozen(state: SphereState) -> tuple[Any, ...]:
    """Everything a transition could have changed by mistake, copied."""
    return copy.deepcopy(
        (
            dict(state.members),
            dict(state.devices),
            dict(state.invites),
            dict(state.tails),
            dump(state),
            state_hash(state),
        )
    )


def crew() -> tuple[Log, list[Person]]:
    people = [Person(name) for name in ("ada", "ben", "cy", "dee", "eve")]
    log = Log(people[0])
    for who, role in zip(people[1:4], ("admin", "member", "guest"), strict=True):
        log.add(people[0], who, role)
    return log, people


class Walk:
    """A random walk: every step is an entry somebody tries, right or wrong."""

    def __init__(self, draw: Any) -> None:
        self.draw = draw
        self.log, self.people = crew()
        self.history = History(self.log.states[0])
        for state in self.log.states[1:]:
            self.history.append(state)
        self.count = 0

    def pick(self, options: list[Any]) -> Any:
        return self.draw(st.sampled_from(options))

    def role(self, who: Person) -> str:
        member = self.log.state.members.get(who.handle)
        return member.role if member else "none"

    def attempt(self) -> str:
        log, self.count = self.log, self.count + 1
        owners = [p for p in self.people if self.role(p) == "owner"] or self.people
        who, target = self.pick([*owners, self.pick(self.people)]), self.pick(self.people)
        if log.state.due and self.pick([True, True, False]):
            who = next((p for p in self.people if any(d.dv == log.state.due for d in p.devs)), who)
        dev = self.pick(who.devs)
        label = f"link{self.pick([0, 1])}"
        role = self.pick(["owner", "admin", "member", "guest"])
        tails = self.pick([log.tails_of(target), log.tails(target.devs[:1], 3)])
        act = self.pick(list(ACTS) + ["epoch"] * (6 if log.state.due else 1))
        if act == "add" and self.pick([True, True, False]):
            target = next((p for p in self.people if self.role(p) in ("none", "banned")), target)
        if act == "device add":
            dev = who.device()
            return log.make(dev, "device", {"act": "add", "cert": dev.cert})
        if act == "epoch":
            return log.make(dev, "epoch", log.epoch_body(), ep=log.state.ep + 1)
        body = ACTS[act](log, target, role, label, tails, self.count)
        return log.make(dev, act.split()[0], body, iat=log.state.iat + self.pick([0, 1]))


def _policy(log: Log, n: int) -> dict[str, Any]:
    join = ["approve", "any"][n % 2]
    return {
        "policy": {**log.state.policy.as_body(), "join": join, "history": ["all", "none"][n % 3 == 0], "T": 600 + n}
    }


ACTS: dict[str, Any] = {
    "invite": lambda log, t, role, label, tails, n: log.invite_body(
        label, role="member" if role == "owner" else role, uses=2
    ),
    "revoke-invite": lambda log, t, role, label, tails, n: {"jti": b64e(rng(label, 16))},
    "add": lambda log, t, role, label, tails, n: log.add_body(
        t, "member" if role == "owner" else role, label if n % 2 else None
    ),
    "remove": lambda log, t, role, label, tails, n: {"id": t.handle, "tails": tails, "ban": n % 5 == 0},
    "leave": lambda log, t, role, label, tails, n: {"tails": tails},
    "role": lambda log, t, role, label, tails, n: {
        "id": t.handle,
        "role": role,
        **({"tails": log.tails_of(t)} if role in ("guest", "member") and n % 4 else {}),
    },
    "device add": None,
    "device renew": lambda log, t, role, label, tails, n: {
        "act": "renew",
        "kem": "p384",
        "de": b64e(de_public("p384", rng(f"r{n}", 32))),
    },
    "device revoke": lambda log, t, role, label, tails, n: {
        "act": "revoke",
        "dv": t.devs[0].dv,
        "tails": log.tails(t.devs[:1]),
    },
    "mark": lambda log, t, role, label, tails, n: {},
    "mode": lambda log, t, role, label, tails, n: {"mode": ["e2ee", "open", "public"][n % 3]},
    "delivery": lambda log, t, role, label, tails, n: {"delivery": ["live", "pairwise"][n % 2]},
    "custody": lambda log, t, role, label, tails, n: {"custody": ["device", "synced"][n % 2]},
    "policy": lambda log, t, role, label, tails, n: _policy(log, n),
    "meta": lambda log, t, role, label, tails, n: SEALED if n % 2 else CLEAR,
    "checkpoint": lambda log, t, role, label, tails, n: log.checkpoint_body(),
}


def check_invariants(walk: Walk, before: SphereState, after: SphereState) -> None:
    members = [m for m in after.members.values() if m.active]
    devices = [d for d in after.devices.values() if d.active]
    assert after.member_count == len(members)
    assert after.device_count == len(devices)
    assert after.closed == (not members)
    assert after.closed or any(m.role == "owner" for m in members)
    assert all(after.members[d.owner].active for d in devices)
    assert not after.due or (after.hard and after.mode == "e2ee")
    assert after.seq == before.seq + 1
    assert after.ep in (before.ep, before.ep + 1)
    assert all(invite.left >= 0 for invite in after.invites.values())
    assert all(not invite.left or after.members[invite.by].active for invite in after.invites.values())
    assert all(not after.devices[dv].active for dv, tail in after.tails.items() if tail.end)
    assert load(dump(after)) == after
    assert state_hash(load(dump(after))) == state_hash(after)
    history, seq = walk.history, after.seq
    assert history.digest(seq) == after.digest
    assert history.epoch_at(seq) == after.epoch
    assert history.mode_at(seq) == after.mode
    assert history.policy_at(seq) == after.policy
    if after.epoch and after.mode == "e2ee":
        assert history.hard_between(after.epoch.seq, seq) == after.hard
    for device in after.devices.values():
        assert history.active(device.dv, seq) == device.active
        assert history.key_of(device.dv) == device.dk
    for member in after.members.values():
        assert history.role_at(member.id, seq) == member.role


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
@given(st.data())
def test_random_walks_keep_every_invariant_and_touch_no_input(data: st.DataObject) -> None:
    """LOG-011: the input stays untouched, twice gives the same, and what is refused changes nothing."""
    walk = Walk(data.draw)
    for _ in range(data.draw(st.integers(5, 25))):
        before = walk.log.state
        compact = walk.attempt()
        picture, attached = frozen(before), dict(walk.log.attach)
        try:
            after = machine.apply(before, entry.decode(compact), walk.log.attach)
        except ALLOWED:
            assert frozen(before) == picture
            continue
        assert frozen(before) == picture
        assert walk.log.attach == attached
        assert machine.apply(load(dump(before)), entry.decode(compact), attached) == after
        walk.log.put(compact)
        walk.history.append(after)
        check_invariants(walk, before, after)
        if after.closed:
            break


def test_a_transition_that_changes_its_input_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Control: the picture of a state shows a change in place."""
    log, people = crew()
    picture = frozen(log.state)

    def careless(s: rules.Step) -> dict[str, Any]:
        s.state.members.pop(people[3].handle)  # type: ignore[attr-defined]
        return {}

    monkeypatch.setitem(rules.RULES, "mark", careless)
    before = log.state
    log.do(people[0], "mark")
    assert frozen(before) != picture


def test_entries_survive_any_altered_byte() -> None:
    """LOG-006: whatever one flips, the answer is one of the allowed errors."""
    log, people = crew()
    compact = log.make(people[0], "invite", log.invite_body())
    for at in range(0, len(compact), 7):
        altered = compact[:at] + ("A" if compact[at] != "A" else "B") + compact[at + 1 :]
        with pytest.raises(ALLOWED):
            log.try_(altered)


def test_a_removed_member_writes_nothing_and_control(monkeypatch: pytest.MonkeyPatch) -> None:
    """LOG-007, with the control run: without the check on activity the removed member writes."""
    log, (ada, _, cy, *_) = crew()
    log.remove(ada, cy)
    mark = log.make(cy, "mark", {})
    with pytest.raises(NotMember):
        log.try_(mark)
    monkeypatch.setattr(type(log.state.devices[cy.dev.dv]), "active", True)
    log.states[-1] = _revived(log.state, cy)
    assert log.try_(mark).hard


def _revived(state: SphereState, who: Person) -> SphereState:
    from dataclasses import replace

    member = replace(state.members[who.handle], role="member")
    return replace(state, members={**state.members, who.handle: member})


def test_a_forged_entry_is_refused_and_control(monkeypatch: pytest.MonkeyPatch) -> None:
    """LOG-007: eve signs in ada's name; without the signature check she would own the sphere."""
    log, (ada, *_, eve) = crew()
    forged = log.make(ada, "mode", {"mode": "public"}, signer=eve.dev.signer)
    with pytest.raises(SignatureInvalid):
        log.try_(forged)
    monkeypatch.setattr(crypto, "ed25519_verify", lambda *_: None)
    assert log.try_(forged).mode == "public"


def test_a_substituted_joiner_is_refused_and_control(monkeypatch: pytest.MonkeyPatch) -> None:
    """JOIN-005: a member swaps the request of a link holder for a key of their own; control without ivs."""
    log, (ada, *_, eve) = crew()
    log.do(ada, "invite", log.invite_body())
    body = log.add_body(eve, label="link", link_signer=jws.device_signer(rng("guess", 32)))
    swapped = log.make(ada, "add", body)
    with pytest.raises(LogInvalid) as caught:
        log.try_(swapped)
    assert caught.value.data["rule"] == "JOIN-008"
    genuine = crypto.ed25519_verify

    def lenient(public: bytes, signature: bytes, message: bytes) -> None:
        if public != crypto.ed25519_public(rng("link/iv", 32)):
            genuine(public, signature, message)

    monkeypatch.setattr(crypto, "ed25519_verify", lenient)
    assert log.try_(swapped).members[eve.handle].role == "member"


def test_nobody_speaks_for_a_due_epoch_and_control(monkeypatch: pytest.MonkeyPatch) -> None:
    """LOG-013: a removal without its epoch cannot be followed by anything else."""
    log, (ada, ben, cy, *_) = crew()
    log.do(ada, "remove", {"id": cy.handle, "tails": log.tails_of(cy)})
    other = log.make(ben, "invite", log.invite_body())
    with pytest.raises(LogInvalid):
        log.try_(other)
    monkeypatch.setattr(machine, "_while_due", lambda *_: None)
    assert log.try_(other).invites


def test_a_chosen_time_cannot_run_back() -> None:
    """LOG-009, and LOG-011: expiry is judged by the entry's own time."""
    log, (ada, *_, eve) = crew()
    log.do(ada, "invite", log.invite_body(exp=NOW + 50))
    body = log.add_body(eve, label="link")
    log.do(ada, "mark", iat=NOW + 100)
    with pytest.raises(LogInvalid):
        log.do(ada, "add", body, iat=NOW + 10)
    with pytest.raises(LogInvalid):
        log.do(ada, "add", body, iat=NOW + 100)


def test_the_rule_is_named() -> None:
    log, (ada, _, _, dee, _) = crew()
    with pytest.raises(LogInvalid) as caught:
        log.do(dee, "mark")
    assert caught.value.data["rule"] == "ROLE-003"
    with pytest.raises(LogInvalid) as caught:
        log.do(ada, "checkpoint", log.checkpoint_body(sh=b64e(bytes(32))))
    assert caught.value.data["rule"] == "LOG-019"
