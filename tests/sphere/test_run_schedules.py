"""Runs in any order, honest or not: the verdicts are the same. Spec: RUN-001 to RUN-009."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from hypothesis import given, settings
from hypothesis import strategies as st

from cloister.protocol.encoding import b64d, b64e
from cloister.protocol.state import Policy
from cloister.sphere import chains as chain_states
from cloister.sphere import compose, message
from tests.sphere.runs import Reader, broken, world
from vectors.generate._sphere import NOW, Person, Sphere, text


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
