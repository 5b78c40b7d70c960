"""The order of reading: nothing stands above what it answers, whatever the clocks say (GRID-057)."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from cloister.grid.timeline import Item, order

TURNS = st.lists(st.tuples(st.integers(0, 1), st.integers(0, 5), st.integers(0, 10**6)), max_size=40)


def talk(turns: list[tuple[int, int, int]]) -> list[Item]:
    """An honest talk: each writer names how far it held the other, with any clock."""
    places, held = [0, 0], [0, 0]
    items = [Item("a", 0, -1, 0), Item("b", 0, 0, 0)]
    for side, lag, clock in turns:
        held[side] = max(held[side], places[1 - side] - lag)
        places[side] += 1
        items.append(Item("ab"[side], places[side], held[side], clock))
    return items


@given(TURNS, st.randoms(use_true_random=False))
def test_whatever_the_clocks_an_answer_stands_below_what_it_answers(
    turns: list[tuple[int, int, int]], dice: object
) -> None:
    items = talk(turns)
    shuffled = list(items)
    dice.shuffle(shuffled)  # type: ignore[attr-defined]
    out = order(shuffled)
    assert sorted(out, key=repr) == sorted(items, key=repr)
    assert out == order(items)
    for at, item in enumerate(out):
        for later in out[at + 1 :]:
            assert not (later.sender == item.sender and later.place < item.place)
            assert not (later.sender != item.sender and later.place <= item.after)


@given(TURNS, st.sets(st.integers(0, 41)))
def test_with_some_missing_the_rest_keeps_its_order(turns: list[tuple[int, int, int]], lost: set[int]) -> None:
    items = [item for at, item in enumerate(talk(turns)) if at not in lost]
    out = order(items)
    assert sorted(out, key=repr) == sorted(items, key=repr)
    for at, item in enumerate(out):
        assert not [one for one in out[at + 1 :] if one.sender != item.sender and one.place <= item.after]


def test_clocks_decide_between_what_crossed() -> None:
    late, early = Item("a", 1, 0, 20), Item("b", 1, 0, 10)
    assert order([late, early]) == [early, late]
    assert order([Item("b", 1, 0, 5), Item("a", 1, 0, 5)])[0].sender == "a"
