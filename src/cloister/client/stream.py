"""The pages of a sphere's stream: what the relay leaves out is asked for again, then said (CLT-033).

Positions have no hole (STR-001). A relay that shows one, or a head it does not lead up to, keeps something back or has
lost it; asking for ever would keep everything else from being read.
"""

from __future__ import annotations

from typing import Final

from cloister.client.context import Context
from cloister.client.replica import Replica
from cloister.protocol import api

# How often a round asks again for what was left out.
AGAIN: Final = 2
# Stretches remembered, the latest.
MAX_HOLES: Final = 16
Row = tuple[int, str, str]


class Pages:
    """One round's reading of a sphere's stream, as its writer."""

    def __init__(self, ctx: Context, sph: str) -> None:
        self._ctx, self._sph, self._left = ctx, sph, AGAIN

    async def next(self) -> tuple[list[Row], bool]:
        """The rows after the durable cursor (pos, kind, envelope), and whether there are more behind them.

        What does not go on from the cursor is no row: so the cursor moves with every page, or the reading ends.
        """
        after = self._ctx.store.cursor(self._sph)
        page = await self._ctx.relay.items(self._sph, after)
        while self._left and (_holes(after, page) or _hidden(after, page)):
            self._left -= 1
            page = await self._ctx.relay.items(self._sph, after)
        self._note(_holes(after, page), page.head if _hidden(after, page) else 0)
        rows = [(item.pos, item.k, item.jws or "") for item in page.items if item.pos > after]
        return rows, bool(rows) and max(row[0] for row in rows) < page.head

    def _note(self, holes: list[tuple[int, int]], hidden: int) -> None:
        rep = self._ctx.replica(self._sph)
        known = [list(one) for one in rep.note.get("holes", [])]
        fresh = [list(one) for one in holes if list(one) not in known]
        if not fresh and hidden == rep.note.get("hidden", 0):
            return
        with self._ctx.store.step():
            rep.note["holes"], rep.note["hidden"] = [*known, *fresh][-MAX_HOLES:], hidden
            rep.save_note(self._ctx.store)


def _holes(after: int, page: api.Items) -> list[tuple[int, int]]:
    """Stretches (first, last) of positions that a page leaves out."""
    found, last = [], after
    for pos in sorted({item.pos for item in page.items if item.pos > after}):
        if pos > last + 1:
            found.append((last + 1, pos - 1))
        last = pos
    return found


def _hidden(after: int, page: api.Items) -> bool:
    """Whether the relay names rows after the cursor and shows none."""
    return page.head > after and all(item.pos <= after for item in page.items)


def left_out(rep: Replica) -> list[tuple[int, int]]:
    """Stretches of positions (first, last) that the relay did not show here."""
    return [(first, last) for first, last in rep.note.get("holes", [])]


def hidden(rep: Replica) -> int:
    """The head that the relay names without showing what leads up to it, or 0."""
    return int(rep.note.get("hidden", 0))
