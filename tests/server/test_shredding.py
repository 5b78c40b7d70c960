"""What would open expired messages goes with them, on both databases."""

from __future__ import annotations

from dataclasses import replace

from sqlalchemy import Connection, select

from cloister.server import schema, upkeep
from cloister.sphere import compose
from tests.server.kit import Kit


def _links(conn: Connection) -> list[int]:
    return sorted(conn.execute(select(schema.link.c.n)).scalars())


def _shares(conn: Connection) -> int:
    return len(conn.execute(select(schema.inbox.c.pos).where(schema.inbox.c.kind == "p2p")).all())


async def test_link_blobs_and_waiting_shares_of_dead_epochs_go(both: Kit) -> None:
    """STR-020: an epoch is dead when its successor is older than the retention; the running one never is."""
    room, read = await both.populate(2), both.relay.store.read
    assert room.state is not None
    for _ in range(2):
        await both.commit(room.owner, room.draft(room.owner, compose.Rotate()))
    policy = replace(room.state.policy, retention=1)
    await both.commit(room.owner, room.draft(room.owner, compose.SetPolicy(policy)))
    before, waiting = await read(_links), await read(_shares)
    assert len(before) >= 2
    assert waiting >= 3
    await upkeep.once(both.relay)
    assert (await read(_links), await read(_shares)) == (before, waiting)
    both.clock.forward(2 * 86400)
    await upkeep.once(both.relay)
    assert await read(_links) == []
    assert 0 < await read(_shares) < waiting
