"""Places: gaps heal in any order, and what was written twice stays visible (GRID-010, GRID-011)."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cloister.errors import FormatError, Gap
from cloister.grid import places
from cloister.protocol.encoding import b64e


@given(st.lists(st.integers(1, 60), unique=True))
def test_whatever_the_order_the_same_is_held_and_missing(order: list[int]) -> None:
    """GRID-010, GRID-011."""
    runs = places.start()
    for done, place in enumerate(order):
        assert not places.holds(runs, place)
        runs = places.put(runs, place)
        held = {0, *order[: done + 1]}
        missing = set(range(max(held))) - held
        assert {one for first, last in places.gaps(runs) for one in range(first, last + 1)} == missing
        assert places.upto(runs) == min(missing, default=max(held) + 1) - 1
        assert places.last(runs) == max(held)
    assert runs == tuple(sorted(runs))
    assert places.load(places.dump(runs)) == runs


@given(st.permutations(range(1, 12)))
def test_links_join_only_where_they_meet(order: list[int]) -> None:
    """GRID-010: eleven linked tokens, of which the fifth was written again after a restore."""
    h = {place: b64e(bytes([place]) * 32) for place in range(12)}
    ph = {place: h[place - 1] for place in range(1, 12)}
    ph[6] = b64e(b"\xff" * 32)
    runs = places.start(h[0])
    for place in order:
        runs = places.put(runs, place, ph[place], h[place])
    assert places.gaps(runs) == ()
    assert places.breaks(runs) == (6,)
    assert len(runs) == 2


def test_too_far_and_too_many_pieces_are_refused() -> None:
    """GRID-011."""
    runs = places.start()
    places.check(runs, 1001)
    with pytest.raises(Gap) as caught:
        places.check(runs, 1002)
    assert caught.value.data["missing"] == 1001
    for place in range(2, 2 * places.MAX_RUNS, 2):
        places.check(runs, place)
        runs = places.put(runs, place)
    with pytest.raises(Gap):
        places.check(runs, 2 * places.MAX_RUNS)


@pytest.mark.parametrize(
    "rows",
    [
        [],
        [{"first": 1, "ph": "", "last": 1, "h": ""}],
        [{"first": 0, "ph": "", "last": 0}],
        [{"first": 0, "ph": "", "last": 3, "h": ""}, {"first": 3, "ph": "", "last": 4, "h": ""}],
        [{"first": 0, "ph": "", "last": 0, "h": ""}, {"first": 9, "ph": "", "last": 8, "h": ""}],
        [{"first": 0, "ph": "x", "last": 0, "h": ""}],
    ],
)
def test_a_damaged_store_is_noticed(rows: list[dict[str, object]]) -> None:
    """GRID-010."""
    with pytest.raises(FormatError):
        places.load(rows)
