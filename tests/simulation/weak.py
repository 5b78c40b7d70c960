"""Builds with one promise broken. A simulation that cannot tell them from the true one proves nothing."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from cloister.client import commits as client_commits
from cloister.client import intake, outbox, resend
from cloister.client import live as live_module
from cloister.protocol import chain
from cloister.protocol.commit import Commit, settle
from cloister.protocol.state import SphereState
from cloister.server import commits, core


def holes_are_skipped() -> Iterator[None]:
    """A client takes what arrives live for what comes next, and asks nobody for what is missing (CLT-033, CLT-052)."""

    async def items(self: Any, sph: str, records: list[dict[str, Any]]) -> None:
        ctx = self.ctx
        if ctx.store.row("sphere", sph) is None or ctx.replica(sph).history is None:
            return
        fresh = [(r["pos"], r["k"], r.get("jws", "")) for r in records if r["pos"] > ctx.store.cursor(sph)]
        if fresh:
            async with ctx.profile.writer(sph):
                await client_commits.take_items(ctx, ctx.replica(sph), fresh)

    whole, wanted = live_module.Line._items, resend.wanted
    live_module.Line._items = items  # type: ignore[method-assign]
    resend.wanted = lambda ctx, rep: {}
    yield
    live_module.Line._items = whole  # type: ignore[method-assign]
    resend.wanted = wanted


def seal_forgotten() -> Iterator[None]:
    """What was sealed is not written down before it leaves: an answer that was lost looks like a copy (CLT-014)."""
    real = client_commits.sealed
    client_commits.sealed = lambda ctx, sph, compact: None
    yield
    client_commits.sealed = real


def late_answer_is_a_new_message() -> Iterator[None]:
    """An item whose outcome is unknown is sealed anew without looking whether the relay has it (CLT-014, CLT-016)."""
    real = outbox._was_taken, outbox._settle, intake._said_before

    async def careless(ctx: Any, rep: Any, item: str, row: dict[str, Any]) -> bool:
        await client_commits.fetch(ctx, rep)
        return False

    outbox._was_taken = careless
    outbox._settle = lambda ctx, rep, item, row: False
    intake._said_before = lambda ctx, sph, row: False
    yield
    outbox._was_taken, outbox._settle, intake._said_before = real


def cursor_moves_alone() -> Iterator[None]:
    """A page is not one transaction: the cursor is written before what it stands for (CLT-008)."""
    real = client_commits.take_items

    async def careless(ctx: Any, rep: Any, items: Any) -> int:
        ctx.store.move(rep.sph, items[-1][0])
        return await real(ctx, rep, items)

    client_commits.take_items = careless
    yield
    client_commits.take_items = real


def commits_are_not_compared() -> Iterator[None]:
    """A relay without compare-and-swap: a commit is judged at the head it names and appended to whatever the head is
    by now, and nothing else keeps two entries of one number apart (STR-004)."""
    judge, stands, opened = commits.judge, commits._still_stands, core.Relay.open
    heads: dict[tuple[int, bytes], SphereState] = {}

    def anywhere(before: SphereState | None, account: str, commit: Commit, now: int) -> list[SphereState]:
        if before is not None:
            heads[before.seq, before.digest] = before
        return judge(heads.get(commit.base, before) if commit.base else before, account, commit, now)

    def always(batch: Any, account: str, sphere: Any, commit: Commit, states: list[SphereState], clock: float) -> None:
        settle(states, commit, commits.ChainHeads(batch.spheres, batch.conn, sphere))

    def unguarded(relay: core.Relay) -> None:
        opened(relay)
        with relay.store.writing.begin() as conn:
            conn.exec_driver_sql("DROP INDEX ix_item_entry")

    commits.judge, commits._still_stands, core.Relay.open = anywhere, always, unguarded  # type: ignore[method-assign]
    yield
    commits.judge, commits._still_stands, core.Relay.open = judge, stands, opened  # type: ignore[method-assign]


def messages_are_not_compared() -> Iterator[None]:
    """A relay that appends a message without looking at its chain: what arrives twice is stored twice (STR-008)."""
    stored, linked = commits._stored, chain.linked
    commits._stored = lambda *_: None
    chain.linked = lambda *_: None
    yield
    commits._stored, chain.linked = stored, linked


WEAK: dict[str, Callable[[], Iterator[None]]] = {
    "holes": holes_are_skipped,
    "unsealed": seal_forgotten,
    "late-answer": late_answer_is_a_new_message,
    "cursor": cursor_moves_alone,
    "commits": commits_are_not_compared,
    "repeats": messages_are_not_compared,
}


@contextmanager
def weakened(name: str) -> Iterator[None]:
    """The build with this promise broken; "" is the true one."""
    if not name:
        yield
        return
    with contextmanager(WEAK[name])():
        yield
