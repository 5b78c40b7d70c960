"""The local store: one SQLCipher database per profile, keyed from the vault key.

Holds the verified log, messages, keys, the outbox and every cursor. Each step of work is one transaction that also
moves the cursor, on disk (WAL, synchronous FULL) before anybody hears of it: a crash repeats a step or has done it,
never half of it (CLT-008). Events are collected in the transaction and handed out after its commit (CLT-009).

This module knows SQL and nothing else: no rule of the protocol is decided here.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from sqlcipher3 import dbapi2 as sqlite

from cloister.client.events import Event
from cloister.errors import DiskTrouble, VaultError

SCHEMA_VERSION: Final = 2
_SCHEMA: Final = """
CREATE TABLE meta(k TEXT PRIMARY KEY, v TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE secret(k TEXT PRIMARY KEY, v BLOB NOT NULL) WITHOUT ROWID;
CREATE TABLE cursor(stream TEXT PRIMARY KEY, pos INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE sphere(sph TEXT PRIMARY KEY, data TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE entry(sph TEXT, seq INTEGER, h BLOB NOT NULL, jws TEXT NOT NULL, seen INTEGER NOT NULL,
                   PRIMARY KEY(sph, seq)) WITHOUT ROWID;
CREATE TABLE view(sph TEXT PRIMARY KEY, state TEXT NOT NULL, history TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE attach(sph TEXT, h BLOB, jws TEXT NOT NULL, PRIMARY KEY(sph, h)) WITHOUT ROWID;
CREATE TABLE epoch_key(sph TEXT, n INTEGER, secret BLOB NOT NULL, slot INTEGER NOT NULL DEFAULT 0,
                       PRIMARY KEY(sph, n)) WITHOUT ROWID;
CREATE TABLE chain(sph TEXT, dv TEXT, data TEXT NOT NULL, PRIMARY KEY(sph, dv)) WITHOUT ROWID;
CREATE TABLE message(id INTEGER PRIMARY KEY AUTOINCREMENT, sph TEXT NOT NULL, pos INTEGER NOT NULL, dv TEXT NOT NULL,
                     seq INTEGER NOT NULL, h BLOB NOT NULL, mid TEXT NOT NULL, cid TEXT NOT NULL, author TEXT NOT NULL,
                     at INTEGER NOT NULL, ep INTEGER NOT NULL, ls INTEGER NOT NULL, kind TEXT NOT NULL,
                     re TEXT NOT NULL, body TEXT NOT NULL, jws TEXT NOT NULL, state TEXT NOT NULL, code TEXT NOT NULL,
                     place INTEGER NOT NULL DEFAULT 0, chained INTEGER NOT NULL DEFAULT 0, UNIQUE(sph, dv, seq, h));
CREATE INDEX message_place ON message(sph, place, seq);
CREATE INDEX message_pos ON message(sph, pos);
CREATE INDEX message_mid ON message(sph, mid);
CREATE INDEX message_cid ON message(sph, cid);
CREATE INDEX message_re ON message(sph, re);
CREATE INDEX message_state ON message(sph, state, ep);
CREATE TABLE outbox(n INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT NOT NULL UNIQUE, sph TEXT NOT NULL,
                    state TEXT NOT NULL, data TEXT NOT NULL);
CREATE TABLE pledge(idem TEXT PRIMARY KEY, sph TEXT NOT NULL, data TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE pin(id TEXT PRIMARY KEY, data TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE request(h TEXT PRIMARY KEY, sph TEXT NOT NULL, mine INTEGER NOT NULL, data TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE seen_jti(jti TEXT PRIMARY KEY, at INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE todo(k TEXT PRIMARY KEY, data TEXT NOT NULL) WITHOUT ROWID;
"""
# What leads from each version to the next.
_UPGRADES: Final = {
    1: """
ALTER TABLE message ADD COLUMN place INTEGER NOT NULL DEFAULT 0;
ALTER TABLE message ADD COLUMN chained INTEGER NOT NULL DEFAULT 0;
UPDATE message SET place = CASE pos WHEN 0 THEN 9007199254740991 ELSE pos END;
UPDATE message SET chained = 1, place = found.place FROM (
    SELECT id, max(place) OVER (PARTITION BY sph, dv ORDER BY seq) AS place FROM message
    WHERE state IN ('sent', 'unreadable')) AS found WHERE message.id = found.id;
CREATE INDEX message_place ON message(sph, place, seq)""",
}


class Store:
    """An open database. Not thread-safe: one event loop uses it."""

    def __init__(
        self,
        path: Path,
        key: bytes,
        *,
        publish: Callable[[Iterable[Event]], None] | None = None,
        heard: Callable[[], bool] = lambda: True,
    ) -> None:
        """Open or create. ``key``: 32 bytes; ``heard`` says whether anybody listens, so that a long catch-up need not
        make records for nobody. Raises VaultError for a wrong key or a damaged file, DiskTrouble."""
        self._publish = publish
        self.heard = heard
        self._events: list[Event] | None = None
        self._later: list[Callable[[], None]] = []
        fresh = not path.exists()
        try:
            if fresh:
                path.touch(mode=0o600)
            self._db = sqlite.connect(str(path), timeout=30.0, isolation_level=None)
        except (OSError, sqlite.Error) as error:
            raise DiskTrouble(f"store: {error}") from None
        try:
            self._db.execute(f"PRAGMA key = \"x'{key.hex()}'\"")
            for pragma in ("journal_mode=WAL", "synchronous=FULL", "temp_store=MEMORY", "secure_delete=ON"):
                self._db.execute(f"PRAGMA {pragma}").fetchall()
            version = self._db.execute("PRAGMA user_version").fetchone()[0]
            if version == 0:
                self._create()
            elif version < SCHEMA_VERSION:
                self._upgrade(version)
            elif version > SCHEMA_VERSION:
                raise VaultError("the store was written by a newer version")
        except sqlite.DatabaseError as error:
            self._db.close()
            raise (DiskTrouble(str(error)) if _is_disk(error) else VaultError("the store does not open")) from None
        self._seen_version = self._data_version()

    def _create(self) -> None:
        with self._guard():
            self._db.execute("BEGIN IMMEDIATE")
            if self._db.execute("PRAGMA user_version").fetchone()[0] == 0:
                for statement in _SCHEMA.split(";\n"):
                    if statement.strip():
                        self._db.execute(statement)
                self._db.execute(f"PRAGMA user_version = {SCHEMA_VERSION}")
            self._db.execute("COMMIT")

    def _upgrade(self, version: int) -> None:
        with self._guard():
            self._db.execute("BEGIN IMMEDIATE")
            for step in range(version, SCHEMA_VERSION):
                for statement in _UPGRADES[step].split(";\n"):
                    self._db.execute(statement)
            self._db.execute(f"PRAGMA user_version = {SCHEMA_VERSION}")
            self._db.execute("COMMIT")

    def close(self) -> None:
        """Close; the write-ahead log is folded in."""
        self._db.close()

    @contextmanager
    def _guard(self) -> Iterator[None]:
        try:
            yield
        except sqlite.Error as error:
            if self._db.in_transaction:
                self._db.execute("ROLLBACK")
            if _is_disk(error):
                raise DiskTrouble(str(error)) from None
            raise

    # transactions ------------------------------------------------------------------------------------------------
    @contextmanager
    def step(self) -> Iterator[list[Event]]:
        """One transaction; yields the list that collects its events, published after the commit (CLT-009).

        Nested use joins the outer step. Any exception rolls everything back and publishes nothing.
        """
        if self._events is not None:
            yield self._events
            return
        with self._guard():
            self._db.execute("BEGIN IMMEDIATE")
        self._events = []
        try:
            with self._guard():
                yield self._events
                self._db.execute("COMMIT")
            events = self._events
        except BaseException:
            if self._db.in_transaction:
                self._db.execute("ROLLBACK")
            raise
        finally:
            self._events = None
            later, self._later = self._later, []
            for action in later:
                action()
        if events and self._publish is not None:
            self._publish(events)

    def tell(self, events: Iterable[Event]) -> None:
        """Publish events that are about nothing stored: connection, this device's end."""
        if self._publish is not None:
            self._publish(events)

    def later(self, action: Callable[[], None]) -> None:
        """Run ``action`` when the running step has ended, however it ended; at once outside a step.

        For what must be kept even though the step it was found in is rolled back: a stop and its evidence.
        """
        if self._events is None:
            action()
        else:
            self._later.append(action)

    def _data_version(self) -> int:
        version: int = self._db.execute("PRAGMA data_version").fetchone()[0]
        return version

    def changed_elsewhere(self) -> bool:
        """Whether another process committed since the last call: caches built from the store are then stale."""
        now = self._data_version()
        changed, self._seen_version = now != self._seen_version, now
        return changed

    def run(self, sql: str, *values: Any) -> int:
        """Execute; returns the number of rows changed."""
        with self._guard():
            return int(self._db.execute(sql, values).rowcount)

    def all(self, sql: str, *values: Any) -> list[tuple[Any, ...]]:
        """All rows of a query."""
        with self._guard():
            rows: list[tuple[Any, ...]] = self._db.execute(sql, values).fetchall()
            return rows

    def one(self, sql: str, *values: Any) -> tuple[Any, ...] | None:
        """First row of a query, or None."""
        with self._guard():
            row: tuple[Any, ...] | None = self._db.execute(sql, values).fetchone()
            return row

    # small values ------------------------------------------------------------------------------------------------
    def get(self, key: str, default: Any = None) -> Any:
        """A JSON value of ``meta``."""
        row = self.one("SELECT v FROM meta WHERE k = ?", key)
        return default if row is None else json.loads(row[0])

    def put(self, key: str, value: Any) -> None:
        """Set a JSON value; None deletes it."""
        if value is None:
            self.run("DELETE FROM meta WHERE k = ?", key)
        else:
            self.run("INSERT OR REPLACE INTO meta VALUES (?, ?)", key, json.dumps(value))

    def secret(self, key: str) -> bytes | None:
        """A secret by name, or None."""
        row = self.one("SELECT v FROM secret WHERE k = ?", key)
        return None if row is None else bytes(row[0])

    def put_secret(self, key: str, value: bytes | None) -> None:
        """Set or (None) delete a secret."""
        if value is None:
            self.run("DELETE FROM secret WHERE k = ?", key)
        else:
            self.run("INSERT OR REPLACE INTO secret VALUES (?, ?)", key, value)

    def cursor(self, stream: str) -> int:
        """Last position of a stream stored durably; 0 at the beginning."""
        row = self.one("SELECT pos FROM cursor WHERE stream = ?", stream)
        return 0 if row is None else int(row[0])

    def move(self, stream: str, pos: int) -> None:
        """Move a cursor; inside the step that stored the items."""
        self.run("INSERT OR REPLACE INTO cursor VALUES (?, ?)", stream, pos)

    # JSON rows ---------------------------------------------------------------------------------------------------
    def row(self, table: str, key: str) -> dict[str, Any] | None:
        """The JSON document of ``table`` under its first column."""
        found = self.one(f"SELECT data FROM {table} WHERE {_KEYS[table]} = ?", key)  # noqa: S608 - own table names
        return None if found is None else json.loads(found[0])

    def rows(self, table: str, where: str = "1", *values: Any) -> list[tuple[str, dict[str, Any]]]:
        """(key, document) of every row that matches."""
        order = "n" if table == "outbox" else _KEYS[table]
        query = f"SELECT {_KEYS[table]}, data FROM {table} WHERE {where} ORDER BY {order}"  # noqa: S608 - own names
        found = self.all(query, *values)
        return [(key, json.loads(data)) for key, data in found]


_KEYS: Final = {
    "sphere": "sph",
    "outbox": "id",
    "pledge": "idem",
    "pin": "id",
    "request": "h",
    "todo": "k",
}


def _is_disk(error: Exception) -> bool:
    text = str(error).lower()
    return any(word in text for word in ("full", "disk i/o", "readonly", "unable to open", "locked"))
