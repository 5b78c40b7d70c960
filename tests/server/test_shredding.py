"""What would open expired messages goes with them, on both databases."""

from __future__ import annotations

from dataclasses import replace

from sqlalchemy import Connection, select

from cloister.protocol import jws
from cloister.protocol.encoding import b64e
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


async def test_messages_sent_again_wait_no_longer_than_retention(both: Kit) -> None:
    """STR-020, CLT-052: an answer that nobody fetched goes with what it carries; the question stays harmless."""
    room, read = await both.populate(2), both.relay.store.read
    assert room.state is not None
    policy = replace(room.state.policy, retention=1)
    await both.commit(room.owner, room.draft(room.owner, compose.SetPolicy(policy)))
    other = both.bots[1]
    waiting = await read(_shares)
    for k, members in (("resend", {"msgs": ["e30.e30.e30"]}), ("resend-ask", {"seqs": [1]})):
        payload = {"k": k, "sph": room.sph, "iat": int(both.clock()), "jti": b64e(k.encode().ljust(16))}
        payload |= {"dv": room.owner.dv, **members}
        letter = jws.sign("sph-p2p+1", {"kid": room.owner.dv}, payload, room.owner.author.signer)
        body = {"to": [other.dv], "jws": letter}
        assert (await both.ask("POST", "/v1/inbox", body, as_=room.owner)).status == 200
    assert await read(_shares) == waiting + 2
    both.clock.forward(2 * 86400)
    await upkeep.once(both.relay)
    assert await read(_shares) == waiting + 1
