"""Inboxes: letters and commits waiting for one device until it acknowledges them.

Spec: STR-002, STR-007, STR-008.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import Connection, bindparam, delete, insert, literal_column, select, update

from cloister.errors import Busy
from cloister.protocol import api
from cloister.server import schema
from cloister.server.hub import INBOX, Stored
from cloister.server.prepared import Prepared
from cloister.server.writer import Batch

P2P: Final = "p2p"
COMMIT: Final = "commit"
# Letters one device may have waiting besides key shares of commits; more are refused to their sender.
MAX_WAITING: Final = 20_000
_BOX = schema.inbox.c
_AFTER: Final = Prepared(
    select(schema.inbox)
    .where(_BOX.dv == bindparam("dv"), _BOX.pos > bindparam("after"))
    .order_by(_BOX.pos)
    .limit(bindparam("limit"))
    .offset(literal_column("0")),
    *("dv", "after", "limit"),
)
_NEXT: Final = Prepared(select(schema.inbox_head.c.next_pos).where(schema.inbox_head.c.dv == bindparam("dv")), "dv")


@dataclass(frozen=True, slots=True)
class Letter:
    """One item for one device. ``ref`` names it: the same again is a repetition."""

    dv: str
    kind: str
    ref: bytes
    body: str


def put(batch: Batch, sph: str, letters: Sequence[Letter]) -> None:
    """Add items whose ``ref`` is new for their device, with positions in the order given (STR-007)."""
    conn, head = batch.conn, schema.inbox_head.c
    wanted = sorted({one.dv for one in letters})
    positions: dict[str, int] = {}
    for some in _chunks(wanted):
        query = select(head.dv, head.next_pos).where(head.dv.in_(some)).order_by(head.dv).with_for_update()
        positions.update((row.dv, row.next_pos) for row in conn.execute(query))
    fresh = [dv for dv in wanted if dv not in positions]
    rows = []
    for one in letters:
        pos = positions.get(one.dv, 1)
        positions[one.dv] = pos + 1
        rows.append(
            {"dv": one.dv, "pos": pos, "kind": one.kind, "ref": one.ref, "sph": sph, "at": batch.now, "body": one.body}
        )
        batch.effects.append(Stored(f"{INBOX}:{one.dv}", pos, record(pos, one.kind, sph, one.body)))
    if not rows:
        return
    conn.execute(insert(schema.inbox), rows)
    if fresh:
        conn.execute(insert(schema.inbox_head), [{"dv": dv, "next_pos": positions[dv]} for dv in fresh])
    known = [{"who": dv, "next": positions[dv]} for dv in wanted if dv not in set(fresh)]
    if known:
        conn.execute(
            update(schema.inbox_head).where(head.dv == bindparam("who")).values(next_pos=bindparam("next")), known
        )


def put_once(batch: Batch, sph: str, letters: Sequence[Letter]) -> None:
    """``put`` for letters that may be a repetition: those a device has had are left out (STR-008).

    Raises Busy when a device has too many waiting.
    """
    box = schema.inbox.c
    new = []
    for one in letters:
        if batch.conn.execute(select(box.pos).where(box.dv == one.dv, box.ref == one.ref)).first() is not None:
            continue
        first = batch.conn.execute(select(box.pos).where(box.dv == one.dv).order_by(box.pos).limit(1)).scalar()
        head = batch.conn.execute(select(schema.inbox_head.c.next_pos).where(schema.inbox_head.c.dv == one.dv)).scalar()
        if first is not None and head is not None and head - first >= MAX_WAITING:
            raise Busy("the inbox is full", retry_after=3600)
        new.append(one)
    put(batch, sph, new)


def _chunks(names: list[str]) -> Iterator[list[str]]:
    for start in range(0, len(names), 500):
        yield names[start : start + 500]


def record(pos: int, kind: str, sph: str, body: str) -> str:
    """The text of an inbox row on a socket (STR-013)."""
    content = f'"jws":"{body}"' if kind == P2P else f'"entries":{body}'
    return f'{{"t":"item","s":"inbox","pos":{pos},"k":"{kind}","sph":"{sph}",{content}}}'


def rows_after(conn: Connection, dv: str, after: int, limit: int) -> list[Any]:
    """Stored rows with pos > after, ascending."""
    return _AFTER.all(conn, (dv, after, limit))


def page(conn: Connection, dv: str, after: int, limit: int) -> api.Inbox:
    """What waits from one position on, and the last position given, of one moment."""
    conn.begin()
    items = [
        api.InboxItem(row.pos, row.kind, row.sph, jws=row.body)
        if row.kind == P2P
        else api.InboxItem(row.pos, row.kind, row.sph, entries=json.loads(row.body))
        for row in rows_after(conn, dv, after, limit)
    ]
    head = _NEXT.first(conn, (dv,))
    return api.Inbox(items, head.next_pos - 1 if head else 0)


def clear(batch: Batch, dv: str, upto: int) -> None:
    """Delete what the device has durably taken over."""
    batch.conn.execute(delete(schema.inbox).where(schema.inbox.c.dv == dv, schema.inbox.c.pos <= upto))
