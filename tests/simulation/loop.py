"""An event loop in virtual time: nothing waits, nothing runs beside it, and the order of everything is fixed.

Time goes on only when nothing can run: then it jumps to the next timer. What would run in a thread runs at once and
is told a moment later.
"""

from __future__ import annotations

import asyncio
import random
import selectors
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from functools import lru_cache
from typing import Any, TypeVar

from cloister import crypto
from cloister.protocol import certificate
from cloister.server import core
from cloister.server.writer import Writer

T = TypeVar("T")


class Silence(AssertionError):
    """Everybody waits and no timer will wake anybody."""


class _Selector(selectors.SelectSelector):
    """Has no sockets to look at: where the loop would wait, time passes."""

    def __init__(self) -> None:
        super().__init__()
        self.passes: Callable[[float | None], None] = lambda _: None

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        self.passes(timeout)
        return []


class VirtualLoop(asyncio.SelectorEventLoop):
    """See the module. ``time`` is in seconds since the beginning of the story."""

    def __init__(self, seed: object) -> None:
        self._now = 0.0
        self.rng = random.Random(f"loop/{seed}")
        selector = _Selector()
        super().__init__(selector)
        selector.passes = self._pass

    def time(self) -> float:
        return self._now

    def _pass(self, timeout: float | None) -> None:
        if timeout is None:
            raise Silence("everybody waits for somebody else")
        if timeout > 0:
            self._now = max(self._now, self._scheduled[0]._when)  # type: ignore[attr-defined]

    def _write_to_self(self) -> None:
        """Nobody sleeps who would have to be woken."""

    def run_in_executor(self, executor: Any, func: Callable[..., T], *args: Any) -> asyncio.Future[T]:  # type: ignore[override]
        future: asyncio.Future[T] = self.create_future()

        def finish(give: Callable[[Any], None], outcome: Any) -> None:
            if not future.done():
                give(outcome)

        # What it found is told a moment later: by then it may be out of date, as with a thread.
        try:
            self.call_later(self.moment(), finish, future.set_result, func(*args))
        except Exception as error:
            self.call_later(self.moment(), finish, future.set_exception, error)
        return future

    def moment(self) -> float:
        """Seconds that something inside one machine takes; now and then the machine is busy."""
        return self.rng.expovariate(1 / 0.005) * (40.0 if self.rng.random() < 0.1 else 1.0)

    def stumble(self, context: dict[str, Any]) -> None:
        """Called for what nobody catches: in a callback it ends everything, since somebody will wait for ever."""
        if "handle" in context:
            self.call_soon(self._stop_with, context["exception"])

    def _stop_with(self, error: Exception) -> None:
        raise SystemExit(f"in a callback: {error!r}")


class InlineWriter(Writer):
    """The relay's writer without its thread: a group is run a moment after it was handed over."""

    def _start(self) -> None:
        batch, self._queue = self._queue[:512], self._queue[512:]
        if not batch:
            self._running = False
            self._idle.set()
            return
        loop = asyncio.get_running_loop()
        assert isinstance(loop, VirtualLoop)
        loop.call_later(loop.moment(), lambda: self._finish(batch, *self._run(batch)))

    async def close(self) -> None:
        await super().close()
        self._disconnect()


@contextmanager
def remembered_signatures() -> Iterator[None]:
    """Ten devices check the same signature or certificate; a check is a function of its bytes, so one pays for it.

    Only what holds is remembered. What does not hold is checked again each time.
    """
    names = ("ed25519_verify", "es384_verify", "ed25519_check_public")
    real = {name: getattr(crypto, name) for name in names}
    verify = certificate.verify
    for name in names:
        setattr(crypto, name, lru_cache(maxsize=50_000)(real[name]))
    certified = lru_cache(maxsize=50_000)(lambda compact, ik: verify(compact, dict(ik)))
    certificate.verify = lambda compact, ik: certified(compact, tuple(sorted(ik.items())))
    try:
        yield
    finally:
        certificate.verify = verify
        for name in names:
            setattr(crypto, name, real[name])


def run(story: Coroutine[Any, Any, T], seed: object) -> T:
    """Run a story to its end in virtual time."""
    loop, real = VirtualLoop(seed), core.Writer
    loop.set_exception_handler(lambda _, context: loop.stumble(context))
    core.Writer = InlineWriter  # type: ignore[misc]
    try:
        with remembered_signatures():
            asyncio.set_event_loop(loop)
            return loop.run_until_complete(story)
    finally:
        core.Writer = real  # type: ignore[misc]
        asyncio.set_event_loop(None)
        loop.close()
