"""The live connection: everything that arrives is stored and answered while the client is open.

One round brings the profile up to date, then the socket is subscribed with the durable cursors. What arrives in order
is applied as received, a hole is fetched, a hint only says "look". When the connection breaks it comes back with
growing pauses. Whoever may make a new key does so shortly after a mark, so that a removed member is shut out even
before somebody speaks (CLT-033).
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterable
from typing import Any, Final

import msgspec

from cloister.client import commits, inbox, joining, keys, live_transfer, resend, syncing
from cloister.client.context import Context
from cloister.client.events import Connected, Disconnected, Revoked
from cloister.client.transports.base import Socket
from cloister.errors import (
    AuthFailed,
    CloisterError,
    DeviceRevoked,
    DiskTrouble,
    FormatError,
    RelayError,
    Unreachable,
)
from cloister.protocol import api
from cloister.sphere import compose

FIRST_PAUSE: Final = 1.0
LONGEST_PAUSE: Final = 60.0
# Seconds after which a round is made, whatever the connection shows: marks, joins, healing.
QUIET: Final = 60.0
# A new key is made at a random moment within this many seconds after a mark, so that not everybody does.
JITTER = 5.0
# At most one eager key per sphere in this many seconds.
ROTATION_GAP: Final = 10.0


async def run(ctx: Context) -> None:
    """Stay connected until cancelled. Raises DeviceRevoked, AuthFailed (both after telling) and DiskTrouble."""
    pause, rotated = FIRST_PAUSE, dict[str, float]()
    while True:
        line = Line(ctx, rotated)
        try:
            await line.hold()
        except DeviceRevoked:
            ctx.store.tell([Revoked("", "")])
            raise
        except AuthFailed as error:
            # The relay takes this device no more and shows no entry for it: asking again every minute changes nothing.
            ctx.store.tell([Disconnected("", 0.0, error.code)])
            raise
        except DiskTrouble:
            raise
        except (Unreachable, RelayError, FormatError) as error:
            if line.stood:
                pause = FIRST_PAUSE
            wait = pause * (1 - ctx.rng(1)[0] / 510)
            ctx.store.tell([Disconnected("", wait, error.code)])
            pause = min(LONGEST_PAUSE, pause * 2)
            await asyncio.sleep(wait)
        finally:
            await line.end()


class Line:
    """One connection, from its first frame to its last."""

    def __init__(self, ctx: Context, rotated: dict[str, float]) -> None:
        """``rotated``: when this program made an eager key of each sphere last, over all connections."""
        self.ctx = ctx
        self.stood = False
        self._socket: Socket | None = None
        self._subscribed: set[str] = set()
        self._rotating: dict[str, asyncio.Task[None]] = {}
        self._rotated = rotated
        self._asking: dict[str, asyncio.Task[None]] = {}
        self._number = 0

    async def end(self) -> None:
        """Close what is open."""
        tasks = [*self._rotating.values(), *self._asking.values()]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        if self._socket is not None:
            await self._socket.close()

    async def hold(self) -> None:
        """Catch up, subscribe, and serve until the connection ends (Unreachable)."""
        ctx = self.ctx
        report = await syncing.once(ctx)
        if report.offline:
            raise Unreachable("offline")
        await ctx.relay.account()  # renews the session if it is over
        self._socket = await ctx.relay.socket()
        await self._say({"t": "auth", "token": ctx.relay.token or ""})
        await self._subscribe()
        ctx.store.tell([Connected("")])
        self.stood = True
        for sph in syncing.active(ctx):
            self._ask_soon(sph)
        self._rotate_marked()
        clock = asyncio.get_running_loop().time
        due = clock() + QUIET
        receiving = asyncio.ensure_future(self._socket.receive())
        try:
            while True:
                done, _ = await asyncio.wait({receiving}, timeout=max(0.0, due - clock()))
                if done:
                    frame = receiving.result()
                    receiving = asyncio.ensure_future(self._socket.receive())
                    await self._frame(_records(frame))
                if clock() >= due:
                    await syncing.once(ctx)
                    self._rotate_marked()
                    for sph in syncing.active(ctx):
                        self._ask_soon(sph)
                    due = clock() + QUIET
                await self._subscribe()
        finally:
            receiving.cancel()
            await asyncio.gather(receiving, return_exceptions=True)

    async def _say(self, *records: dict[str, Any]) -> None:
        assert self._socket is not None
        await self._socket.send(json.dumps(records, separators=(",", ":")))

    async def _subscribe(self) -> None:
        """Subscribe to what is not yet, each stream from its durable cursor."""
        wanted = {inbox.STREAM, *syncing.active(self.ctx)} - self._subscribed
        if wanted:
            self._number += 1
            streams = {stream: self.ctx.store.cursor(stream) for stream in wanted}
            await self._say({"t": "sub", "i": self._number, "streams": streams})
            self._subscribed |= wanted

    async def _frame(self, records: list[dict[str, Any]]) -> None:
        letters = [r for r in records if r.get("t") == "item" and r.get("s") == inbox.STREAM]
        await self._letters(letters)
        spheres: dict[str, list[dict[str, Any]]] = {}
        for record in records:
            if record.get("t") == "item" and record.get("s") != inbox.STREAM:
                spheres.setdefault(str(record.get("s")), []).append(record)
        for sph, items in spheres.items():
            await self._items(sph, items)
        touched = {*spheres, *(str(r.get("sph")) for r in letters)}
        for record in records:
            if record.get("t") == "hint":
                await self._hint(str(record.get("k")), str(record.get("s")))
            elif record.get("t") == "pass":
                await live_transfer.take(self.ctx, str(record.get("s")), str(record.get("jws")))
            elif record.get("t") == "lost":
                self._subscribed.discard(str(record.get("s")))
                touched.add(str(record.get("s")))
            elif record.get("t") == "err" and record.get("s"):
                self._subscribed.discard(str(record.get("s")))
        await self._after(touched)

    async def _letters(self, records: list[dict[str, Any]]) -> None:
        for record in records:
            try:
                item = api.InboxItem(
                    record["pos"], record["k"], record["sph"],
                    jws=record.get("jws", msgspec.UNSET), entries=record.get("entries", msgspec.UNSET),
                )  # fmt: skip
            except (KeyError, TypeError):
                raise FormatError("inbox record") from None
            if item.pos > self.ctx.store.cursor(inbox.STREAM) + 1:
                await inbox.pull(self.ctx)
            await inbox.take(self.ctx, item)
        if records:
            self._number += 1
            await self._say({"t": "ack", "i": self._number, "pos": self.ctx.store.cursor(inbox.STREAM)})

    async def _items(self, sph: str, records: list[dict[str, Any]]) -> None:
        """Stream items: applied when they continue the cursor, fetched when there is a hole."""
        ctx = self.ctx
        if ctx.store.row("sphere", sph) is None:
            return
        try:
            items = [(int(r["pos"]), str(r["k"]), str(r.get("jws", ""))) for r in records]
        except (KeyError, TypeError, ValueError):
            raise FormatError("stream record") from None
        async with ctx.profile.writer(sph):
            rep, cursor = ctx.replica(sph), ctx.store.cursor(sph)
            if rep.history is None:
                return
            fresh = [one for one in items if one[0] > cursor]
            if not fresh:
                return
            try:
                if [pos for pos, _, _ in fresh] == list(range(cursor + 1, cursor + 1 + len(fresh))):
                    await commits.take_items(ctx, rep, fresh)
                else:
                    await commits.fetch_items(ctx, rep)
            except (Unreachable, DiskTrouble):
                raise
            except CloisterError:
                return  # the stop is recorded; other spheres go on

    async def _hint(self, kind: str, sph: str) -> None:
        """Look where a hint points; nothing in it is believed."""
        ctx = self.ctx
        if kind == "joined":
            await joining.poll(ctx)
            await inbox.pull(ctx)
        elif kind == "spheres":
            await syncing.once(ctx)
        elif kind == "state":
            known = {name for name, _ in ctx.store.rows("sphere")}
            await syncing.account(ctx, syncing.Tally())
            if {name for name, _ in ctx.store.rows("sphere")} - known:
                await syncing.once(ctx)
            for own in syncing.active(ctx):
                self._ask_soon(own)
        elif ctx.store.row("sphere", sph) is None:
            return
        elif kind == "join":
            async with ctx.profile.writer(sph):
                rep = ctx.replica(sph)
                if rep.status == "active" and await joining.fetch_requests(ctx, rep):
                    await joining.auto_admit(ctx, ctx.replica(sph))
        elif kind == "rotate":
            self._rotate_soon(sph, by_hint=True)

    async def _after(self, touched: Iterable[str]) -> None:
        """What news in a sphere call for: keys, revocations, waiting texts, a new key."""
        ctx = self.ctx
        for sph in touched:
            if ctx.store.row("sphere", sph) is None or ctx.replica(sph).status not in ("active", "entering"):
                continue
            rep = ctx.replica(sph)
            busy = keys.missing(ctx, rep) or rep.note.get("welcome") or rep.note.get("claims") or resend.due(ctx, rep)
            waiting = ctx.store.one("SELECT 1 FROM outbox WHERE sph = ? AND state IN ('waiting', 'sealed')", sph)
            if busy or waiting or rep.status == "entering" or ctx.store.get("revoked") or not self._in(sph):
                await syncing.sphere(ctx, sph, syncing.Tally())
                await syncing.deliver(ctx, sph, syncing.Tally())
            elif self._held(sph) or self._unstored(sph):
                await syncing.deliver(ctx, sph, syncing.Tally())
            self._rotate_soon(sph, by_hint=False)
            self._ask_soon(sph)

    def _held(self, sph: str) -> bool:
        """Whether a text waits for an answer, to a question that may be another one now (CLT-016)."""
        return self.ctx.store.one("SELECT 1 FROM outbox WHERE sph = ? AND state = 'held'", sph) is not None

    def _unstored(self, sph: str) -> bool:
        """Whether a key is not in its slot yet."""
        sql, store = "SELECT 1 FROM epoch_key WHERE sph = ? AND slot <= 0 AND slot > ?", self.ctx.store
        return store.one(sql, sph, -self.ctx.mkv) is not None

    def _ask_soon(self, sph: str) -> None:
        """Ask for missing keys of a sphere with live delivery, beside everything else (LIVE-014)."""
        running = self._asking.get(sph)
        if running is None or running.done():
            asked = live_transfer.ask_unasked(self.ctx, self.ctx.replica(sph))
            self._asking[sph] = asyncio.create_task(asked)

    def _in(self, sph: str) -> bool:
        return sph in self._subscribed

    def _rotate_marked(self) -> None:
        """Marks that a round brought, not the connection: nobody has to speak of them (CLT-033)."""
        for sph in syncing.active(self.ctx):
            self._rotate_soon(sph, by_hint=False)

    def _rotate_soon(self, sph: str, *, by_hint: bool) -> None:
        """Make a new key in a marked sphere, unless somebody else does first (CLT-033)."""
        ctx = self.ctx
        state = ctx.replica(sph).state
        if state is None or not state.hard or state.mode != "e2ee" or ctx.replica(sph).stop is not None:
            return
        role = state.members[ctx.id].role if ctx.id in state.members else "none"
        if role not in (("owner", "admin", "member") if by_hint else ("owner", "admin")):
            return
        running = self._rotating.get(sph)
        if running is None or running.done():
            self._rotating[sph] = asyncio.create_task(self._rotate(sph))

    async def _rotate(self, sph: str) -> None:
        ctx, clock = self.ctx, asyncio.get_running_loop().time
        pause = max(JITTER * ctx.rng(1)[0] / 255, self._rotated.get(sph, -ROTATION_GAP) + ROTATION_GAP - clock())
        await asyncio.sleep(pause)

        def make(rep: Any) -> list[compose.Rotate]:
            state = rep.known[0]
            return [compose.Rotate()] if state.hard and state.mode == "e2ee" else []

        try:
            async with ctx.profile.writer(sph):
                if await commits.commit(ctx, ctx.replica(sph), make):
                    self._rotated[sph] = clock()
            await syncing.deliver(ctx, sph, syncing.Tally())
        except CloisterError:
            return  # the next speaker makes it


def _records(frame: str) -> list[dict[str, Any]]:
    try:
        value = json.loads(frame)
    except ValueError:
        raise FormatError("live frame") from None
    if not isinstance(value, list) or not all(isinstance(one, dict) for one in value):
        raise FormatError("live frame")
    return value
