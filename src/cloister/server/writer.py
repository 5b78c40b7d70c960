"""Group commit: one thread runs waiting operations inside one transaction and commits once for all of them.

An operation is a function of a ``Batch``; it raises a RelayError to refuse, and what it returns reaches its caller
only after COMMIT has returned. Operations that check everything before their first write run bare; all others run in
a savepoint of their own, so that a refusal leaves nothing behind. When the commit fails, every operation of the batch
fails, nothing is acknowledged, and the cached sphere states are dropped and read again.

Knows transactions, futures and effects. Refuses to know what an operation means.

Spec: STR-003, STR-004, STR-005, STR-006.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from queue import SimpleQueue
from threading import Thread
from typing import Any, Final, Protocol, TypeVar

import msgspec
import structlog
from sqlalchemy import Connection, insert, text
from sqlalchemy.exc import DBAPIError, IntegrityError, OperationalError

from cloister.errors import Busy, CloisterError, Internal, RelayError
from cloister.server import schema
from cloister.server.prepared import Prepared, Row
from cloister.server.spheres import SphereCache

log = structlog.get_logger("cloister.writer")

# One commit for at most this many operations: bounds the wait of the first one.
MAX_BATCH: Final = 512
# Turns of the loop without news after which a batch is closed, and turns after which it is closed anyway.
QUIET: Final = 2
LOOKS: Final = 12
# Operations waiting for the writer before new ones are refused as busy.
MAX_WAITING: Final = 20_000

T = TypeVar("T")


@dataclass(slots=True)
class Batch:
    """What an operation works with: the connection, the time, cached spheres, pending rows and effects.

    ``rows`` collects stream rows, and ``chains`` the ends of chains, in their tables' order, that are written in one
    statement before the commit or before the next operation that reads; ``effects`` are handed to the hub after the
    commit, in order.
    """

    conn: Connection
    now: int
    spheres: SphereCache
    rows: list[Row] = field(default_factory=list)
    chains: dict[tuple[int, str], Row] = field(default_factory=dict)
    effects: list[Any] = field(default_factory=list)

    def flush(self) -> None:
        """Write the pending stream rows."""
        if self.rows:
            _INSERT_ITEM.run_each(self.conn, self.rows)
            self.rows = []
        if self.chains:
            _SET_CHAIN.run_each(self.conn, list(self.chains.values()))
            self.chains = {}


_INSERT_ITEM: Final = Prepared(insert(schema.item), *(column.name for column in schema.item.columns))
_SET_CHAIN: Final = Prepared(
    text(
        "INSERT INTO chain (sphere, dv, seq, h, ls, pos, mark) VALUES (:sphere, :dv, :seq, :h, :ls, :pos, :mark)"
        " ON CONFLICT (sphere, dv) DO UPDATE SET"
        " seq = excluded.seq, h = excluded.h, ls = excluded.ls, pos = excluded.pos, mark = excluded.mark"
    ),
    *(column.name for column in schema.chain.columns),
)


class Operation(Protocol):
    """A bare operation: refuses before it writes, or not at all."""

    def __call__(self, batch: Batch) -> Any: ...


class Waiting(msgspec.Struct, frozen=True):
    """An operation and where its outcome goes. ``done`` is called in the loop's thread."""

    run: Callable[[Batch], Any]
    savepoint: bool
    done: Callable[[Any], None]


class Writer:
    """The queue and its thread. All methods are called from the event loop."""

    def __init__(
        self,
        engine: Any,
        spheres: SphereCache,
        clock: Callable[[], float],
        publish: Callable[[Sequence[Any]], None],
    ) -> None:
        self._engine = engine
        self._spheres = spheres
        self._clock = clock
        self._publish = publish
        self._thread: Thread | None = None
        self._groups: SimpleQueue[list[Waiting] | None] = SimpleQueue()
        self._queue: list[Waiting] = []
        self._running = False
        self._closed = False
        self.commits = 0
        self._idle = asyncio.Event()
        self._idle.set()
        self._conn: Connection | None = None

    def enqueue(self, run: Callable[[Batch], Any], done: Callable[[Any], None], *, savepoint: bool = True) -> None:
        """Queue an operation; ``done`` gets its value or the exception it raised. Raises Busy when too many wait."""
        if self._closed:
            raise Busy("stopping", retry_after=5)
        if len(self._queue) >= MAX_WAITING:
            raise Busy("queue full", retry_after=1)
        self._queue.append(Waiting(run, savepoint, done))
        if not self._running:
            self._running = True
            self._idle.clear()
            self._gather(0, 0, LOOKS)

    async def submit(self, run: Callable[[Batch], T], *, savepoint: bool = True) -> T:
        """Queue an operation and wait for its commit. Raises what it raised."""
        future: asyncio.Future[T] = asyncio.get_running_loop().create_future()

        def done(outcome: Any) -> None:
            if future.cancelled():
                return
            if isinstance(outcome, BaseException):
                future.set_exception(outcome)
            else:
                future.set_result(outcome)

        self.enqueue(run, done, savepoint=savepoint)
        return await future

    async def close(self) -> None:
        """Refuse new operations, finish those that wait, end the thread."""
        self._closed = True
        await self._idle.wait()
        if self._thread is not None:
            self._groups.put(None)
            await asyncio.to_thread(self._thread.join)
            self._thread = None

    @property
    def waiting(self) -> int:
        return len(self._queue)

    def _gather(self, known: int, quiet: int, looks: int) -> None:
        """Start once two turns of the loop brought nothing new: what arrives together is committed together.

        Under load this makes one commit and one frame a reader of what would be two or more; when the relay is idle
        two turns take some microseconds.
        """
        now = len(self._queue)
        quiet = quiet + 1 if now == known else 0
        if quiet >= QUIET or looks == 0 or now >= MAX_BATCH:
            self._start()
        else:
            asyncio.get_running_loop().call_soon(self._gather, now, quiet, looks - 1)

    def _start(self) -> None:
        batch, self._queue = self._queue[:MAX_BATCH], self._queue[MAX_BATCH:]
        if not batch:
            self._running = False
            self._idle.set()
            return
        if self._thread is None:
            loop = asyncio.get_running_loop()
            self._thread = Thread(target=self._work, args=(loop,), name="writer", daemon=True)
            self._thread.start()
        self._groups.put(batch)

    def _finish(self, batch: list[Waiting], outcomes: list[Any], effects: list[Any]) -> None:
        self.commits += 1
        if effects:
            self._publish(effects)
        for waiting, outcome in zip(batch, outcomes, strict=True):
            waiting.done(outcome)
        if self._queue:
            self._gather(0, 0, LOOKS)
        else:
            self._start()

    # --- in the writer's thread ---

    def _work(self, loop: asyncio.AbstractEventLoop) -> None:
        """Group after group, until there is None."""
        while (batch := self._groups.get()) is not None:
            loop.call_soon_threadsafe(self._finish, batch, *self._run(batch))
        self._disconnect()

    def _run(self, waiting: list[Waiting]) -> tuple[list[Any], list[Any]]:
        try:
            if self._conn is None:
                self._conn = self._engine.connect()
            with self._conn.begin():
                batch = Batch(self._conn, int(self._clock()), self._spheres)
                self._spheres.begin_batch()
                outcomes = [self._one(batch, one) for one in waiting]
                batch.flush()
                self._spheres.store_heads(self._conn)
        except Exception as error:  # noqa: BLE001 - whatever failed, nothing of the batch is acknowledged
            self._spheres.drop_all()
            self._disconnect()
            refusal = _refusal(error)
            log.error("commit failed", kind=type(error).__name__, operations=len(waiting), code=refusal.code)
            return [refusal] * len(waiting), []
        return outcomes, batch.effects

    def _one(self, batch: Batch, one: Waiting) -> Any:
        kept = len(batch.effects)
        try:
            if not one.savepoint:
                return one.run(batch)
            batch.flush()
            self._spheres.store_heads(batch.conn)
            with batch.conn.begin_nested():
                return one.run(batch)
        except CloisterError as refusal:
            del batch.effects[kept:]
            return refusal
        except Exception as error:
            # A database that fails, and a bare operation that breaks its promise, take the whole batch with them.
            if not one.savepoint or (isinstance(error, DBAPIError) and not isinstance(error, IntegrityError)):
                raise
            del batch.effects[kept:]
            batch.rows.clear()
            batch.chains.clear()
            self._spheres.forget_touched()
            log.exception("operation failed", kind=type(error).__name__)
            return Internal("operation")

    def _disconnect(self) -> None:
        if self._conn is not None:
            try:
                self._conn.close()
            except Exception as error:  # noqa: BLE001 - the connection is given up either way
                log.warning("connection not closed cleanly", kind=type(error).__name__)
                self._conn.invalidate()
            self._conn = None


def _refusal(error: Exception) -> RelayError:
    if isinstance(error, RelayError):
        return error
    if isinstance(error, OperationalError):
        return Busy("database", retry_after=2)
    return Internal("database")
