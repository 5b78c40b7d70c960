"""Runs of messages: one rule for live and bulk. Spec: RUN-001 to RUN-016."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cloister.errors import Replay
from cloister.protocol.encoding import b64d, b64e
from cloister.protocol.history import History
from cloister.protocol.state import Policy
from cloister.sphere import chains as chain_states
from cloister.sphere import compose, message, run
from cloister.sphere import payload as payloads
from cloister.sphere.chains import ChainState, GapRange, Run
from cloister.sphere.run import Page, Verdict
from vectors.generate._sphere import NOW, Person, Sphere, Talker, text

DAY = 86400


@dataclass
class Reader:
    """What a member's program does with verdicts: keeps frames that wait, feeds them again when something is named."""

    sphere: Sphere
    history: History | None = None
    chains: dict[str, ChainState] = field(default_factory=dict)
    known: dict[tuple[str, int], bytes] = field(default_factory=dict)
    shown: dict[bytes, str] = field(default_factory=dict)
    codes: dict[bytes, str] = field(default_factory=dict)
    kept: dict[str, str] = field(default_factory=dict)
    frames: dict[bytes, str] = field(default_factory=dict)

    def feed(self, frames: Sequence[str]) -> Page:
        page = self.once(frames)
        while self.kept:
            before = (dict(self.shown), dict(self.chains))
            again = list(self.kept.values())
            self.once(again)
            if before == (self.shown, self.chains):
                break
        return page

    def once(self, frames: Sequence[str]) -> Page:
        history = self.history or self.sphere.history
        page = run.verify_page(frames, history, self.chains, self.sphere.state.sph, self.known)
        self.chains = page.chains
        for verdict, frame in zip(page.verdicts, frames, strict=True):
            self.note(verdict, frame)
        for one in run.open_page(page.verdicts, self.sphere.keys, history):
            assert one.verdict.message is not None
            if one.verdict.status == "authentic" and one.payload:
                if one.verdict.replaces:
                    self.shown.pop(one.verdict.replaces, None)
                self.shown[one.verdict.message.digest] = one.payload.text
        return page

    def note(self, verdict: Verdict, frame: str) -> None:
        got = verdict.message
        if got is None:
            return
        if verdict.status in ("waiting", "version"):
            self.kept[frame] = frame
        else:
            self.kept.pop(frame, None)
        if verdict.status == "authentic":
            self.frames[got.digest] = frame
            if verdict.replaces:  # a successor may still name it
                self.kept[self.frames[verdict.replaces]] = self.frames[verdict.replaces]
            self.known[got.head.kid, got.head.seq] = got.digest
        if verdict.status != "duplicate":
            self.codes[got.digest] = verdict.code


def world(**over: Any) -> tuple[Sphere, Person, Person, Talker]:
    ada, bo = Person("ada"), Person("bo")
    sphere = Sphere(ada, **over)
    sphere.add(ada, bo)
    return sphere, ada, bo, sphere.talker(bo)


def verdicts(sphere: Sphere, frames: Sequence[str], **over: Any) -> list[tuple[str, str]]:
    args: dict[str, Any] = {"history": sphere.history, "chains": {}, "sph": sphere.state.sph, **over}
    return [(v.status, v.code) for v in run.verify_page(frames, **args).verdicts]


def broken(frame: str) -> str:
    """The same message with a signature that does not verify; its hash, and so its place in the chain, stays."""
    body, _, signature = frame.rpartition(".")
    raw = bytearray(b64d(signature))
    raw[5] ^= 1
    return f"{body}.{b64e(bytes(raw))}"


def counted(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    calls = [0]
    real = message.verify

    def verify(one: message.Message, dk: bytes) -> None:
        calls[0] += 1
        real(one, dk)

    monkeypatch.setattr(message, "verify", verify)
    return calls


OK, DUP = ("authentic", ""), ("duplicate", "")

# --- authenticity ------------------------------------------------------------------------------------------------


def test_one_signature_vouches_for_a_run(monkeypatch: pytest.MonkeyPatch) -> None:
    """RUN-001, RUN-003, RUN-004: a page of one sender costs one signature."""
    sphere, _, _, bo = world()
    frames = [bo.say(f"m{i}") for i in range(100)]
    calls = counted(monkeypatch)
    page = run.verify_page(frames, sphere.history, {}, sphere.state.sph)
    assert calls == [1]
    assert {(v.status, v.code) for v in page.verdicts} == {OK}
    opened = run.open_page(page.verdicts, sphere.keys, sphere.history)
    assert [one.payload.text for one in opened if one.payload] == [f"m{i}" for i in range(100)]
    assert {(one.author, one.role, one.code) for one in opened} == {(Person("bo").handle, "member", "")}
    chain = page.chains[bo.dev.dv]
    assert (chain.last, chain.digest, chain.runs[0].first) == (100, bo.digest, 1)
    assert ChainState.load(chain.dump()) == chain
    assert ChainState("sp", "dv").digest == b""


def test_a_bad_top_falls_and_the_rest_stands(monkeypatch: pytest.MonkeyPatch) -> None:
    """RUN-004: downwards, until a signature holds; at worst one per message."""
    sphere, _, _, bo = world()
    frames = [bo.say(f"m{i}") for i in range(10)]
    calls = counted(monkeypatch)
    got = verdicts(sphere, frames[:7] + [broken(f) for f in frames[7:]])
    assert got == [OK] * 7 + [("waiting", "C_SIG")] * 3
    assert calls[0] <= 10


def test_a_successor_vouches_for_a_bad_signature_live_and_in_bulk() -> None:
    """RUN-003: the verdict is the same in both modes; live it comes when the successor does."""
    sphere, _, _, bo = world()
    frames = [bo.say(f"m{i}") for i in range(4)]
    frames[1] = broken(frames[1])
    assert verdicts(sphere, frames) == [OK] * 4
    live = Reader(sphere)
    live.feed(frames[:1])
    page = live.feed(frames[1:2])
    assert [(v.status, v.code) for v in page.verdicts] == [("waiting", "C_SIG")]
    page = live.feed(frames[2:3])
    assert page.named == [(bo.dev.dv, 2, message.decode(frames[1]).digest)]
    live.feed(frames[3:])
    assert sorted(live.shown.values()) == ["m0", "m1", "m2", "m3"]
    assert len(live.chains[bo.dev.dv].runs) == 1


def test_nobody_speaks_for_another() -> None:
    """RUN-003: a message in another's name, signed by its forger."""
    sphere, ada, bo_person, bo = world()
    forged = bo.make("forged", signer=ada.dev.signer)
    assert verdicts(sphere, [forged]) == [("waiting", "C_SIG")]
    good = bo.say("real")
    assert verdicts(sphere, [good, forged]) == [OK, ("waiting", "C_SIG")]
    assert bo_person.dev.dv == bo.dev.dv


def test_control_without_the_signature_anybody_speaks(monkeypatch: pytest.MonkeyPatch) -> None:
    sphere, ada, _, bo = world()
    forged = bo.make("forged", signer=ada.dev.signer)
    monkeypatch.setattr(message, "verify", lambda one, dk: None)
    assert verdicts(sphere, [forged]) == [OK]


def test_frames_that_are_no_messages() -> None:
    """RUN-002: the order of checks; a bad frame stops nothing."""
    sphere, _, _, bo = world()
    other = Sphere(Person("ada"), label="other")
    stranger = Talker(sphere, Person("eve").dev)
    frames = ["x", other.talker(other.owner).say("hi"), stranger.make("hi"), bo.say("hello")]
    assert verdicts(sphere, frames) == [
        *[("refused", "C_FORMAT"), ("refused", "C_REPLAY"), ("refused", "C_KEY_UNKNOWN"), OK]
    ]


def test_a_device_the_log_may_still_bring() -> None:
    """RUN-014: unknown, but its author knows more of the log than we do."""
    sphere, ada, _, _ = world()
    old = History.load(sphere.history.dump(), sphere.history.digests)
    cy = Person("cy")
    sphere.add(ada, cy)
    frame = sphere.talker(cy).say("hi")
    assert verdicts(sphere, [frame], history=old) == [("waiting", "C_KEY_UNKNOWN")]
    assert verdicts(sphere, [frame]) == [OK]


def test_ahead_of_the_log() -> None:
    """RUN-014: kept until the log is there; nothing may be sent before. Only a good signature counts."""
    sphere, ada, _, bo = world()
    old = History.load(sphere.history.dump(), sphere.history.digests)
    sphere.do(ada, compose.Rotate())
    frame = bo.say("hi")
    page = run.verify_page([frame], old, {}, sphere.state.sph)
    assert ([(v.status, v.code) for v in page.verdicts], page.ahead) == ([("waiting", "C_GAP")], sphere.state.seq)
    assert page.chains[bo.dev.dv].last == 0
    page = run.verify_page([broken(frame)], old, {}, sphere.state.sph)
    assert ([(v.status, v.code) for v in page.verdicts], page.ahead) == ([("waiting", "C_SIG")], 0)
    assert verdicts(sphere, [frame]) == [OK]


# --- gaps, repetitions, versions ---------------------------------------------------------------------------------


def test_gaps_are_ranges_and_close() -> None:
    """RUN-011, RUN-012."""
    sphere, _, _, bo = world()
    frames = [bo.say(f"m{i}") for i in range(1, 21)]
    reader = Reader(sphere)
    policy = sphere.state.policy

    def missing() -> list[GapRange]:
        return chain_states.gaps(reader.chains[bo.dev.dv], policy, NOW)

    reader.feed(frames[2:5] + frames[9:12])
    assert missing() == [GapRange(1, 2, False), GapRange(6, 9, False)]
    reader.feed(frames[6:7])
    assert missing() == [GapRange(1, 2, False), GapRange(6, 6, False), GapRange(8, 9, False)]
    reader.feed([frames[5], *frames[7:9]])
    assert missing() == [GapRange(1, 2, False)]
    reader.feed(frames)
    assert missing() == []
    assert len(reader.shown) == 20
    assert len(reader.chains[bo.dev.dv].runs) == 1


def test_a_gap_that_retention_explains_is_silent() -> None:
    """RUN-013: silent only when what stands before it is itself older than the policy keeps."""
    sphere, _, _, bo = world()
    frames = [bo.say(f"m{i}", iat=NOW - (10 - i) * DAY) for i in range(10)]
    reader = Reader(sphere)
    reader.feed(frames[1:3] + frames[6:7] + frames[8:])
    chain = reader.chains[bo.dev.dv]
    assert [g.silent for g in chain_states.gaps(chain, Policy(retention=5), NOW)] == [True, True, False]
    assert [g.silent for g in chain_states.gaps(chain, Policy(), NOW)] == [False] * 3


def test_too_many_gaps_are_given_up_from_below() -> None:
    """RUN-012: 1,000 ranges; what lies below the floor is not taken any more."""
    sphere, _, _, bo = world()
    frames = [bo.say(f"m{i}") for i in range(1, 24)]
    runs = tuple(Run(s, "A" * 43, 1, s, f"h{s}", "x", 0, 1, 0, NOW) for s in range(30, 2032, 2))
    chain = ChainState(sphere.state.sph, bo.dev.dv, runs)
    page = run.verify_page([frames[1]], sphere.history, {bo.dev.dv: chain}, sphere.state.sph)
    after = page.chains[bo.dev.dv]
    assert (len(after.runs), after.floor) == (1001, 2)
    assert verdicts(sphere, [frames[0]], chains=page.chains) == [("refused", "C_REPLAY")]
    assert chain_states.gaps(after, Policy(), NOW)[0] == GapRange(3, 29, False)


def test_repetitions_are_silent() -> None:
    """RUN-005: nothing is shown twice, whatever the relay repeats."""
    sphere, _, _, bo = world()
    frames = [bo.say(f"m{i}") for i in range(5)]
    reader = Reader(sphere)
    reader.feed(frames)
    page = reader.feed(frames + frames[4:])
    assert {(v.status, v.code) for v in page.verdicts} == {DUP}
    assert verdicts(sphere, [frames[0], frames[0], *frames]) == [OK, DUP, DUP, OK, OK, OK, OK]
    assert verdicts(sphere, [frames[4]], chains=reader.chains) == [DUP]
    assert len(reader.shown) == 5


def test_inside_a_run_nothing_else_has_a_place() -> None:
    """RUN-005: the successor has named the version that stands."""
    sphere, _, _, bo = world()
    first = bo.make("other", tries=9)
    frames = [bo.say(f"m{i}") for i in range(3)]
    reader = Reader(sphere)
    reader.feed(frames)
    page = reader.feed([first])
    assert [(v.status, v.code) for v in page.verdicts] == [("refused", "C_REPLAY")]


def test_resealed_words_are_shown_once_and_the_later_try_stands() -> None:
    """RUN-006, MSG-006: the relay said stale and published both."""
    sphere, _, _, bo = world()
    bo.say("before")
    first, second = bo.make(text("words", "cid")), bo.make(text("words", "cid"), tries=1)
    assert verdicts(sphere, [first, second])[1:] == [OK]
    for order in ([first, second], [second, first]):
        reader = Reader(sphere)
        for frame in order:
            reader.feed([frame])
        assert list(reader.shown) == [message.decode(second).digest]
    assert verdicts(sphere, [second, first]) == [OK, ("version", "C_REPLAY")]
    page = run.verify_page([first, second], sphere.history, {}, sphere.state.sph)
    one, other = run.open_page(page.verdicts, sphere.keys, sphere.history)
    assert one.payload is not None
    assert other.payload is not None
    payloads.check_version(one.payload, other.payload)


def test_the_version_a_successor_names_stands() -> None:
    """RUN-006: before any try, in any order of arrival."""
    sphere, _, _, bo = world()
    start = bo.say("before")
    later = bo.make(text("words", "cid"), tries=3)
    first = bo.say(text("words", "cid"))
    after = bo.say("after")
    for order in ([start, later, first, after], [start, later, after, first], [start, first, after, later]):
        bulk, live = Reader(sphere), Reader(sphere)
        bulk.feed(order)
        for frame in order:
            live.feed([frame])
        for reader in (bulk, live):
            assert set(reader.shown) == {message.decode(f).digest for f in (start, first, after)}
            assert len(reader.chains[bo.dev.dv].runs) == 1


def test_two_programs_with_one_key_are_told() -> None:
    """RUN-006: another cid at the same place is a conflict of devices."""
    sphere, _, _, bo = world()
    twin = bo.make("from the copy")
    mine = bo.say("from the device")
    page = run.verify_page([mine, twin], sphere.history, {}, sphere.state.sph)
    assert [(v.status, v.code) for v in page.verdicts] == [OK, ("version", "C_REPLAY")]
    one, other = run.open_page(page.verdicts, sphere.keys, sphere.history)
    assert one.payload is not None
    assert other.payload is not None
    with pytest.raises(Replay):
        payloads.check_version(one.payload, other.payload)


def test_a_copy_that_went_on_from_another_past_takes_no_place() -> None:
    """RUN-006: a version with another predecessor does not replace what is held."""
    sphere, _, _, bo = world()
    one = bo.say("one")
    copy = Talker(sphere, bo.dev, bo.seq, bytes(32), bo.ls)
    other = copy.make("other past", tries=5)
    two = bo.say("two")
    reader = Reader(sphere)
    reader.feed([one, two])
    assert [v.status for v in reader.feed([other]).verdicts] == ["version"]
    assert sorted(reader.shown.values()) == ["one", "two"]


# --- what the log says -------------------------------------------------------------------------------------------


def test_epoch_marks_and_order_of_the_log() -> None:
    """RUN-007: ep = epoch(ls), no hard entry between, lh = entry ls, ls never decreases."""
    sphere, ada, _, bo = world()
    before = sphere.state
    sphere.do(ada, compose.Mark())
    marked = sphere.state
    sphere.do(ada, compose.Rotate())
    after = sphere.state
    cases = [
        ({"state": before}, OK),
        ({"state": marked}, ("refused", "C_LOG_INVALID")),
        ({"state": after}, OK),
        ({"state": after, "ep": 1, "key": sphere.keys[1]}, ("refused", "C_LOG_INVALID")),
        ({"state": before, "ep": 2, "key": sphere.keys[2]}, ("refused", "C_LOG_INVALID")),
        ({"state": after, "lh": before.digest}, ("waiting", "C_LOG_FORK")),
        ({"state": after, "sealed": False}, ("refused", "C_DOWNGRADE")),
    ]
    for over, expected in cases:
        assert verdicts(sphere, [bo.make("hi", **over)]) == [expected], over
    back = [bo.say("new"), bo.say("old", state=before), bo.say("new again")]
    assert verdicts(sphere, back) == [OK, ("refused", "C_LOG_INVALID"), OK]
    reader = Reader(sphere)
    for frame in back:
        reader.feed([frame])
    assert sorted(reader.shown.values()) == ["new", "new again"]


def test_control_without_the_mark_rule_a_removed_members_key_serves_on(monkeypatch: pytest.MonkeyPatch) -> None:
    sphere, ada, _, bo = world()
    sphere.do(ada, compose.Mark())
    frame = bo.make("hi")
    assert verdicts(sphere, [frame]) == [("refused", "C_LOG_INVALID")]
    monkeypatch.setattr(History, "hard_between", lambda self, after, upto: False)
    fresh = History.load(sphere.history.dump(), sphere.history.digests)
    assert verdicts(sphere, [frame], history=fresh) == [OK]


def test_a_gap_filler_must_fit_between() -> None:
    """RUN-008: ls is bounded from above too."""
    sphere, ada, _, bo = world()
    early = sphere.state
    sphere.do(ada, compose.Rotate())
    one, two, three = bo.say("one", state=early), bo.say("two"), bo.say("three", state=early)
    assert verdicts(sphere, [one, two, three]) == [OK, OK, ("refused", "C_LOG_INVALID")]
    reader = Reader(sphere)
    reader.feed([one, three])
    page = reader.feed([two])
    assert [(v.status, v.code) for v in page.verdicts] == [("refused", "C_LOG_INVALID")]


def test_a_claimed_fork_stops_nobody_else() -> None:
    """RUN-016: one liar is set aside alone."""
    sphere, ada, _, bo = world()
    liar, honest = bo.say("liar", lh=bytes(32)), sphere.talker(ada).say("honest")
    assert verdicts(sphere, [liar, honest]) == [("waiting", "C_LOG_FORK"), OK]
    assert verdicts(sphere, [liar, bo.say("again")]) == [("waiting", "C_LOG_FORK"), OK]


def test_modes() -> None:
    """RUN-007: what mode(ls) allows, and policy.plaintext only with the author's word."""
    sphere, ada, _, bo = world(mode="open")
    clear = bo.say("clear")
    opened = sphere.state
    sphere.do(ada, compose.SetMode("e2ee"))
    assert verdicts(sphere, [clear]) == [OK]
    key = sphere.keys[1]
    assert verdicts(sphere, [bo.make("x", state=opened, sealed=True, key=key, ep=1)]) == [("refused", "C_DOWNGRADE")]
    assert verdicts(sphere, [bo.make("x", sealed=False)]) == [("refused", "C_DOWNGRADE")]
    sphere.do(ada, compose.SetPolicy(Policy(plaintext=True)))
    meant = bo.make(text("x")._replace(pt=True), sealed=False)
    unmeant = bo.make("x", sealed=False)
    for frame, code in ((meant, ""), (unmeant, "C_FORMAT")):
        page = run.verify_page([frame], sphere.history, {}, sphere.state.sph)
        assert page.verdicts[0].status == "authentic"
        assert run.open_page(page.verdicts, sphere.keys, sphere.history)[0].code == code


def test_missing_keys_keep_the_place() -> None:
    """RUN-015: unreadable is not unauthentic."""
    sphere, _, _, bo = world()
    page = run.verify_page([bo.say("hi"), "x"], sphere.history, {}, sphere.state.sph)
    (one,) = run.open_page(page.verdicts, {}, sphere.history)
    assert (one.payload, one.code, one.author) == (None, "C_KEY_UNKNOWN", Person("bo").handle)


def test_guests_that_only_read() -> None:
    sphere, ada, _, _ = world(policy=Policy(guests="read"))
    gus = Person("gus")
    sphere.add(ada, gus, "guest")
    assert verdicts(sphere, [sphere.talker(gus).make("hi")]) == [("refused", "C_NOT_MEMBER")]


# --- cut chains ----------------------------------------------------------------------------------------------------


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


# --- any schedule ----------------------------------------------------------------------------------------------------


def pages(frames: Sequence[str], sizes: Iterable[int]) -> list[list[str]]:
    out, at = [], 0
    for size in sizes:
        out.append(list(frames[at : at + size]))
        at += size
    return [*out, list(frames[at:])]


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_any_schedule_ends_in_the_same_verdicts(data: st.DataObject) -> None:
    """RUN-003: bulk, live, shuffled, repeated, with broken signatures and re-sealed messages: one result."""
    sphere, ada, bo_person, bo = world()
    frames: list[str] = []
    length = data.draw(st.integers(2, 12))
    for i in range(length):
        words = text(f"m{i}", f"c{i}")
        if data.draw(st.booleans()) and i < length - 1:
            frames.append(bo.make(words, tries=data.draw(st.integers(0, 2))))
        frames.append(bo.say(words, tries=data.draw(st.integers(0, 2))))
    cut = data.draw(st.booleans())
    if cut:
        sphere.do(ada, compose.Remove(bo_person.handle))
    last = message.decode(frames[-1]).digest
    frames = [broken(f) if message.decode(f).digest != last and data.draw(st.booleans()) else f for f in frames]
    expected = Reader(sphere)
    expected.feed(frames)
    assert sorted(expected.shown.values()) == sorted(f"m{i}" for i in range(length))
    mixed = data.draw(st.permutations(frames + frames[: data.draw(st.integers(0, 4))]))
    reader = Reader(sphere)
    for page in pages(mixed, data.draw(st.lists(st.integers(1, 4), max_size=30))):
        reader.feed(page)
    assert reader.shown == expected.shown
    assert reader.chains[bo.dev.dv] == expected.chains[bo.dev.dv]


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_no_schedule_of_a_liar_shows_what_was_not_said(data: st.DataObject) -> None:
    """RUN-001 to RUN-009: dropped, repeated, moved and altered frames are each flagged; nothing is shown twice."""
    sphere, ada, _, bo = world()
    other = sphere.talker(ada)
    said = [talker.say(f"{i}") for i in range(8) for talker in (bo, other)]
    foreign = Sphere(Person("ada"), label="foreign")
    frames = list(said)
    for _ in range(data.draw(st.integers(1, 8))):
        at = data.draw(st.integers(0, len(frames) - 1))
        act = data.draw(st.sampled_from(["drop", "repeat", "flip", "foreign", "swap"]))
        if act == "drop" and len(frames) > 2:
            frames.pop(at)
        elif act == "repeat":
            frames.insert(data.draw(st.integers(0, len(frames))), frames[at])
        elif act == "flip":
            header, body, signature = frames[at].split(".")
            raw = bytearray(b64d(body))
            raw[data.draw(st.integers(0, len(raw) - 1))] ^= 1
            frames[at] = f"{header}.{b64e(bytes(raw))}.{signature}"
        elif act == "foreign":
            frames.insert(at, foreign.talker(foreign.owner).say("foreign"))
        else:
            to = data.draw(st.integers(0, len(frames) - 1))
            frames[at], frames[to] = frames[to], frames[at]
    reader = Reader(sphere)
    for page in pages(frames, data.draw(st.lists(st.integers(1, 5), max_size=10))):
        reader.feed(page)
    digests = {message.decode(f).digest for f in said}
    assert set(reader.shown) <= digests
    for talker in (bo, other):
        chain = reader.chains.get(talker.dev.dv)
        held = {n for r in (chain.runs if chain else ()) for n in range(r.first, r.last + 1)}
        shown = {seq for (dv, seq), _ in reader.known.items() if dv == talker.dev.dv}
        assert held == shown
        missing = set(range(1, (chain.last if chain else 0) + 1)) - held
        if chain:
            told = chain_states.gaps(chain, Policy(), NOW)
            assert {n for g in told for n in range(g.first, g.last + 1)} == missing
