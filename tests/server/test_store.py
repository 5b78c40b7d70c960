"""The database at rest: steps, pragmas, what is deleted in time (API-050, API-051, API-053, API-054)."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import func, inspect, select, text

from cloister.errors import DiskTrouble
from cloister.protocol.encoding import b64e
from cloister.server import schema, upkeep
from cloister.server.app import create_app
from cloister.server.settings import Settings
from cloister.server.store import Store
from tests.server.kit import Kit, running


def test_the_steps_lead_to_the_schema(tmp_path: Path, database: str) -> None:
    store = Store(Settings(tmp_path, database=database).database_url)
    store.migrate()
    store.migrate()  # API-051: a second time changes nothing
    with store.writing.begin() as connection:
        found = compare_metadata(MigrationContext.configure(connection), schema.metadata)
        names = set(inspect(connection).get_table_names())
    store.close()
    assert found == []
    assert names == {*schema.metadata.tables, "alembic_version"}


def test_stored_shortcuts_are_moved(tmp_path: Path, database: str) -> None:
    store = Store(Settings(tmp_path, database=database).database_url)
    store.migrate("0001")
    old = text(
        "INSERT INTO sphere (n, sph, head_seq, next_pos, mode, retention, snap_seq, snap)"
        " VALUES (:n, :sph, 70, 80, 'e2ee', 0, :seq, :snap)"
    )
    with store.writing.begin() as connection:
        connection.execute(old, {"n": 1, "sph": "sp-1", "seq": -1, "snap": None})
        connection.execute(old, {"n": 2, "sph": "sp-2", "seq": 64, "snap": b"state"})
    store.migrate()  # API-051
    with store.writing.begin() as connection:
        kept = [(row.sphere, row.seq, bytes(row.state)) for row in connection.execute(select(schema.snapshot))]
        heads = connection.execute(select(schema.sphere.c.n, schema.sphere.c.next_pos).order_by(schema.sphere.c.n))
        assert [tuple(row) for row in heads] == [(1, 80), (2, 80)]
    store.close()
    assert kept == [(2, 64, b"state")]


def test_messages_are_chained(tmp_path: Path, database: str) -> None:
    store = Store(Settings(tmp_path, database=database).database_url)
    store.migrate("0002")
    old = text(
        "INSERT INTO item (sphere, pos, kind, dv, seq, h, ls, at, deleted, jws)"
        " VALUES (:sphere, :pos, :kind, :dv, :seq, :h, 0, 1, :gone, :jws)"
    )
    rows: list[dict[str, object]] = []
    seqs = {"": -1, "dv-a": 0, "dv-b": 0}
    for pos in range(1, 901):  # an entry, then one author twice as often as the other; two spheres side by side
        dv = "" if pos % 300 == 1 else "dv-b" if pos % 3 == 0 else "dv-a"
        seqs[dv] += 1
        one = {"pos": pos, "kind": int(dv != ""), "dv": dv, "seq": seqs[dv], "h": b"%d" % pos, "jws": f"jws {pos}"}
        rows += [{**one, "sphere": 1, "gone": pos < 5}, {**one, "sphere": 2, "gone": False}]
    with store.writing.begin() as connection:
        connection.execute(old, rows)
    store.migrate()  # API-051
    item, end = schema.item.c, schema.chain.c
    with store.writing.begin() as connection:
        held = connection.execute(select(schema.item).order_by(item.sphere, item.pos)).all()
        ends = connection.execute(select(schema.chain).order_by(end.sphere, end.dv)).all()
    store.close()
    before = sorted(rows, key=lambda row: (row["sphere"], row["pos"]))
    kept = [(r.sphere, r.pos, r.kind, r.dv, r.seq, bytes(r.h), r.deleted, r.jws) for r in held]
    assert kept == [tuple(row[k] for k in ("sphere", "pos", "kind", "dv", "seq", "h", "gone", "jws")) for row in before]
    at = {(row.sphere, row.dv, row.seq): row.pos for row in held}
    for row in held:
        own = (row.sphere, row.dv)
        mark = (row.seq - 1) // schema.STRIDE * schema.STRIDE
        expected = (at.get((*own, row.seq - 1), 0), at.get((*own, mark), 0)) if row.kind else (0, 0)
        assert (row.prev, row.mark) == expected
    assert [(r.sphere, r.dv, r.seq, r.pos, bytes(r.h), r.mark) for r in ends] == [
        (row.sphere, row.dv, row.seq, row.pos, bytes(row.h), row.mark)
        for row in sorted(held, key=lambda row: (row.sphere, row.dv))
        if row.kind and row.seq == seqs[row.dv]
    ]


async def test_the_log_is_tidied_while_readers_and_the_writer_go_on(tmp_path: Path) -> None:
    async with running(tmp_path) as kit:
        await kit.populate(2)
        reading = kit.relay.store.reading.connect()
        before = reading.execute(select(func.count()).select_from(schema.item)).scalar_one()
        await kit.say(kit.bots[1], "while somebody reads")
        await kit.relay.store.checkpoint()
        assert reading.execute(select(func.count()).select_from(schema.item)).scalar_one() == before
        reading.close()
        await kit.relay.store.checkpoint()
        await kit.say(kit.bots[1], "afterwards")
        raw = kit.relay.store.reading.raw_connection()
        busy, logged, moved = raw.cursor().execute("PRAGMA wal_checkpoint(PASSIVE)").fetchone()
        raw.close()
        assert (busy, logged) == (0, moved)
        assert logged < 20  # the log began again: everything before was in the file


def test_sqlite_keeps_what_it_says(tmp_path: Path) -> None:
    store = Store(Settings(tmp_path).database_url)
    with store.writing.begin() as connection:
        held = {
            name: connection.exec_driver_sql(f"PRAGMA {name}").scalar()
            for name in ("journal_mode", "synchronous", "secure_delete")
        }
    store.close()
    assert held == {"journal_mode": "wal", "synchronous": 2, "secure_delete": 1}  # API-050


async def test_keys_lie_beside_the_database_and_stay(tmp_path: Path) -> None:
    async with running(tmp_path) as kit:
        await kit.populate(1)
        key, realm = (tmp_path / "server.key").read_bytes(), kit.relay.realm
    for name in ("server.key", "pepper.db"):
        assert (tmp_path / name).stat().st_mode & 0o077 == 0  # API-053
    async with running(tmp_path) as kit:
        assert ((tmp_path / "server.key").read_bytes(), kit.relay.realm) == (key, realm)
    assert key not in (tmp_path / "relay.db").read_bytes()


def test_a_folder_that_cannot_be_used_is_named(tmp_path: Path) -> None:
    (tmp_path / "server.key").mkdir()
    with pytest.raises(DiskTrouble, match=r"server\.key"):
        create_app(Settings(tmp_path)).relay.open()


async def test_what_has_ended_is_deleted(both: Kit) -> None:
    room = await both.populate(2)
    asker = await both.enlist("asker")
    await both.ask("POST", "/v1/joins", {"jws": asker.wants_in(room.sph, both.relay.now)}, as_=asker)
    await both.ask("POST", "/v1/admin/tickets", {"uses": 1, "seconds": 60}, as_=both.bots[0])
    both.clock.forward(400 * 86400)
    await upkeep.once(both.relay)
    counts = await both.relay.store.read(
        lambda conn: {
            name: conn.execute(select(func.count()).select_from(schema.metadata.tables[name])).scalar_one()
            for name in ("session", "idem", "join", "ticket", "account", "item")
        }
    )
    # API-054; the set-up ticket and everything else stays
    assert {name: counts[name] for name in ("session", "idem", "join", "ticket")} == {
        "session": 0,
        "idem": 0,
        "join": 0,
        "ticket": 1,
    }
    assert counts["account"] == 3
    assert counts["item"] > 2


async def test_the_origins_are_told(tmp_path: Path) -> None:
    async with running(tmp_path, origins=("https://relay.example",), tls_names=("box.local",)) as kit:
        info = await kit.calls().server()
        assert info.origins[0] == "https://relay.example"  # API-010
        assert {"http://localhost:8420", "http://127.0.0.1:8420", "http://box.local:8420"} <= set(info.origins)
        assert info.realm == b64e(kit.relay.realm)
        assert info.setup


def test_errors_of_the_database_do_not_carry_what_was_stored(tmp_path: Path) -> None:
    store = Store(Settings(tmp_path).database_url)
    secret = os.urandom(12).hex()
    with pytest.raises(Exception, match="no such table") as fault, store.writing.begin() as connection:
        connection.execute(schema.meta.insert(), {"key": secret, "value": b"x"})
    store.close()
    assert secret not in str(fault.value)  # API-064
