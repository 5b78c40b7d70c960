"""Which places of one side's chain are held: stretches without holes, and what is missing between them.

A place is a number that counts one side's tokens of a conversation from 0, its opening. Links are H(SI) as base64url
text where a profile has them and empty where it has not. A stretch grows from both ends, so a gap heals in whatever
order its parts arrive. Spec: GRID-010, GRID-011.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any, Final, NamedTuple

from cloister import errors
from cloister.errors import FormatError
from cloister.protocol.shape import shape

MAX_AHEAD: Final = 1000  # how many places above the highest held one may be missing
MAX_RUNS: Final = 1000
_RUN: Final = shape({"first": "int", "ph": "bytes:0|32", "last": "int", "h": "bytes:0|32"})


class Run(NamedTuple):
    """Places ``first`` .. ``last`` are held and linked; ``ph`` is what the first one names, ``h`` the last one's H."""

    first: int
    ph: str
    last: int
    h: str


Runs = tuple[Run, ...]
Gap = tuple[int, int]


def start(h: str = "") -> Runs:
    """Only the opening is held; ``h`` is its H."""
    return (Run(0, "", 0, h),)


OPENING: Final = start()


def last(runs: Runs) -> int:
    """The highest place held."""
    return runs[-1].last


def upto(runs: Runs) -> int:
    """The highest place up to which nothing is missing."""
    return runs[0].last


def holds(runs: Runs, place: int) -> bool:
    """Whether ``place`` is held."""
    return any(run.first <= place <= run.last for run in runs)


def check(runs: Runs, place: int) -> None:
    """Raise Gap for a place so far above, or in so many pieces, that it cannot be kept track of (GRID-011)."""
    if place - last(runs) - 1 > MAX_AHEAD or len(runs) >= MAX_RUNS:
        raise errors.Gap("too much is missing before this", missing=place - last(runs) - 1)


def put(runs: Runs, place: int, ph: str = "", h: str = "") -> Runs:
    """With ``place``, which is not held yet. It joins its neighbours where the links meet (GRID-010)."""
    new = Run(place, ph, place, h)
    under = [run for run in runs if run.last < place]
    over = [run for run in runs if run.first > place]
    if under and _meet(under[-1], new):
        new = Run(under[-1].first, under[-1].ph, new.last, new.h)
        under.pop()
    if over and _meet(new, over[0]):
        new = Run(new.first, new.ph, over[0].last, over[0].h)
        over.pop(0)
    return (*under, new, *over)


def _meet(lower: Run, upper: Run) -> bool:
    return lower.last + 1 == upper.first and lower.h == upper.ph


def gaps(runs: Runs) -> tuple[Gap, ...]:
    """What is missing below the highest place, as (first, last), ascending (GRID-011)."""
    pairs = pairwise(runs)
    return tuple((lower.last + 1, upper.first - 1) for lower, upper in pairs if upper.first > lower.last + 1)


def breaks(runs: Runs) -> tuple[int, ...]:
    """Places whose link does not name the token held before them: the chain was written twice (GRID-011)."""
    pairs = pairwise(runs)
    return tuple(upper.first for lower, upper in pairs if upper.first == lower.last + 1)


def dump(runs: Runs) -> list[dict[str, Any]]:
    """Plain JSON values for a store."""
    return [run._asdict() for run in runs]


def load(rows: Sequence[Mapping[str, Any]]) -> Runs:
    """Inverse of ``dump``. Raises FormatError unless the runs ascend from place 0."""
    for row in rows:
        _RUN(row)
    runs = tuple(Run(**row) for row in rows)
    if not runs or runs[0].first != 0 or any(run.last < run.first for run in runs):
        raise FormatError("runs begin at the opening")
    if any(upper.first <= lower.last for lower, upper in pairwise(runs)):
        raise FormatError("runs ascend")
    return runs
