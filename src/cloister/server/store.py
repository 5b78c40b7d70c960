"""The database behind the relay: one writing connection, a few reading ones, and the pragmas that make them safe.

Knows SQLAlchemy engines for SQLite (WAL, synchronous FULL) and PostgreSQL (psycopg). Refuses to know what is stored.

Spec: API-050, API-051.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Final, TypeVar

from alembic import command
from alembic.config import Config
from sqlalchemy import Connection, Engine, create_engine, event
from sqlalchemy.pool import QueuePool

READERS: Final = 4
# Pages of the log after which a commit moves them into the database file itself, because nobody found the time.
LOG_PAGES: Final = 4000
T = TypeVar("T")


def make_engine(url: str, *, writer: bool) -> Engine:
    """An engine for one role. Readers of SQLite see the last commit and never block the writer."""
    size = 1 if writer else READERS
    if not url.startswith("sqlite"):
        # hide_parameters: an error text must not carry what was being stored.
        return create_engine(url, pool_size=size, max_overflow=0, pool_pre_ping=not writer, hide_parameters=True)
    engine = create_engine(
        url,
        poolclass=QueuePool,
        pool_size=size,
        max_overflow=0,
        connect_args={"check_same_thread": False},
        hide_parameters=True,
    )

    @event.listens_for(engine, "connect")
    def on_connect(connection: Any, record: Any) -> None:
        connection.isolation_level = None
        cursor = connection.cursor()
        cursor.execute("PRAGMA busy_timeout = 5000")
        # Before the file is made: pages that hold three messages where the usual size holds one.
        cursor.execute("PRAGMA page_size = 8192")
        cursor.execute("PRAGMA journal_mode = WAL")
        cursor.execute("PRAGMA synchronous = FULL")
        cursor.execute(f"PRAGMA wal_autocheckpoint = {LOG_PAGES}")
        cursor.execute("PRAGMA foreign_keys = ON")
        cursor.execute("PRAGMA secure_delete = ON")
        cursor.close()

    @event.listens_for(engine, "begin")
    def on_begin(connection: Connection) -> None:
        connection.exec_driver_sql("BEGIN IMMEDIATE" if writer else "BEGIN")

    return engine


class Store:
    """Engines and the reading threads. ``open`` brings the schema up to date first."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.sqlite = url.startswith("sqlite")
        self.writing = make_engine(url, writer=True)
        self.reading = make_engine(url, writer=False)
        self._threads = ThreadPoolExecutor(READERS, thread_name_prefix="reader")

    def migrate(self, step: str = "head") -> None:
        """Bring the database to the present form (API-051), or to that of an earlier step."""
        config = Config()
        config.set_main_option("script_location", str(Path(__file__).parent / "migrations").replace("%", "%%"))
        config.set_main_option("path_separator", "os")
        with self.writing.begin() as connection:
            config.attributes["connection"] = connection
            command.upgrade(config, step)

    async def read(self, query: Callable[[Connection], T]) -> T:
        """Run ``query`` with a reading connection in a reading thread."""
        return await asyncio.get_running_loop().run_in_executor(self._threads, self.read_now, query)

    def read_now(self, query: Callable[[Connection], T]) -> T:
        """The same in the calling thread."""
        with self.reading.connect() as connection:
            return query(connection)

    async def checkpoint(self) -> None:
        """Move what is committed from SQLite's log into the database file; neither readers nor the writer wait."""
        if self.sqlite:
            await asyncio.get_running_loop().run_in_executor(self._threads, self._checkpoint)

    def _checkpoint(self) -> None:
        raw = self.reading.raw_connection()
        try:
            cursor = raw.cursor()
            cursor.execute("PRAGMA wal_checkpoint(PASSIVE)")
            cursor.close()
        finally:
            raw.close()

    def close(self) -> None:
        self._threads.shutdown(wait=True)
        self.reading.dispose()
        self.writing.dispose()
