"""T-N2: commits and messages of many at one relay process are one log, served one act at a time."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.simulation import crowded
from tests.simulation.linear import NEVER, Act, Log, unexplained

SEEDS, ACTS = (40, 60) if os.environ.get("CLOISTER_DEEP") else (1, 40)


async def _judged(folder: Path, seed: int, weakness: str = "") -> tuple[crowded.Told, list[Act]]:
    async with crowded.process(folder, weakness) as (origin, code):
        begin, told = await crowded.crowd(origin, code, seed, ACTS)
    return told, unexplained(begin, told.acts)


@pytest.mark.parametrize("seed", range(1, SEEDS + 1))
async def test_many_at_once_are_one_after_another(tmp_path: Path, seed: int) -> None:
    """STR-004, STR-008, COM-002, CHN-007: every answer is that of one log at one moment; one of each race wins."""
    told, stuck = await _judged(tmp_path, seed)
    assert stuck == []
    assert told.broken == []
    said = {(act.kind, act.said) for act in told.acts}
    assert said >= {("entries", "yes"), ("entries", "stale"), ("message", "yes"), ("message", "behind")}


@pytest.mark.parametrize("weakness", ["commits", "repeats"])
async def test_control_a_relay_that_does_not_compare(tmp_path: Path, weakness: str) -> None:
    """Without compare-and-swap on the log, or on a device's chain, no order explains the answers."""
    _, stuck = await _judged(tmp_path, 1, weakness)
    assert stuck != []


# --- the checker itself ---------------------------------------------------------------------------------------------

EMPTY = Log(("a",), "a")


def _entry(name: str, base: str, pos: int, began: int, ended: int) -> Act:
    return Act("entries", "yes", began, ended, rows=(name,), base=base, pos=pos)


def _look(began: int, ended: int, *rows: str) -> Act:
    return Act("look", "yes", began, ended, rows=rows, length=len(rows))


RIGHT = {
    "one after another": [_entry("b", "a", 2, 0, 1), _entry("c", "b", 3, 2, 3), _look(4, 5, "a", "b", "c")],
    "looked while it happened": [_entry("b", "a", 2, 0, 9), _look(1, 2, "a"), _look(3, 4, "a", "b")],
    "stale": [_entry("b", "a", 2, 0, 3), Act("entries", "stale", 1, 2, rows=("c",), base="a", told="b")],
    "told twice": [_entry("b", "a", 2, 0, 3), _entry("b", "a", 2, 1, 2)],
    "silence that had an effect": [Act("entries", "silence", 0, NEVER, rows=("b",), base="a"), _look(1, 2, "a", "b")],
    "silence that had none": [Act("entries", "silence", 0, NEVER, rows=("b",), base="a"), _look(1, 2, "a")],
}
WRONG = {
    "both won": [_entry("b", "a", 2, 0, 2), _entry("c", "a", 3, 1, 3)],
    "a lost row": [_entry("b", "a", 2, 0, 1), _look(2, 3, "a")],
    "a row that went again": [_entry("b", "a", 2, 0, 9), _look(1, 2, "a", "b"), _look(3, 4, "a")],
    "refused though it was the head": [Act("entries", "stale", 0, 1, rows=("b",), base="a", told="a")],
    "refused and there": [
        Act("entries", "stale", 2, 3, rows=("b",), base="a", told="b"), _entry("b", "a", 2, 0, 1)
    ],
    "seen before it began": [_look(0, 1, "a", "b"), _entry("b", "a", 2, 2, 3)],
    "silence that had an effect and then none": [
        Act("entries", "silence", 0, NEVER, rows=("b",), base="a"), _look(1, 2, "a", "b"), _look(3, 4, "a")
    ],
    "a message between": [Act("message", "yes", 0, 1, rows=("m",), dv="d", pos=2), _entry("b", "a", 2, 2, 3)],
    "one chain, two ends": [
        Act("message", "yes", 0, 1, rows=("m",), dv="d", pos=2), Act("message", "yes", 2, 3, rows=("n",), dv="d", pos=3)
    ],
}  # fmt: skip


@pytest.mark.parametrize("name", RIGHT)
def test_the_checker_finds_an_order(name: str) -> None:
    assert unexplained(EMPTY, RIGHT[name]) == []


@pytest.mark.parametrize("name", WRONG)
def test_the_checker_finds_that_there_is_none(name: str) -> None:
    assert unexplained(EMPTY, WRONG[name]) != []
