"""Where a message is read: at the relay's position, as far as the chain of its device allows.

A relay can turn two messages of one device round, or two changes of one message; their chain says which came first.
Within a chain the place never goes back: a message comes after the one it names and before the one that names it. What
arrives late fills the place where it was missing, and no row that was shown before it moves.

Knows positions and sequence numbers. Spec: CLT-011.
"""

from __future__ import annotations

from typing import Final

from cloister.client.store import Store
from cloister.protocol.encoding import MAX_INT

# Where a message without a position is read: after all others.
LAST: Final = MAX_INT
# The highest message held of each device and its place, as far as it was looked up in this step.
Ends = dict[str, tuple[int, int]]


def place(store: Store, sph: str, ends: Ends, dv: str, seq: int, pos: int) -> int:
    """The place of an authentic message; inside the step that stores it. ``ends`` belongs to that step."""
    end = ends.get(dv)
    if end is None:
        end = ends[dv] = _neighbour(store, sph, dv, "< ? ORDER BY seq DESC", MAX_INT) or (0, 0)
    wanted = pos or LAST
    if seq > end[0]:
        found = max(wanted, end[1])
        if pos:
            ends[dv] = (seq, found)
        return found
    below = _neighbour(store, sph, dv, "< ? ORDER BY seq DESC", seq)
    above = _neighbour(store, sph, dv, "> ? ORDER BY seq", seq)
    found = min(max(wanted, below[1] if below else 0), above[1] if above else LAST)
    if seq == end[0] and pos:
        ends[dv] = (seq, found)
    return found


def _neighbour(store: Store, sph: str, dv: str, which: str, seq: int) -> tuple[int, int] | None:
    """The nearest row of the same chain that has a place of its own."""
    row = store.one(
        f"SELECT seq, place FROM message WHERE sph = ? AND dv = ? AND chained AND place < ? AND seq {which} LIMIT 1",  # noqa: S608
        sph, dv, LAST, seq,
    )  # fmt: skip
    return (int(row[0]), int(row[1])) if row else None
