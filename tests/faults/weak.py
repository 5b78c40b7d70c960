"""A relay with one promise broken, for control runs."""

from __future__ import annotations

from typing import Any

from cloister.server.writer import Batch, Writer

EVERY = 6


def ack_before_commit() -> None:
    """Group commit that answers at once and commits only every sixth group."""

    def run(self: Any, waiting: list[Any]) -> tuple[list[Any], list[Any]]:
        if self._conn is None:
            self._conn = self._engine.connect()
            self._held, self._count = self._conn.begin(), 0
        batch = Batch(self._conn, int(self._clock()), self._spheres)
        self._spheres.begin_batch()
        outcomes = [self._one(batch, one) for one in waiting]
        batch.flush()
        self._spheres.store_heads(self._conn)
        self._count += 1
        if self._count % EVERY == 0:
            self._held.commit()
            self._held = self._conn.begin()
        return outcomes, batch.effects

    Writer._run = run  # type: ignore[method-assign]
