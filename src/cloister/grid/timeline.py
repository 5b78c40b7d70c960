"""The order in which a conversation is read: by what each side held when it wrote, not by clocks.

Spec: GRID-057.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True)
class Item:
    """What is shown: its writer, its place, the place up to which that one held the other's chain (-1 for an
    invitation), and ``iat``."""

    sender: str
    place: int
    after: int
    iat: int


def order(items: Iterable[Item]) -> list[Item]:
    """The items as they are read (GRID-057). Each place stands once; what an item waits for need not be there."""
    sides: dict[str, list[Item]] = {}
    for item in sorted(items, key=lambda one: (one.sender, one.place)):
        sides.setdefault(item.sender, []).append(item)
    out: list[Item] = []
    while sides:
        heads = [side[0] for side in sides.values()]
        free = [head for head in heads if not _waits(head, heads)] or heads
        first = min(free, key=lambda one: (one.iat, one.sender))
        out.append(first)
        sides[first.sender].pop(0)
        if not sides[first.sender]:
            del sides[first.sender]
    return out


def _waits(item: Item, heads: list[Item]) -> bool:
    """Whether something it was written after is still to come."""
    return any(head.sender != item.sender and head.place <= item.after for head in heads)
