"""Chains that a removal or a lowered role cuts. Spec: RUN-009, RUN-010."""

from __future__ import annotations

from typing import Any

import pytest

from cloister.protocol.history import History
from cloister.sphere import compose, message, run
from tests.sphere.runs import OK, Reader, counted, verdicts, world
from vectors.generate._sphere import Person, Sphere, Talker


def cut_world() -> tuple[Sphere, Person, Person, Talker, list[str], Any]:
    """Bo speaks ten messages and is removed; the tail is his tenth."""
    sphere, ada, bo_person, bo = world()
    frames = [bo.say(f"m{i}") for i in range(1, 11)]
    before = sphere.state
    sphere.do(ada, compose.Remove(bo_person.handle))
    return sphere, ada, bo_person, bo, frames, before


def test_after_the_tail_nothing_is_taken() -> None:
    """RUN-009: a removed member with an old ls, as often as he likes."""
    sphere, _, _, bo, frames, before = cut_world()
    late = bo.say("late", state=before, key=sphere.keys[1])
    later = bo.say("later", state=before, key=sphere.keys[1])
    assert verdicts(sphere, [*frames, late, later]) == [OK] * 10 + [("refused", "C_NOT_MEMBER")] * 2
    reader = Reader(sphere)
    for frame in [*frames, late, later]:
        reader.feed([frame])
    assert sorted(reader.shown.values()) == sorted(f"m{i}" for i in range(1, 11))
    now = bo.make("now")
    assert verdicts(sphere, [now]) == [("refused", "C_NOT_MEMBER")]


def test_control_without_tails_the_removed_speak_on(monkeypatch: pytest.MonkeyPatch) -> None:
    sphere, _, _, bo, frames, before = cut_world()
    late = bo.make("late", state=before, key=sphere.keys[1])
    monkeypatch.setattr(History, "tails", lambda self, dv: [])
    fresh = History.load(sphere.history.dump(), sphere.history.digests)
    assert verdicts(sphere, [*frames, late], history=fresh) == [OK] * 11


def test_another_past_of_a_cut_chain_is_not_taken() -> None:
    """RUN-009: the thief of a revoked device signs another message five; it is not on the chain that was cut."""
    sphere, _, _, bo, frames, before = cut_world()
    thief = Talker(sphere, bo.dev, 4, message.decode(frames[3]).digest, before.seq)
    forged = [thief.say(f"forged {i}", state=before, key=sphere.keys[1]) for i in range(5, 11)]
    reader = Reader(sphere)
    reader.feed([*frames[:4], *forged])
    assert reader.shown == {}
    reader.feed(frames[4:])
    assert sorted(reader.shown.values()) == sorted(f"m{i}" for i in range(1, 11))
    assert verdicts(sphere, forged[-1:]) == [("refused", "C_NOT_MEMBER")]


def test_a_cut_chain_waits_for_its_tail(monkeypatch: pytest.MonkeyPatch) -> None:
    """RUN-009: read from old to new, everything appears when the tail does, under one signature."""
    sphere, _, _, _, frames, _ = cut_world()
    calls = counted(monkeypatch)
    reader = Reader(sphere)
    for start in range(0, 10, 3):
        reader.feed(frames[start : start + 3])
        if start < 9:
            assert reader.shown == {}
            assert set(reader.codes.values()) == {"C_GAP"}
    assert len(reader.shown) == 10
    assert calls == [1]


def test_what_was_authentic_before_the_removal_stays() -> None:
    """RUN-009: a client that had read further than the remover keeps what it read; the rest must join the tail."""
    sphere, ada, bo_person, bo = world()
    frames = [bo.say(f"m{i}") for i in range(1, 11)]
    reader = Reader(sphere)
    reader.feed(frames[:8])
    sphere.do(ada, compose.Remove(bo_person.handle))
    reader.feed(frames[8:9])
    assert len(reader.shown) == 8
    reader.feed(frames[9:])
    assert len(reader.shown) == 10
    early = Reader(sphere)
    early.history = History.load(sphere.history.dump(), sphere.history.digests)
    assert verdicts(sphere, frames[:8]) == [("waiting", "C_GAP")] * 8


def test_who_comes_back_goes_on() -> None:
    """RUN-009: the same device, added again, continues its chain; between the two it has no voice."""
    sphere, ada, bo_person, bo, frames, before = cut_world()
    between = sphere.state
    sphere.add(ada, bo_person)
    back = bo.make("back")
    assert verdicts(sphere, [*frames, back]) == [OK] * 11
    reader = Reader(sphere)
    for frame in [*frames, back]:
        reader.feed([frame])
    assert len(reader.shown) == 11
    for state in (before, between):
        late = bo.make("late", state=state, key=sphere.keys[state.ep])
        assert verdicts(sphere, [*frames, late])[-1] == ("refused", "C_NOT_MEMBER")


def test_never_spoken_and_cut() -> None:
    sphere, ada, bo_person, bo = world()
    before = sphere.state
    sphere.do(ada, compose.Remove(bo_person.handle))
    assert verdicts(sphere, [bo.make("x", state=before, key=sphere.keys[1])]) == [("refused", "C_NOT_MEMBER")]


def test_a_lowered_role_counts_from_its_tail() -> None:
    """RUN-010: a demoted moderator backdates a deletion."""
    sphere, ada, bo_person, bo = world()
    sphere.do(ada, compose.SetRole(bo_person.handle, "admin"))
    first = bo.say("as admin")
    before = sphere.state
    sphere.do(ada, compose.SetRole(bo_person.handle, "member"))
    late = bo.say("backdated", state=before)
    page = run.verify_page([first, late], sphere.history, {}, sphere.state.sph)
    assert [(v.status, v.code) for v in page.verdicts] == [OK, OK]
    opened = run.open_page(page.verdicts, sphere.keys, sphere.history)
    assert [one.role for one in opened] == ["admin", "member"]
    assert run.role_for(sphere.history, bo.dev.dv, 2, sphere.state.seq) == "member"


def test_control_without_lowered_tails_the_deletion_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    sphere, ada, bo_person, bo = world()
    sphere.do(ada, compose.SetRole(bo_person.handle, "admin"))
    before = sphere.state
    sphere.do(ada, compose.SetRole(bo_person.handle, "member"))
    monkeypatch.setattr(History, "tails", lambda self, dv: [])
    fresh = History.load(sphere.history.dump(), sphere.history.digests)
    assert run.role_for(fresh, bo.dev.dv, 1, before.seq) == "admin"


def test_a_log_from_a_snapshot_waits_for_what_lies_before() -> None:
    sphere, ada, _, bo = world()
    frame = bo.say("early")
    sphere.do(ada, compose.Rotate())
    late = History(sphere.state)
    assert verdicts(sphere, [frame], history=late) == [("waiting", "C_GAP")]
