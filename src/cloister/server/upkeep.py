"""Upkeep: what has had its time is deleted, a little at a time, as an operation of the writer like any other.

Messages past their sphere's retention keep place, hash and chain and lose their bytes. Ended sessions, used-up
answers, decided requests and the inboxes of revoked devices go. What is committed moves from the database's log into
its file in moments in which nobody writes, so that no commit has to stop for it.

Spec: STR-019, STR-020, API-050, API-054.
"""

from __future__ import annotations

import asyncio
from typing import Final

import structlog
from sqlalchemy import delete, select, update
from sqlalchemy.exc import SQLAlchemyError

from cloister.errors import RelayError
from cloister.server import schema, shredding
from cloister.server.commits import IDEM_LIFE
from cloister.server.core import Relay
from cloister.server.writer import Batch

log = structlog.get_logger("cloister.upkeep")

EVERY: Final = 600.0
# Rows of one sphere emptied in one operation, so that no commit waits long.
SLICE: Final = 500
DAY: Final = 86400
# Commits after which the log is due, how often that is looked at, and how long nobody may have written. The commit that
# begins the log again waits for the disk twice: it is to be one of many hundred, not one of a hundred.
DUE: Final = 500
LOOK: Final = 1.0
QUIET: Final = 0.01


def expire(batch: Batch) -> int:
    """Empty a slice of expired messages; returns how many (STR-019)."""
    s, item, count = schema.sphere.c, schema.item.c, 0
    for row in batch.conn.execute(select(s.n, s.retention).where(s.retention > 0)).all():
        old = (
            select(item.pos)
            .where(
                item.sphere == row.n,
                item.kind == schema.MESSAGE,
                item.deleted.is_(False),
                item.at < batch.now - row.retention * DAY,
            )
            .order_by(item.pos)
            .limit(SLICE)
        )
        gone = [pos for (pos,) in batch.conn.execute(old)]
        if gone:
            empty = update(schema.item).where(item.sphere == row.n, item.pos.in_(gone))
            batch.conn.execute(empty.values(deleted=True, jws=""))
            count += len(gone)
    return count


def sweep(batch: Batch) -> None:
    """Delete what nobody may use any more (API-054)."""
    conn, now = batch.conn, batch.now
    conn.execute(delete(schema.session).where(schema.session.c.until <= now))
    conn.execute(delete(schema.idem).where(schema.idem.c.at < now - IDEM_LIFE))
    conn.execute(delete(schema.join).where(schema.join.c.exp < now))
    conn.execute(delete(schema.ticket).where(schema.ticket.c.exp < now))
    revoked = select(schema.device.c.dv).where(schema.device.c.active.is_(False))
    conn.execute(delete(schema.inbox).where(schema.inbox.c.dv.in_(revoked)))


async def once(relay: Relay) -> None:
    """One round of upkeep."""
    await relay.writer.submit(sweep)
    emptied = SLICE
    while emptied:
        emptied = await relay.writer.submit(expire)
    await relay.writer.submit(shredding.shred)


async def forever(relay: Relay) -> None:
    """Rounds of upkeep until cancelled."""
    while True:
        try:
            await once(relay)
        except RelayError as fault:
            log.warning("upkeep put off", code=fault.code)
        await asyncio.sleep(EVERY)


async def checkpoints(relay: Relay) -> None:
    """Tidy the log when it is due and nobody writes, until cancelled."""
    done = 0
    while True:
        await asyncio.sleep(LOOK)
        if relay.writer.commits - done < DUE:
            continue
        seen = -1
        while seen != relay.writer.commits:
            seen = relay.writer.commits
            await asyncio.sleep(QUIET)
        done = seen
        try:
            await relay.store.checkpoint()
        except SQLAlchemyError as error:
            log.warning("log not tidied", kind=type(error).__name__)
