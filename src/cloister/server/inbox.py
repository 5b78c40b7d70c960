"""Inboxes: letters and commits waiting for one device until it acknowledges them.

Spec: STR-002, STR-007, STR-008.
"""

from __future__ import annotations

import json
from typing import Any, Final

from sqlalchemy import Connection, delete, insert, select, update

from cloister.protocol import api
from cloister.server import schema
from cloister.server.hub import INBOX, Stored
from cloister.server.writer import Batch

P2P: Final = "p2p"
COMMIT: Final = "commit"
# Letters one device may have waiting besides key shares of commits; more are refused to their sender.
MAX_WAITING: Final = 20_000


def put(batch: Batch, dv: str, kind: str, ref: bytes, sph: str, body: str) -> None:
    """Add one item, once: the same ``ref`` again changes nothing (STR-008)."""
    conn, box = batch.conn, schema.inbox.c
    if conn.execute(select(box.pos).where(box.dv == dv, box.ref == ref)).first() is not None:
        return
    head = schema.inbox_head
    row = conn.execute(select(head.c.next_pos).where(head.c.dv == dv).with_for_update()).one_or_none()
    pos = row.next_pos if row else 1
    if row is None:
        conn.execute(insert(head), {"dv": dv, "next_pos": 2})
    else:
        conn.execute(update(head).where(head.c.dv == dv).values(next_pos=pos + 1))
    values = {"dv": dv, "pos": pos, "kind": kind, "ref": ref, "sph": sph, "at": batch.now, "body": body}
    conn.execute(insert(schema.inbox), values)
    batch.effects.append(Stored(f"{INBOX}:{dv}", pos, record(pos, kind, sph, body)))


def record(pos: int, kind: str, sph: str, body: str) -> str:
    """The text of an inbox row on a socket (STR-013)."""
    content = f'"jws":"{body}"' if kind == P2P else f'"entries":{body}'
    return f'{{"t":"item","s":"inbox","pos":{pos},"k":"{kind}","sph":"{sph}",{content}}}'


def rows_after(conn: Connection, dv: str, after: int, limit: int) -> list[Any]:
    """Stored rows with pos > after, ascending."""
    box = schema.inbox.c
    query = select(schema.inbox).where(box.dv == dv, box.pos > after).order_by(box.pos).limit(limit)
    return list(conn.execute(query))


def page(conn: Connection, dv: str, after: int, limit: int) -> api.Inbox:
    items = [
        api.InboxItem(row.pos, row.kind, row.sph, jws=row.body)
        if row.kind == P2P
        else api.InboxItem(row.pos, row.kind, row.sph, entries=json.loads(row.body))
        for row in rows_after(conn, dv, after, limit)
    ]
    head = conn.execute(select(schema.inbox_head.c.next_pos).where(schema.inbox_head.c.dv == dv)).one_or_none()
    return api.Inbox(items, head.next_pos - 1 if head else 0)


def clear(batch: Batch, dv: str, upto: int) -> None:
    """Delete what the device has durably taken over."""
    batch.conn.execute(delete(schema.inbox).where(schema.inbox.c.dv == dv, schema.inbox.c.pos <= upto))
