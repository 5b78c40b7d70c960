"""Runs of messages: one rule for live and bulk. Spec: RUN-001 to RUN-016."""

from __future__ import annotations

import pytest

from cloister.errors import Replay
from cloister.protocol.history import History
from cloister.protocol.state import Policy
from cloister.sphere import chains as chain_states
from cloister.sphere import compose, message, run
from cloister.sphere import payload as payloads
from cloister.sphere.chains import ChainState, GapRange, Run
from tests.sphere.runs import DAY, DUP, OK, Reader, broken, counted, verdicts, world
from vectors.generate._sphere import NOW, Person, Sphere, Talker, text

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
