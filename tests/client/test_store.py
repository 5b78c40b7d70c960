"""The local store: one transaction per step, events after the commit, nothing readable without the key."""

from __future__ import annotations

from pathlib import Path

import pytest

from cloister.client.events import Connected, Event
from cloister.client.store import Store
from cloister.errors import DiskTrouble, VaultError

KEY = bytes(range(32))


def test_reopens_with_its_key_only(tmp_path: Path) -> None:
    """CLT-008: the file is SQLCipher under the vault key."""
    path = tmp_path / "store.db"
    store = Store(path, KEY)
    store.put("word", "canary-7f3a")
    store.put_secret("k", b"canary-7f3a")
    store.close()
    assert b"canary" not in path.read_bytes()
    assert b"SQLite format" not in path.read_bytes()
    with pytest.raises(VaultError):
        Store(path, bytes(32))
    again = Store(path, KEY)
    assert again.get("word") == "canary-7f3a"
    assert again.secret("k") == b"canary-7f3a"
    assert again.one("PRAGMA journal_mode") == ("wal",)
    assert again.one("PRAGMA synchronous") == (2,)
    again.close()


def test_a_step_is_all_or_nothing_and_events_wait_for_it(tmp_path: Path) -> None:
    """CLT-008, CLT-009."""
    heard: list[Event] = []
    store = Store(tmp_path / "store.db", KEY, publish=heard.extend)
    with pytest.raises(RuntimeError), store.step() as events:  # noqa: PT012 - the step is the statement
        store.put("a", 1)
        store.move("inbox", 7)
        events.append(Connected(""))
        raise RuntimeError
    assert store.get("a") is None
    assert store.cursor("inbox") == 0
    assert heard == []
    with store.step() as events:
        store.put("a", 1)
        with store.step() as inner:
            store.move("inbox", 7)
            inner.append(Connected(""))
        assert heard == []
    assert (store.get("a"), store.cursor("inbox"), heard) == (1, 7, [Connected("")])
    store.close()


def test_a_full_disk_is_said_and_loses_nothing(tmp_path: Path) -> None:
    """CLT-008: a step that does not fit is refused whole."""
    heard: list[Event] = []
    store = Store(tmp_path / "store.db", KEY, publish=heard.extend)
    store.put("kept", "yes")
    store.run("PRAGMA max_page_count = 1")
    with pytest.raises(DiskTrouble), store.step() as events:  # noqa: PT012 - the step is the statement
        events.append(Connected(""))
        for n in range(200):
            store.put(f"k{n}", "x" * 4000)
    assert heard == []
    assert store.get("kept") == "yes"
    assert store.get("k0") is None
    store.close()


def test_another_process_is_noticed(tmp_path: Path) -> None:
    """CLT-012: caches are stale after somebody else's commit."""
    one, two = Store(tmp_path / "store.db", KEY), Store(tmp_path / "store.db", KEY)
    one.changed_elsewhere()
    assert not one.changed_elsewhere()
    two.put("a", 1)
    assert one.changed_elsewhere()
    assert not one.changed_elsewhere()
    one.close()
    two.close()


@pytest.mark.parametrize(
    "query", ["sph = ? AND author = ? AND cid = ?", "sph = ? AND re IN (?, ?)", "sph = ? AND mid = ?"]
)
def test_long_histories_are_searched_by_index(tmp_path: Path, query: str) -> None:
    """CLT-011: what is asked once per message must not walk through all of them."""
    store = Store(tmp_path / "store.db", KEY)
    name = {"cid": "message_cid", "re": "message_re", "mid": "message_mid"}[query.split(" AND ")[-1].split()[0]]
    plan = store.all(
        f"EXPLAIN QUERY PLAN SELECT id FROM message INDEXED BY {name} WHERE {query}", *"abc"[: query.count("?")]
    )
    assert all(name in row[3] and "sph=? AND" in row[3] for row in plan if "SEARCH" in row[3])
    store.close()


def test_a_page_of_a_long_history_is_read_from_its_index(tmp_path: Path) -> None:
    """CLT-011: neither the newest rows nor the ones before a row need a sort of everything."""
    store = Store(tmp_path / "store.db", KEY)
    order = "ORDER BY place DESC, seq DESC, id DESC LIMIT 50"
    for where, values in (("sph = ?", "a"), ("sph = ? AND (place, seq, id) < (?, ?, ?)", "a123")):
        plan = store.all(f"EXPLAIN QUERY PLAN SELECT * FROM message WHERE {where} {order}", *values)
        assert ["message_place" in row[3] for row in plan] == [True]
    store.close()


def test_a_store_of_the_first_version_is_brought_up_to_date(tmp_path: Path) -> None:
    """CLT-008, CLT-011: rows get their places by position and chain; what was written stays."""
    path = tmp_path / "store.db"
    store = Store(path, KEY)
    for change in ("DROP INDEX message_place", "ALTER TABLE message DROP COLUMN place",
                   "ALTER TABLE message DROP COLUMN chained", "PRAGMA user_version = 1"):  # fmt: skip
        store.run(change)
    for at, (pos, dv, seq, state) in enumerate(
        [(1, "a", 1, "sent"), (4, "a", 2, "sent"), (3, "a", 3, "sent"), (2, "b", 1, "sent"), (0, "b", 2, "sent"),
         (5, "b", 3, "quarantined")]
    ):  # fmt: skip
        store.run(
            "INSERT INTO message (sph, pos, dv, seq, h, mid, cid, author, at, ep, ls, kind, re, body, jws, state, code)"
            " VALUES ('s', ?, ?, ?, ?, '', '', '', 0, 1, 1, 'msg', '', '{}', '', ?, '')",
            pos, dv, seq, bytes([at]), state,
        )  # fmt: skip
    store.close()
    again = Store(path, KEY)
    rows = again.all("SELECT dv, seq, chained FROM message WHERE sph = 's' ORDER BY place, seq, id")
    assert rows == [("a", 1, 1), ("b", 1, 1), ("a", 2, 1), ("a", 3, 1), ("b", 3, 0), ("b", 2, 1)]
    assert again.one("PRAGMA user_version") == (2,)
    again.close()
