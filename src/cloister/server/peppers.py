"""Peppers of PIN-locked devices, in a file of their own that no backup holds.

A restored copy would bring tries and deleted peppers back, so ``pepper.db`` is separate and excluded. Every step of an
attempt is its own committed transaction; the try is spent before anything is compared.

Spec: VLT-013 to VLT-015, API-053.
"""

from __future__ import annotations

import os
import sqlite3
import threading
from pathlib import Path

from cloister.account import unlock_server
from cloister.account.unlock_server import Row


class Peppers:
    """One connection under a lock: attempts are rare and must not overlap."""

    def __init__(self, path: Path) -> None:
        os.close(os.open(path, os.O_RDWR | os.O_CREAT, 0o600))
        self._db = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
        self._lock = threading.Lock()
        for pragma in ("journal_mode=WAL", "synchronous=FULL", "secure_delete=ON", "busy_timeout=5000"):
            self._db.execute(f"PRAGMA {pragma}")
        self._db.execute(
            "CREATE TABLE IF NOT EXISTS pepper (account TEXT, dev TEXT PRIMARY KEY, uk BLOB, tag BLOB, pep BLOB, "
            '"left" INTEGER)'
        )

    def close(self) -> None:
        self._db.close()

    def enrol(self, account: str, row: Row) -> None:
        """Store an enrolment; an earlier one of the same device is replaced."""
        values = (account, row.dev, row.uk, row.tag, row.pep, row.left)
        with self._lock:
            self._db.execute("INSERT OR REPLACE INTO pepper VALUES (?, ?, ?, ?, ?, ?)", values)

    def open(self, dev: str, realm: bytes, nonce: bytes, tag: bytes, sig: bytes) -> bytes:
        """One attempt. Raises AuthFailed, with ``left`` once the device has proved itself."""
        with self._lock:
            unlock_server.admit(self._read(dev), realm, nonce, tag, sig)
            taken = self._db.execute('UPDATE pepper SET "left" = "left" - 1 WHERE dev = ? AND "left" > 0', (dev,))
            row = self._read(dev)
            assert row is not None
            if taken.rowcount != 1:
                unlock_server.spend(row)
            judged = unlock_server.judge(row, tag)
            self._db.execute(
                'UPDATE pepper SET pep = ?, "left" = ? WHERE dev = ?', (judged.row.pep, judged.row.left, dev)
            )
            return judged.release()

    def forget(self, dev: str) -> None:
        """Delete the row of a revoked device."""
        with self._lock:
            self._db.execute("DELETE FROM pepper WHERE dev = ?", (dev,))

    def devices(self) -> list[str]:
        """The devices that have a row."""
        with self._lock:
            return [dev for (dev,) in self._db.execute("SELECT dev FROM pepper")]

    def _read(self, dev: str) -> Row | None:
        found = self._db.execute('SELECT dev, uk, tag, pep, "left" FROM pepper WHERE dev = ?', (dev,)).fetchone()
        return Row(*found) if found else None
