"""Group commit: nothing is acknowledged before COMMIT, nothing half is kept (STR-003 to STR-006)."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import event, insert, select

from cloister.errors import Busy, Conflict, Forbidden, Internal
from cloister.protocol.encoding import b64e
from cloister.server import schema
from cloister.server.writer import Batch
from tests.server.kit import Kit, running


def keep(key: str) -> Any:
    def run(batch: Batch) -> str:
        batch.conn.execute(insert(schema.meta), {"key": key, "value": b"x"})
        return key

    return run


async def stored(kit: Kit) -> set[str]:
    rows = await kit.relay.store.read(lambda conn: conn.execute(select(schema.meta.c.key)).all())
    return {row.key for row in rows if row.key.startswith("t-")}


async def test_what_waits_shares_one_commit(kit: Kit) -> None:
    commits: list[int] = []
    event.listen(kit.relay.store.writing, "commit", lambda _: commits.append(1))
    await asyncio.gather(*(kit.relay.writer.submit(keep(f"t-{n}")) for n in range(100)))
    assert len(commits) < 8  # STR-003: upkeep may have its own
    assert len(await stored(kit)) == 100


async def test_a_refusal_keeps_its_neighbours_and_leaves_nothing(both: Kit) -> None:
    def half(batch: Batch) -> None:
        keep("t-half")(batch)
        raise Forbidden("after a write")

    def broken(batch: Batch) -> None:
        keep("t-broken")(batch)
        raise RuntimeError("a mistake in an operation")

    def twice(batch: Batch) -> None:
        keep("t-before")(batch)

    submit = both.relay.writer.submit
    outcomes = await asyncio.gather(
        *(submit(run) for run in (keep("t-before"), half, broken, twice, keep("t-after"))), return_exceptions=True
    )
    assert [type(one) for one in outcomes] == [str, Forbidden, Internal, Internal, str]  # STR-006
    assert await stored(both) == {"t-before", "t-after"}


async def test_an_answer_never_comes_before_its_commit(kit: Kit) -> None:
    order: list[str] = []
    event.listen(kit.relay.store.writing, "commit", lambda _: order.append("commit"))
    kit.relay.writer.enqueue(keep("t-1"), lambda outcome: order.append(f"answer {outcome}"))
    await kit.relay.writer.submit(keep("t-2"))
    assert order[-2:] == ["commit", "answer t-1"]  # STR-004: upkeep may have committed before


async def test_a_full_disk_acknowledges_nothing_and_recovers(tmp_path: Path) -> None:
    async with running(tmp_path) as kit:
        room = await kit.populate(2)
        live = await kit.socket(kit.bots[0])
        await live.say({"t": "sub", "i": 1, "streams": {room.sph: 0}})
        await live.until("live")
        head = kit.relay.views[room.sph].state.seq + 1

        def limit(pages: str) -> Any:
            return lambda batch: batch.conn.exec_driver_sql(f"PRAGMA max_page_count = {pages}").scalar()

        used = await kit.relay.store.read(lambda conn: conn.exec_driver_sql("PRAGMA page_count").scalar())
        await kit.relay.writer.submit(limit(str(used)))  # the file may not grow: SQLite's own "disk is full"
        path = f"/v1/spheres/{room.sph}/messages"
        compact = room.say(kit.bots[1], "x" * 30_000)
        refused = await kit.ask("POST", path, {"jws": compact}, as_=kit.bots[1])
        assert (refused.status, json.loads(refused.body)["code"]) == (503, "E_BUSY")
        await kit.relay.writer.submit(limit("1073741823"))
        answer = await kit.ask("POST", path, {"jws": compact}, as_=kit.bots[1])
        assert json.loads(answer.body) == {"pos": head + 1}  # the position was not used up
        assert (await live.until("item"))["pos"] == head + 1  # and nothing was delivered before


async def test_a_stopping_writer_finishes_what_waits(kit: Kit) -> None:
    waiting = [asyncio.create_task(kit.relay.writer.submit(keep(f"t-{n}"))) for n in range(20)]
    await asyncio.sleep(0)
    closing = asyncio.create_task(kit.relay.writer.close())
    assert await asyncio.gather(*waiting) == [f"t-{n}" for n in range(20)]
    await closing
    with pytest.raises(Busy):
        await kit.relay.writer.submit(keep("t-late"))
    assert len(await stored(kit)) == 20


async def test_integrity_refusals_do_not_touch_a_sphere_in_the_same_commit(kit: Kit) -> None:
    room = await kit.populate(2)
    path = f"/v1/spheres/{room.sph}/messages"
    first = room.say(kit.bots[1], "beside a broken neighbour")

    def broken(batch: Batch) -> None:
        sphere = batch.spheres.get(batch.conn, room.sph)
        assert sphere is not None
        sphere.next_pos += 7  # a half-done operation that dies
        raise RuntimeError

    outcomes = await asyncio.gather(
        kit.ask("POST", path, {"jws": first}, as_=kit.bots[1]),
        kit.relay.writer.submit(broken),
        return_exceptions=True,
    )
    assert isinstance(outcomes[1], Internal)
    room.said(kit.bots[1], first)
    await kit.say(kit.bots[1], "goes on without a hole")
    found = json.loads((await kit.ask("GET", f"/v1/spheres/{room.sph}/items", as_=kit.bots[0])).body)
    assert [row["pos"] for row in found["items"]] == list(range(1, found["head"] + 1))
    assert b64e(kit.bots[1].digest) in str(
        (await kit.ask("GET", f"/v1/spheres/{room.sph}/heads", as_=kit.bots[0])).body
    )


async def test_a_conflict_is_a_refusal_and_no_fault(kit: Kit) -> None:
    def run(batch: Batch) -> None:
        raise Conflict("as it happens")

    with pytest.raises(Conflict):
        await kit.relay.writer.submit(run)
