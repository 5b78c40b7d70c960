"""Retention of keys: what would open expired messages is deleted with them.

Every message of an epoch was taken before the next epoch began. When that is longer ago than a sphere keeps messages,
all of them have lost their bytes, and the epoch's link blobs, slots and waiting shares serve nothing but an attacker.
Messages that a member sent again and that still wait in an inbox go by their age there.

Spec: STR-020.
"""

from __future__ import annotations

from typing import Final

from sqlalchemy import delete, select
from sqlalchemy.engine import Connection

from cloister.errors import CheckFailed
from cloister.protocol import entry as entries
from cloister.protocol import p2p
from cloister.server import inbox, schema
from cloister.server.writer import Batch

DAY: Final = 86400


def shred(batch: Batch) -> int:
    """Delete the keys of dead epochs in every sphere that has a retention; returns how many rows (STR-020)."""
    conn, s, count = batch.conn, schema.sphere.c, 0
    for row in conn.execute(select(s.n, s.sph, s.retention).where(s.retention > 0)).all():
        oldest = batch.now - row.retention * DAY
        running = _running(conn, row.n, oldest)
        if running > 1:
            count += _links(conn, row.n, running) + _slots(conn, row.sph, running)
        count += _letters(conn, row.sph, running, oldest)
    return count


def _running(conn: Connection, sphere: int, oldest: int) -> int:
    """The epoch that was running at ``oldest``: the one after the last entry before it. Earlier ones are dead."""
    item = schema.item.c
    query = select(item.jws).where(item.sphere == sphere, schema.IS_ENTRY, item.at < oldest)
    last = conn.execute(query.order_by(item.seq.desc()).limit(1)).scalar()
    return int(entries.decode(last).ep) if last else 0


def _links(conn: Connection, sphere: int, running: int) -> int:
    """The blob of epoch n holds the key of n - 1."""
    link = schema.link.c
    return int(conn.execute(delete(schema.link).where(link.sphere == sphere, link.n <= running)).rowcount)


def _slots(conn: Connection, sph: str, running: int) -> int:
    slot, begin = schema.slot.c, f"e.{sph}."
    names = conn.execute(select(slot.name).distinct().where(slot.name.startswith(begin, autoescape=True))).scalars()
    dead = [name for name in names if int(name.removeprefix(begin)) < running]
    return int(conn.execute(delete(schema.slot).where(slot.name.in_(dead))).rowcount) if dead else 0


def _letters(conn: Connection, sph: str, running: int, oldest: int) -> int:
    """Waiting shares of dead epochs, and answers that carry messages (CLT-052)."""
    box, count = schema.inbox.c, 0
    query = select(box.dv, box.pos, box.body).where(box.sph == sph, box.kind == inbox.P2P, box.at < oldest)
    for row in conn.execute(query).all():
        try:
            letter = p2p.decode(row.body)
        except CheckFailed:
            continue
        if letter.k == "resend" or (letter.k == "share" and letter.body["n"] < running):
            conn.execute(delete(schema.inbox).where(box.dv == row.dv, box.pos == row.pos))
            count += 1
    return count
